//! The place of the private copy: a file that loses its name before the first byte is in it.

use std::{
    env,
    fs::{File, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use super::{Options, guard};
use crate::Error;

/// Room for what grows beside the copy while it is made.
const MARGIN: u64 = 1 << 20;

pub(super) struct Private {
    parent: PathBuf,
    /// `None` once the name is gone.
    folder: Option<TempDir>,
    readers: Vec<Connection>,
    wanted: usize,
}

impl Private {
    /// A folder of our own, on a file system that has `size` bytes left.
    pub(super) fn new(options: &Options, size: u64) -> Result<Private, Error> {
        let parent = options.folder.clone().unwrap_or_else(default_folder);
        let failed = |error: io::Error| Error::private(&parent, error);
        let space = rustix::fs::statvfs(&parent).map_err(|error| failed(error.into()))?;
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        if free < size + MARGIN {
            return Err(Error::NoSpace(
                parent,
                format!(
                    "{} MB are needed and {} MB are free",
                    size.div_ceil(1_000_000),
                    free / 1_000_000
                ),
            ));
        }
        let folder = tempfile::Builder::new()
            .prefix("calibre-list-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(&parent)
            .map_err(failed)?;
        Ok(Private {
            parent,
            folder: Some(folder),
            readers: Vec::new(),
            wanted: options.readers,
        })
    }

    /// The path of the copy, as long as it has one.
    pub(super) fn path(&self) -> PathBuf {
        self.folder
            .as_ref()
            .map_or_else(PathBuf::new, |folder| folder.path().join("metadata.db"))
    }

    /// The error of a failed write into the copy.
    pub(super) fn failed(&self, error: io::Error) -> Error {
        Error::private(&self.parent, error)
    }

    /// The error of SQLite writing into the copy.
    pub(super) fn sqlite(&self, error: rusqlite::Error) -> Error {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => {
                Error::NoSpace(self.parent.clone(), "the disk is full".into())
            }
            _ => Error::sqlite(&self.parent, error),
        }
    }

    /// Makes the file of the copy, still empty.
    pub(super) fn create(&self) -> Result<File, Error> {
        File::create_new(self.path()).map_err(|error| self.failed(error))
    }

    /// A connection that fills the copy. A crash of ours throws the copy away, so nothing is
    /// journalled or synced.
    pub(super) fn open_writer(&self) -> Result<Connection, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        open(&self.path(), flags).map_err(|error| self.sqlite(error))
    }

    /// Opens the readers' connections and takes the name away: from here on even kill -9 leaves
    /// nothing behind. Opening reads nothing, so the copy may be filled afterwards.
    pub(super) fn unname(&mut self) -> Result<(), Error> {
        let path = self.path();
        for _ in 0..self.wanted.max(1) {
            self.readers
                .push(open_reader(&path).map_err(|error| self.sqlite(error))?);
        }
        match self.folder.take().map(TempDir::close) {
            Some(Err(error)) => Err(self.failed(error)),
            _ => Ok(()),
        }
    }

    pub(super) fn into_readers(self) -> Vec<Connection> {
        self.readers
    }
}

fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    open(path, flags)
}

fn open(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_with_flags(path, flags)?;
    guard(&mut connection, wire::stop::requested)?;
    Ok(connection)
}

/// The database may be gigabytes: not `/tmp`, which often is memory.
fn default_folder() -> PathBuf {
    env::var_os("TMPDIR")
        .filter(|folder| !folder.is_empty())
        .map_or_else(|| "/var/tmp".into(), PathBuf::from)
}
