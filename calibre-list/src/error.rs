//! What can go wrong with a library, told in one line that says what to do about it.

use std::{io, path::PathBuf};

use rusqlite::{ErrorCode, ffi};
use wire::Exit;

/// Why a library could not be read. The text is `object: act: reason`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such folder.
    #[error("{}: open library: {}", .0.display(), .1)]
    Folder(PathBuf, io::Error),
    /// The folder holds no database.
    #[error("{}: open library: there is no metadata.db in it; give the folder that Calibre calls the library", .0.display())]
    NoDatabase(PathBuf),
    /// The database is a symbolic link to nothing.
    #[error("{}: open library: it is a link that leads nowhere; is its disk mounted?", .0.display())]
    Dangling(PathBuf),
    /// It is a folder, a pipe, a socket or a device.
    #[error("{}: open: it is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// The folder has a database, and another one is named.
    #[error("{}: open library: the folder has this database, and {} is named (--db, --metadata-db or CALIBRE_OVERRIDE_DATABASE_PATH); name none, or move the one that is out of date away", .0.display(), .1.display())]
    TwoDatabases(PathBuf, PathBuf),
    /// What the database's name leads to has changed.
    #[error("{}: open library: it is another file now than it was at the start", .0.display())]
    Replaced(PathBuf),
    /// The file is none of SQLite's.
    #[error("{}: open: this is not a SQLite database", .0.display())]
    NotSqlite(PathBuf),
    /// A database, but not Calibre's.
    #[error("{}: open: this is not a Calibre library: it has no {}", .0.display(), .1)]
    NotCalibre(PathBuf, String),
    /// The file could not be opened or read.
    #[error("{}: read: {}", .0.display(), .1)]
    Read(PathBuf, #[source] io::Error),
    /// Somebody holds the lock.
    #[error("{}: read: another program has kept it locked for {} s; try again when it is idle", .0.display(), .1)]
    Locked(PathBuf, u64),
    /// It never stood still.
    #[error("{}: copy: it kept changing while it was copied; try again when Calibre is idle", .0.display())]
    Changing(PathBuf),
    /// Something in it has a name of Calibre's, but is not what Calibre made of it.
    #[error("{}: open: this is not a Calibre library: its {} is no ordinary table", .0.display(), .1)]
    OddTable(PathBuf, String),
    /// It contradicts itself.
    #[error("{}: read: the database is damaged ({}); close Calibre and restore it from what it keeps beside the books: calibredb restore_database --really-do-it --with-library LIBRARY", .0.display(), .1)]
    Damaged(PathBuf, Damage),
    /// A crashed writer left a journal that belongs to several databases.
    #[error("{}: read: a program crashed while writing to several databases; open the library in Calibre once", .0.display())]
    Entangled(PathBuf),
    /// No memory is left to read it with.
    #[error("{}: read: there is too little memory for it (see ulimit -v, or the limit of the container)", .0.display())]
    Memory(PathBuf),
    /// No room for the private copy.
    #[error("{}: copy the database here: {}; set TMPDIR to a folder with more space", .0.display(), .1)]
    NoSpace(PathBuf, String),
    /// The private copy could not be made for another reason.
    #[error("{}: copy the database here: {}", .0.display(), .1)]
    Private(PathBuf, #[source] io::Error),
    /// Anything else that SQLite says.
    #[error("{}: read: {}", .0.display(), .1)]
    Sqlite(PathBuf, #[source] rusqlite::Error),
    /// A signal asked for it.
    #[error("stopped")]
    Stopped,
}

/// What is wrong with a database.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// SQLite came upon it.
    #[error("{0}")]
    Found(rusqlite::Error),
    /// An index and its table hold different rows.
    #[error("index {0} and table {1} differ")]
    Index(String, String),
}

impl Error {
    /// What this means for a tool.
    pub fn exit(&self) -> Exit {
        match self {
            Error::Folder(..)
            | Error::NoDatabase(_)
            | Error::Dangling(_)
            | Error::NotAFile(_)
            | Error::NotSqlite(_)
            | Error::NotCalibre(..)
            | Error::OddTable(..) => Exit::Usage,
            Error::TwoDatabases(..) | Error::Replaced(_) => Exit::Refused,
            Error::Read(..)
            | Error::Locked(..)
            | Error::Changing(_)
            | Error::Damaged(..)
            | Error::Entangled(_)
            | Error::Memory(_)
            | Error::NoSpace(..)
            | Error::Private(..)
            | Error::Sqlite(..)
            | Error::Stopped => Exit::GaveUp,
        }
    }

    /// An error of SQLite about this database.
    pub fn sqlite(database: impl Into<PathBuf>, error: rusqlite::Error) -> Error {
        let database = database.into();
        let extended = error.sqlite_error().map(|error| error.extended_code);
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Error::Damaged(database, Damage::Found(error))
            }
            Some(ErrorCode::OutOfMemory) => Error::Memory(database),
            _ if extended == Some(ffi::SQLITE_IOERR_NOMEM) => Error::Memory(database),
            // The progress handler saw the signal.
            Some(ErrorCode::OperationInterrupted) => Error::Stopped,
            _ => Error::Sqlite(database, error),
        }
    }

    /// An error of writing into the private folder.
    pub(crate) fn private(folder: impl Into<PathBuf>, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Error::NoSpace(folder.into(), error.to_string())
            }
            _ => Error::Private(folder.into(), error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It was called damaged, out of memory.
    #[test]
    fn too_little_memory_is_no_damage() {
        for code in [ffi::SQLITE_NOMEM, ffi::SQLITE_IOERR_NOMEM] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            let error = Error::sqlite("metadata.db", error);
            assert!(matches!(error, Error::Memory(_)), "{error}");
        }
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), None);
        assert!(matches!(
            Error::sqlite("metadata.db", error),
            Error::Damaged(..)
        ));
    }
}
