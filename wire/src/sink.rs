//! Where whole lines wait for their write, and what an error of stdout is.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// A pipe takes up to this many bytes in one piece (PIPE_BUF on Linux), so that lines of several
/// writers never tear each other.
const PIPE_BYTES: usize = 4096;
const FILE_BYTES: usize = 64 * 1024;

/// The buffer before stdout, or before the file that stands in for it.
pub(crate) struct Sink {
    out: File,
    /// What messages call it.
    name: String,
    /// Is the file ours to write from its start on? Until it is, it is left as it was found.
    begun: Option<Arc<AtomicBool>>,
    waiting: Vec<u8>,
    limit: usize,
    /// What goes before the first line.
    pub(crate) header: Vec<u8>,
    /// An error met while nobody was there to be told, kept for the next call.
    error: Option<io::Error>,
    pub(crate) closed: bool,
}

impl Sink {
    /// Before stdout, whatever that is.
    ///
    /// # Errors
    /// It is closed, or nothing can be written to it.
    pub(crate) fn stdout() -> io::Result<Sink> {
        let stdout = io::stdout();
        let flags = rustix::fs::fcntl_getfl(stdout.as_fd())?;
        if flags & rustix::fs::OFlags::ACCMODE == rustix::fs::OFlags::RDONLY {
            let closed = io::Error::other("it is closed; give it a place, or use -o FILE");
            return Err(StdoutError::wrap(closed, "stdout"));
        }
        let regular = rustix::fs::fstat(stdout.as_fd())
            .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file());
        // A copy of the descriptor: std's own line buffering would cut the writes again.
        let out = File::from(stdout.as_fd().try_clone_to_owned()?);
        let limit = if regular { FILE_BYTES } else { PIPE_BYTES };
        Ok(Sink::new(out, "stdout".into(), limit))
    }

    /// Before a file, which is emptied by the first write; `begun` tells when.
    pub(crate) fn file(out: File, name: String, begun: Arc<AtomicBool>) -> Sink {
        let mut sink = Sink::new(out, name, FILE_BYTES);
        sink.begun = Some(begun);
        sink
    }

    fn new(out: File, name: String, limit: usize) -> Sink {
        Sink {
            out,
            name,
            begun: None,
            waiting: Vec::with_capacity(FILE_BYTES),
            limit,
            header: Vec::new(),
            error: None,
            closed: false,
        }
    }

    /// Takes one whole line, given in parts.
    pub(crate) fn take(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        self.waiting.append(&mut self.header);
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if self.waiting.len() + length > self.limit {
            self.flush()?;
        }
        for part in parts {
            self.waiting.extend_from_slice(part);
        }
        Ok(())
    }

    /// Writes what waits.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        if self.waiting.is_empty() {
            return Ok(());
        }
        let written = self.write();
        // What could not be written is gone with its reader; writing it twice would double records.
        self.waiting.clear();
        written.map_err(|error| StdoutError::wrap(error, &self.name))
    }

    fn write(&mut self) -> io::Result<()> {
        if let Some(begun) = &self.begun
            && !begun.swap(true, Ordering::Relaxed)
        {
            self.out.set_len(0)?;
        }
        self.out.write_all(&self.waiting)
    }

    /// Writes what waits, on a thread that cannot tell anybody of an error: the next call will.
    pub(crate) fn flush_later_errors(&mut self) {
        if self.error.is_none() {
            self.error = self.flush().err();
        }
    }
}

/// Did stdout's reader go away? Not asked of the errors: what they went through may hide their kind, and a
/// server's broken pipe is none of ours.
static READER_GONE: AtomicBool = AtomicBool::new(false);

/// See [`READER_GONE`].
pub(crate) fn reader_is_gone() -> bool {
    READER_GONE.load(Ordering::Relaxed)
}

/// An error of stdout, by its name.
#[derive(Debug)]
pub(crate) struct StdoutError(io::Error, String);

impl StdoutError {
    pub(crate) fn wrap(error: io::Error, name: &str) -> io::Error {
        if error.kind() == io::ErrorKind::BrokenPipe {
            READER_GONE.store(true, Ordering::Relaxed);
        }
        io::Error::new(error.kind(), StdoutError(error, name.into()))
    }
}

impl std::fmt::Display for StdoutError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: write: {}", self.1, self.0)
    }
}

impl std::error::Error for StdoutError {}
