//! The digest of one file, guarded against change while it is read.
//!
//! A library is in use while it is hashed: Calibre rewrites an EPUB to embed metadata, a sync tool
//! puts another file in its place. A digest of half of each would go to the server as a book that
//! nobody has. So the file is held against itself: size, times and identity before and after, the
//! bytes counted, its path must still lead to it, and one changed a moment ago is read twice.

mod error;

use std::{
    fs::File,
    io::{self, Read},
    os::fd::OwnedFd,
    path::Path,
    thread,
    time::{Duration, SystemTime},
};

use rustix::{
    fs::{Advice, FileType, Mode, OFlags, Stat, fadvise, fstat, open, stat},
    io::Errno,
};
use sha1::{Digest as _, Sha1};

use crate::{Stamp, stamp::SETTLED_AFTER};
pub use error::HashError;

/// Enough for one read to take most e-books whole; larger buffers only cost cache.
pub const BUFFER: usize = 64 * 1024;

/// The kernel makes a writer that is too quick for the disk sleep up to 200 ms at a time in the middle
/// of its write; one that waits for a core on a busy machine takes less.
const HELD_UP: Duration = Duration::from_millis(250);

/// What was hashed, and what it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// The SHA-1 of all its bytes.
    pub sha1: [u8; 20],
    /// The file as it was before, while and after it was read.
    pub stamp: Stamp,
}

impl Digest {
    /// The SHA-1 as records have it, 40 lower-case digits.
    pub fn hex(&self) -> String {
        hex(&self.sha1)
    }
}

/// A SHA-1 as records have it, 40 lower-case digits.
pub fn hex(sha1: &[u8; 20]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    sha1.iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// The stamp of the regular file that `path` leads to; symbolic links are followed.
///
/// # Errors
/// It cannot be looked at, or is no regular file. Nothing is opened, for opening alone makes some
/// devices act.
pub fn look(path: &Path) -> Result<Stamp, HashError> {
    regular(&stat(path).map_err(|errno| HashError::io("stat", errno))?)
}

fn regular(stat: &Stat) -> Result<Stamp, HashError> {
    Err(HashError::NotRegular(
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => return Ok(Stamp::of(stat)),
            FileType::Directory => "a directory",
            FileType::Fifo => "a FIFO",
            FileType::Socket => "a socket",
            FileType::CharacterDevice => "a character device",
            FileType::BlockDevice => "a block device",
            _ => "of an unknown kind",
        },
    ))
}

/// The digest of the regular file that `path` leads to, read through `buffer`, whose size is the
/// caller's choice ([`BUFFER`] is a good one).
///
/// # Errors
/// See [`HashError`]. Never blocks on a FIFO, never reads a device.
pub fn digest(path: &Path, buffer: &mut [u8]) -> Result<Digest, HashError> {
    agreed(|| {
        let mut reading = Reading::open(path)?;
        let mut sha1 = Sha1::new();
        while !reading.ended() {
            sha1.update(reading.fill(buffer)?);
        }
        reading.finish(path, sha1)
    })
}

/// What `read` finds, asked twice where the file was changed in the last two seconds.
///
/// A write sets the times when it begins. Who looks at a file, reads it and looks again while one
/// large write is held up sees the same times twice, and the front of one content with the back of
/// another. So the second answer must be the first, and is not asked for before such a write has had
/// the time to go on.
///
/// # Errors
/// Those of `read`, or its two answers differ.
pub fn agreed(mut read: impl FnMut() -> Result<Digest, HashError>) -> Result<Digest, HashError> {
    let begun = SystemTime::now();
    let digest = read()?;
    if digest.stamp.changed_before(begun) >= SETTLED_AFTER {
        return Ok(digest);
    }
    let age = digest.stamp.changed_before(SystemTime::now());
    thread::sleep(HELD_UP.saturating_sub(age));
    if read()? != digest {
        return Err(HashError::Changed("it is being written"));
    }
    Ok(digest)
}

/// A file being read, for callers that have something to do between its pieces; the others call
/// [`digest`].
#[derive(Debug)]
pub struct Reading {
    file: File,
    stamp: Stamp,
    taken: u64,
    ended: bool,
}

impl Reading {
    /// Opens the regular file that `path` leads to.
    ///
    /// # Errors
    /// See [`HashError`].
    pub fn open(path: &Path) -> Result<Reading, HashError> {
        look(path)?;
        // What it is may have changed since; then it must neither block nor become our terminal.
        let fd = open_quietly(path).map_err(|errno| HashError::io("open", errno))?;
        let stamp = regular(&fstat(&fd).map_err(|errno| HashError::io("stat", errno))?)?;
        Ok(Reading {
            file: fd.into(),
            stamp,
            taken: 0,
            ended: false,
        })
    }

