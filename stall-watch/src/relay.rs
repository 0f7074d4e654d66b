//! A command's output on its way through: every byte, at once, in the same pieces.
//!
//! The pipes are in packet mode, so what the command wrote by one call goes out by one call: lines of
//! several commands that share one pipe stay whole. Nothing here ever waits: what cannot be written
//! yet is kept, and the command's own pipe then fills, as it would have without us.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    event::{PollFd, PollFlags},
    fs::{FileType, OFlags, fcntl_setfl, fstat},
    io::{Errno, ReadWriteFlags, ioctl_fionread, pwritev2, read, write},
    pipe::{PipeFlags, pipe_with},
};

/// As much as goes through a pipe in one piece (PIPE_BUF on Linux).
const PIECE: usize = 4096;
/// What is kept of the last lines.
const TAIL: usize = 2048;
/// Pieces that are moved before others get their turn.
const TURN: usize = 64;

/// One stream: from the command, to where our own leads.
#[derive(Debug)]
pub struct Stream {
    name: &'static str,
    /// Closed when the command has closed it, or when nobody reads it any more.
    from: Option<OwnedFd>,
    to: OwnedFd,
    waiting: Vec<u8>,
    total: u64,
    /// What must have gone through before it may be left, known once the command has ended.
    owed: Option<u64>,
    tail: VecDeque<u8>,
}

/// A stream could not be written to; the command will notice that as it would have without us.
#[derive(Debug)]
pub struct Lost {
    /// stdout or stderr.
    pub stream: &'static str,
    /// Why; a reader that went away is no reason.
    pub error: io::Error,
}

