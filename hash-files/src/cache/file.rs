//! The cache's file: made, told from others', opened.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

/// "mbsh", in the header of the file where `file(1)` and we look for it.
const APPLICATION: i32 = 0x6d62_7368;
/// Of the table below. Another number is another tool's age: such a file is left alone.
const VERSION: i32 = 1;
const TABLE: &str = "CREATE TABLE digest (
    path  BLOB PRIMARY KEY,
    inode INTEGER NOT NULL,
    size  INTEGER NOT NULL,
    mtime INTEGER NOT NULL,
    ctime INTEGER NOT NULL,
    sha1  BLOB NOT NULL
) STRICT, WITHOUT ROWID";
/// Another process's transaction takes milliseconds; who holds the file longer than this is stuck.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a cache cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The path cannot be a cache: the caller named a wrong one. The file was not touched.
    #[error("{}: open the hash cache: {why}", path.display())]
    Wrong {
        /// The path.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// It is or may be a cache, but cannot be used now: locked, damaged, disk full.
    #[error("{}: open the hash cache: {why}", path.display())]
    Unusable {
        /// The path.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// What a database is to us.
#[derive(Debug, PartialEq)]
enum Owner {
    Nobody,
    Us,
    Others(&'static str),
}

/// Opens the cache at `path`, or makes it.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    let wrong = |why: String| OpenError::Wrong {
        path: path.into(),
        why,
    };
    // SQLite follows a link to the database, but none to what lies beside it.
    let database = fs::canonicalize(path).unwrap_or_else(|_| path.into());
    for side in ["-wal", "-journal", "-shm"] {
        let mut name = database.clone().into_os_string();
        name.push(side);
        if fs::symlink_metadata(name).is_ok_and(|side| !side.is_file()) {
            return Err(wrong(format!("its {side} is not a regular file")));
        }
    }
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => return Err(wrong("not a regular file".into())),
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(wrong(error.to_string()));
        }
        _ => {}
    }
    prepare(path).map_err(|trouble| match trouble {
        Trouble::Foreign(why) => wrong(format!("{why}; name another file, or a new one")),
        Trouble::Sqlite(error) => match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => {
                wrong("the file is no SQLite database; name another file, or a new one".into())
            }
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => wrong(error.to_string()),
            _ => OpenError::Unusable {
                path: path.into(),
                why: error.to_string(),
            },
        },
    })
}

enum Trouble {
    Foreign(&'static str),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Trouble {
        Trouble::Sqlite(error)
    }
}

fn prepare(path: &Path) -> Result<Connection, Trouble> {
    // Without the URI flag, which would read meaning into a name with a question mark.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    if owner(&connection)? == Owner::Nobody {
        // Two processes may have come this far; the second finds the work done.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if owner(&transaction)? == Owner::Nobody {
            transaction.execute_batch(TABLE)?;
            transaction.pragma_update(None, "application_id", APPLICATION)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        transaction.commit()?;
    }
    if let Owner::Others(why) = owner(&connection)? {
        return Err(Trouble::Foreign(why));
    }
    // With a log, readers do not wait for a writer. Where it cannot be had (a network file system,
    // another process busy) all works without, only slower.
    let _ = connection.pragma_update(None, "journal_mode", "wal");
    // A power failure may take the last entries, never the file; a killed process takes nothing.
    connection.pragma_update(None, "synchronous", "normal")?;
    Ok(connection)
}

fn owner(connection: &Connection) -> rusqlite::Result<Owner> {
    let number = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    // A view or a trigger could compute for ever, or do anything else.
    let only_ours = "SELECT count(*) = 1 AND min(sql) = ?1 FROM sqlite_schema";
    let application = number("PRAGMA application_id")?;
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    let version = number("PRAGMA user_version")?;
    Ok(match (application, tables) {
        (0, 0) if version == 0 => Owner::Nobody,
        (application, _) if application != i64::from(APPLICATION) => {
            Owner::Others("the database is not a hash cache")
        }
        _ if version != i64::from(VERSION) => {
            Owner::Others("the hash cache is of another version of this tool")
        }
        _ if !connection.query_row(only_ours, [TABLE], |row| row.get(0))? => {
            Owner::Others("the hash cache holds what this tool did not make")
        }
        _ => Owner::Us,
    })
}