    /// The file as it was when it was opened.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Were all its bytes handed out? Not before the first piece, be it empty: in /proc an empty
    /// size means nothing.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The next piece; as much as `buffer` holds unless the file ends.
    ///
    /// # Errors
    /// It cannot be read, or is shorter or longer than it was.
    pub fn fill<'b>(&mut self, buffer: &'b mut [u8]) -> Result<&'b [u8], HashError> {
        let mut filled = 0;
        loop {
            let read = match self.file.read(&mut buffer[filled..]) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(HashError::Io { op: "read", source }),
            };
            filled += read;
            self.taken += read as u64;
            if self.taken > self.stamp.size {
                return Err(HashError::Changed("it holds more bytes than its size says"));
            }
            if read == 0 && self.taken < self.stamp.size {
                return Err(HashError::Changed("it ends before its size says"));
            }
            self.ended = self.taken == self.stamp.size;
            if self.ended || filled == buffer.len() {
                return Ok(&buffer[..filled]);
            }
        }
    }

    /// The digest, once all pieces went into `sha1`.
    ///
    /// # Errors
    /// The file, or what `path` leads to, is no longer what it was at the start.
    pub fn finish(self, path: &Path, sha1: Sha1) -> Result<Digest, HashError> {
        if !self.ended {
            return Err(HashError::Changed(OTHER));
        }
        let guard = FileGuard {
            file: self.file,
            stamp: self.stamp,
        };
        guard.unchanged_at(path)?;
        Ok(Digest {
            sha1: sha1.finalize().into(),
            stamp: self.stamp,
        })
    }

    /// A guard that tells later, while others read, whether the file is still the same.
    ///
    /// # Errors
    /// No more files can be open.
    pub fn guard(&self) -> Result<FileGuard, HashError> {
        let file = self.file.try_clone();
        Ok(FileGuard {
            file: file.map_err(|source| HashError::Io { op: "open", source })?,
            stamp: self.stamp,
        })
    }

    /// Tells the system that the file will be read from end to end, so that it reads ahead further.
    pub fn from_end_to_end(&self) {
        // Advice that is not taken costs nothing.
        let _ = fadvise(&self.file, 0, None, Advice::Sequential);
    }
}

const OTHER: &str = "its size or times are others";

/// A file that was opened, and as it was then.
#[derive(Debug)]
pub struct FileGuard {
    file: File,
    stamp: Stamp,
}

impl FileGuard {
    /// Nothing, if size and times are what they were.
    ///
    /// # Errors
    /// They are not, or cannot be asked for.
    pub fn unchanged(&self) -> Result<(), HashError> {
        let now = fstat(&self.file).map_err(|errno| HashError::io("stat", errno))?;
        match Stamp::of(&now) == self.stamp {
            true => Ok(()),
            false => Err(HashError::Changed(OTHER)),
        }
    }

    /// Nothing, if `path` still leads to it, and it is as it was.
    ///
    /// # Errors
    /// It does not, it is not, or that cannot be asked.
    pub fn unchanged_at(&self, path: &Path) -> Result<(), HashError> {
        let there = match stat(path) {
            Ok(there) => Stamp::of(&there),
            Err(Errno::NOENT | Errno::NOTDIR) => {
                return Err(HashError::Changed("it was removed or renamed"));
            }
            Err(errno) => return Err(HashError::io("stat", errno)),
        };
        let same_file = (there.dev, there.inode) == (self.stamp.dev, self.stamp.inode);
        match same_file {
            true if there == self.stamp => Ok(()),
            true => Err(HashError::Changed(OTHER)),
            false => Err(HashError::Changed("another file is in its place")),
        }
    }
}

/// Opens a file that is too large to be read twice, after waiting for a write that may be held up;
/// see [`agreed`].
///
/// # Errors
/// See [`HashError`]; it is being written.
pub fn open_at_rest(path: &Path) -> Result<Reading, HashError> {
    let before = look(path)?;
    let age = before.changed_before(SystemTime::now());
    thread::sleep(HELD_UP.saturating_sub(age));
    let reading = Reading::open(path)?;
    match reading.stamp() == before {
        true => Ok(reading),
        false => Err(HashError::Changed("it is being written")),
    }
}

/// Opens for reading without blocking and, where the owner or root asks, without leaving a time of
/// access behind.
fn open_quietly(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    match open(path, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => open(path, flags, Mode::empty()),
        opened => opened,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_proc_is_not_taken_for_empty() {
        let error = digest(Path::new("/proc/self/status"), &mut [0; 64]).unwrap_err();
        assert!(matches!(error, HashError::Changed(_)), "{error}");
    }

    #[test]
    fn the_size_of_the_buffer_does_not_matter() {
        let exe = std::env::current_exe().unwrap();
        let whole = Sha1::digest(std::fs::read(&exe).unwrap());
        for size in [4096, BUFFER, BUFFER + 1] {
            let one = digest(&exe, &mut vec![0; size]).unwrap();
            assert_eq!(one.sha1[..], whole[..]);
        }
    }

    fn found(sha1: u8, changed: Duration) -> Digest {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let ctime = now.unwrap().saturating_sub(changed).as_nanos() as i128;
        Digest {
            sha1: [sha1; 20],
            stamp: Stamp {
                ctime,
                ..look(Path::new("/proc/self/exe")).unwrap()
            },
        }
    }

    #[test]
    fn a_file_changed_a_moment_ago_must_read_the_same_twice() {
        let (old, new) = (Duration::from_secs(9), Duration::from_secs(1));
        let ask = |answers: [Digest; 2]| {
            let mut asked = 0;
            let agreed = agreed(|| {
                asked += 1;
                Ok(answers[asked - 1])
            });
            (agreed.ok().map(|digest| digest.sha1[0]), asked)
        };
        assert_eq!(ask([found(1, old), found(2, old)]), (Some(1), 1));
        let twice = found(1, new);
        assert_eq!(ask([twice, twice]), (Some(1), 2));
        assert_eq!(
            ask([
                twice,
                Digest {
                    sha1: [2; 20],
                    ..twice
                }
            ]),
            (None, 2)
        );
    }

    #[test]
    fn a_digest_reads_as_forty_digits() {
        let (mut sha1, stamp) = ([0; 20], look(Path::new("/proc/self/exe")).unwrap());
        (sha1[0], sha1[19]) = (0x0a, 0xf1);
        let hex = Digest { sha1, stamp }.hex();
        assert_eq!(hex, format!("0a{}f1", "0".repeat(36)));
    }
}