impl Stream {
    /// A stream to a copy of `to`, and the end that the command gets, once or twice.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn new(name: &'static str, to: impl AsFd) -> io::Result<(Stream, OwnedFd)> {
        let packets = PipeFlags::CLOEXEC | PipeFlags::DIRECT;
        // Packets exist since Linux 3.4, not in every sandbox.
        let (from, theirs) = pipe_with(packets).or_else(|_| pipe_with(PipeFlags::CLOEXEC))?;
        fcntl_setfl(&from, OFlags::NONBLOCK)?;
        let stream = Stream {
            name,
            from: Some(from),
            to: to.as_fd().try_clone_to_owned()?,
            waiting: Vec::new(),
            total: 0,
            owed: None,
            tail: VecDeque::new(),
        };
        Ok((stream, theirs))
    }

    /// Bytes that have come so far.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// May more come?
    pub fn is_open(&self) -> bool {
        self.from.is_some() || !self.waiting.is_empty()
    }

    /// Does it wait for whoever reads it?
    pub fn is_blocked(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Has all gone through that was written before the first of these questions?
    pub fn is_through(&mut self) -> bool {
        let Some(from) = &self.from else {
            return self.waiting.is_empty();
        };
        let (total, waiting) = (self.total, self.waiting.len() as u64);
        let owed = *self
            .owed
            .get_or_insert_with(|| total + ioctl_fionread(from).unwrap_or(0));
        total - waiting >= owed
    }

    /// What to wait for; nothing once it is closed, so that a closed stream costs nothing.
    pub fn poll(&self) -> Option<PollFd<'_>> {
        if self.is_blocked() {
            Some(PollFd::new(&self.to, PollFlags::OUT))
        } else {
            let from = self.from.as_ref()?;
            Some(PollFd::new(from, PollFlags::IN))
        }
    }

    /// Moves what can be moved without waiting.
    ///
    /// # Errors
    /// See [`Lost`]; the stream is closed then.
    pub fn pump(&mut self) -> Result<(), Lost> {
        for _ in 0..TURN {
            if self.waiting.is_empty() && !self.fill() {
                break;
            }
            match write_now(self.to.as_fd(), &self.waiting) {
                Ok(length) => drop(self.waiting.drain(..length)),
                Err(Errno::AGAIN | Errno::INTR) => break,
                Err(error) => {
                    self.from = None;
                    self.waiting.clear();
                    if error == Errno::PIPE {
                        break;
                    }
                    return Err(Lost {
                        stream: self.name,
                        error: error.into(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Gets the next piece. Says whether there is one.
    fn fill(&mut self) -> bool {
        let Some(from) = &self.from else {
            return false;
        };
        let mut piece = [0; PIECE];
        match read(from, &mut piece) {
            Ok(0) => self.from = None,
            Ok(length) => {
                self.waiting.extend_from_slice(&piece[..length]);
                self.total += length as u64;
                self.tail.extend(&piece[..length]);
                let surplus = self.tail.len().saturating_sub(TAIL);
                self.tail.drain(..surplus);
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.from = None,
        }
        !self.waiting.is_empty()
    }

    /// The last lines that went through, `count` at most, in order; the last may be half a line.
    pub fn last_lines(&self, count: usize) -> Vec<String> {
        let bytes: Vec<u8> = self.tail.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        let first = lines.len().saturating_sub(count);
        lines[first..].iter().map(|line| line.to_string()).collect()
    }
}

/// Writes without waiting for a reader.
fn write_now(to: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    /// The place where the descriptor stands.
    const HERE: u64 = u64::MAX;
    if fstat(to).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_file()) {
        return write(to, bytes);
    }
    match pwritev2(to, &[IoSlice::new(bytes)], HERE, ReadWriteFlags::NOWAIT) {
        // Before Linux 6.5, and for FIFOs and most devices. One piece always goes into a pipe that is
        // ready, unless another writer comes first.
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::SPIPE) => {
            let mut ready = [PollFd::new(&to, PollFlags::OUT)];
            let now = rustix::event::Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            match rustix::event::poll(&mut ready, Some(&now))? {
                0 => Err(Errno::AGAIN),
                _ => write(to, bytes),
            }
        }
        other => other,
    }
}

/// Do two descriptors lead to one place? Then one stream must serve both, or their order is lost.
pub fn same(one: impl AsFd, other: impl AsFd) -> bool {
    match (fstat(one), fstat(other)) {
        (Ok(a), Ok(b)) => (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(capacity_test: bool) -> (Stream, OwnedFd, OwnedFd) {
        let (reader, to) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        if capacity_test {
            fcntl_setfl(&reader, OFlags::NONBLOCK).unwrap();
        }
        let (stream, theirs) = Stream::new("stdout", &to).unwrap();
        (stream, theirs, reader)
    }

    #[test]
    fn half_a_line_goes_through_at_once_and_is_remembered() {
        let (mut stream, theirs, reader) = through(false);
        write(&theirs, b"one\ntwo\nthr\xffee").unwrap();
        stream.pump().unwrap();
        let mut buffer = [0; 64];
        let length = read(&reader, &mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"one\ntwo\nthr\xffee");
        assert_eq!(stream.total(), 14);
        assert_eq!(stream.last_lines(2), ["two", "thr\u{fffd}ee"]);
    }

    #[test]
    fn a_reader_that_does_not_read_holds_nobody_up_and_loses_nothing() {
        let (mut stream, theirs, reader) = through(true);
        fcntl_setfl(&theirs, OFlags::NONBLOCK).unwrap();
        let mut sent = 0_u64;
        loop {
            let wrote = write(&theirs, &[7; PIECE]).ok();
            sent += wrote.unwrap_or(0) as u64;
            stream.pump().unwrap();
            if wrote.is_none() && stream.is_blocked() {
                break;
            }
        }
        drop(theirs);
        let mut received = 0;
        let mut buffer = [0; PIECE];
        while stream.is_open() {
            while let Ok(length @ 1..) = read(&reader, &mut buffer) {
                received += length as u64;
            }
            stream.pump().unwrap();
        }
        while let Ok(length @ 1..) = read(&reader, &mut buffer) {
            received += length as u64;
        }
        assert_eq!((received, stream.total()), (sent, sent));
    }

    #[test]
    fn a_stream_may_be_left_when_what_was_written_before_is_through_whoever_writes_on() {
        let (mut stream, theirs, reader) = through(true);
        fcntl_setfl(&theirs, OFlags::NONBLOCK).unwrap();
        while write(&theirs, &[7; PIECE]).is_ok() || !stream.is_blocked() {
            stream.pump().unwrap();
        }
        assert!(!stream.is_through());
        let mut buffer = [0; PIECE];
        while read(&reader, &mut buffer).is_ok() {
            stream.pump().unwrap();
            assert!(!stream.is_through() || !stream.is_blocked());
        }
        assert!(stream.is_through());
        write(&theirs, b"later").unwrap();
        assert!(stream.is_through() && stream.is_open());
    }

    #[test]
    fn a_stream_without_reader_is_closed_without_a_word() {
        let (mut stream, theirs, reader) = through(false);
        drop(reader);
        write(&theirs, b"x").unwrap();
        stream.pump().unwrap();
        assert!(!stream.is_open() && stream.poll().is_none());
        assert_eq!(write(&theirs, b"x"), Err(Errno::PIPE));
    }
}
