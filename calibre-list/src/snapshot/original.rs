//! The database as it lies in the library: looked at, never touched.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, Mode, OFlags, fcntl_lock};

use crate::{
    Error,
    library::{SIDES, beside},
};

/// The first bytes of every SQLite database (fileformat2.html, 1.3).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The open original.
///
/// Closing any descriptor of a file drops all of the process's POSIX locks on it, SQLite's
/// included. So this must outlive every SQLite connection to the same file.
pub(super) struct Original {
    pub path: PathBuf,
    pub file: File,
}

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Original {
    /// Opens it, where links lead to if it is one, since that is where SQLite has the files beside it.
    /// Nothing among them may be anything but a file: SQLite would wait in a pipe for ever.
    pub(super) fn open(path: &Path) -> Result<Original, Error> {
        let path = fs::canonicalize(path).map_err(|error| Error::Read(path.into(), error))?;
        for side in SIDES.map(|suffix| beside(&path, suffix)) {
            // SQLite, too, follows no link to a file beside the database.
            match fs::symlink_metadata(&side) {
                Ok(about) if !about.is_file() => return Err(Error::NotAFile(side)),
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::Read(side, error));
                }
                _ => {}
            }
        }
        let file = open_quietly(&path).map_err(|error| Error::Read(path.clone(), error))?;
        let mut magic = [0; 16];
        match (&file).read_exact(&mut magic) {
            Ok(()) if magic == *MAGIC => {}
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                return Err(Error::Read(path, error));
            }
            _ => return Err(Error::NotSqlite(path)),
        }
        Ok(Original { path, file })
    }

    /// Does the header say that a write-ahead log is used? (Bytes 18 and 19 are 2.)
    pub(super) fn uses_log(&self) -> Result<bool, Error> {
        let mut versions = [0; 2];
        self.file
            .read_exact_at(&mut versions, 18)
            .map_err(|error| Error::Read(self.path.clone(), error))?;
        Ok(versions == [2, 2])
    }

    /// Is there a write-ahead log with something in it? SQLite reads one whatever the header says,
    /// and makes an index beside it.
    pub(super) fn has_log(&self) -> bool {
        fs::metadata(self.side("-wal")).is_ok_and(|log| log.len() > 0)
    }

    /// Is there a journal, and nobody who is writing it? SQLite would tell as well, but run by
    /// root it sets the owner of a journal that it opens, and with it the time of change.
    pub(super) fn has_hot_journal(&self) -> bool {
        let journal = fs::metadata(self.side("-journal"));
        if !journal.is_ok_and(|journal| journal.len() > 0) {
            return false;
        }
        // A writer keeps a lock on some bytes of the database; one on all of them is had only when
        // there is no writer, and is given back at once.
        let free = fcntl_lock(&self.file, FlockOperation::NonBlockingLockShared).is_ok();
        let _ = fcntl_lock(&self.file, FlockOperation::Unlock);
        free
    }

    /// The path of a file beside it: `-wal`, `-journal`.
    pub(super) fn side(&self, suffix: &str) -> PathBuf {
        beside(&self.path, suffix)
    }

    /// The bytes of the database and its side files: what the copy may need.
    pub(super) fn size_with_sides(&self) -> Result<u64, Error> {
        let database = self
            .file
            .metadata()
            .map_err(|error| Error::Read(self.path.clone(), error))?;
        let mut size = database.len();
        for suffix in ["-wal", "-journal"] {
            size += fs::metadata(self.side(suffix)).map_or(0, |side| side.len());
        }
        Ok(size)
    }
}

/// Opens a regular file for reading without changing its access time, where the owner allows that.
/// What is none is not opened, and where it becomes one in this moment, is not waited in.
pub(super) fn open_quietly(path: &Path) -> io::Result<File> {
    let is_file = |is_file| match is_file {
        true => Ok(()),
        false => Err(io::Error::other("it is not a regular file")),
    };
    is_file(fs::symlink_metadata(path)?.is_file())?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    // Only the owner of a file may ask for this; for others an access is an access.
    let file = match rustix::fs::open(path, flags | OFlags::NOATIME, Mode::empty()) {
        Err(rustix::io::Errno::PERM) => rustix::fs::open(path, flags, Mode::empty()),
        opened => opened,
    };
    let file = File::from(file?);
    is_file(file.metadata()?.is_file())?;
    Ok(file)
}

/// How a file is now.
pub(super) fn look(now: &Metadata) -> Look {
    Look {
        inode: (now.dev(), now.ino()),
        size: now.len(),
        modified: (now.mtime(), now.mtime_nsec()),
        changed: (now.ctime(), now.ctime_nsec()),
    }
}
