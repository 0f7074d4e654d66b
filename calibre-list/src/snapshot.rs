//! A private copy of `metadata.db`, so that a slow reader of our records never makes Calibre wait.
//!
//! Nothing of the library is changed: no byte, no time, no side file. How it is copied depends on
//! what is there:
//!
//! | found | done |
//! | --- | --- |
//! | rollback journal, at rest or in use | reflink under SQLite's read lock, or SQLite's backup in short steps |
//! | write-ahead log, no `-wal` | the file is copied; SQLite would leave `-wal` and `-shm` behind |
//! | write-ahead log with a `-wal` | both are copied until they stand still, and the copy is opened |
//! | hot journal of a crashed writer | both are copied, and the copy rolls back |
//!
//! `immutable=1` would be simpler and wrong: it ignores locks, journals and logs.

mod backup;
mod file_copy;
mod original;
mod private;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rusqlite::{Connection, OptionalExtension, config::DbConfig};

use crate::{
    Error,
    rows::{Extent, Schema},
};
use original::Original;
use private::Private;

/// How to take a snapshot.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many connections to the copy are needed, one for each thread that reads.
    pub readers: usize,
    /// How long to wait for a lock. Calibre itself waits 10 s.
    pub lock_wait: Duration,
    /// What will be read of it.
    pub extent: Extent,
    /// Where to put the copy; `$TMPDIR`, else `/var/tmp`, when `None`.
    pub folder: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            readers: 1,
            lock_wait: Duration::from_secs(15),
            extent: Extent::Files,
            folder: None,
        }
    }
}

/// How the original was found, and so how it was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A copy that shares its blocks with the original, made under the read lock.
    Reflink,
    /// SQLite's backup, step by step.
    Backup,
    /// A write-ahead log that is at rest: the file alone.
    LogAtRest,
    /// A write-ahead log in use: the file and its log.
    Log,
    /// A hot journal: the file and the journal, rolled back in the copy.
    HotJournal,
}

/// A copy of the database as it stood at one moment. Its file has no name any more, so it is gone
/// with this process, however that ends.
#[derive(Debug)]
pub struct Snapshot {
    /// Connections to the copy, as many as were asked for.
    pub readers: Vec<Connection>,
    /// What tables and columns it has.
    pub schema: Schema,
    /// The library's own id, a uuid, where it has one.
    pub library: Option<String>,
    /// How it was copied.
    pub way: Way,
    /// How long the original was looked at.
    pub took: Duration,
}

/// What became of one attempt.
enum Attempt {
    Done(Private, Way),
    /// The original turned out to be in another state than it seemed.
    Again,
    /// A crashed writer left its journal.
    HotJournal,
}

impl Snapshot {
    /// Copies the database at `database` as it stands now.
    ///
    /// # Errors
    /// See [`Error`]: each cause is told apart.
    pub fn take(database: &Path, options: &Options) -> Result<Snapshot, Error> {
        let started = Instant::now();
        let mut hot = false;
        loop {
            let original = Original::open(database)?;
            let size = original.size_with_sides()?;
            let private = Private::new(options, size)?;
            let attempt = if original.uses_log()? || original.has_log() {
                file_copy::with_log(&original, private)?
            } else if hot || original.has_hot_journal() {
                file_copy::roll_back(&original, private)?
            } else {
                backup::copy(&original, private, options.lock_wait)?
            };
            drop(original);
            hot = matches!(attempt, Attempt::HotJournal);
            if let Attempt::Done(private, way) = attempt {
                let took = started.elapsed();
                let readers = private.into_readers();
                let schema = Schema::read(&readers[0], database, options.extent)?;
                let library = library_id(&readers[0], &schema)
                    .map_err(|error| Error::sqlite(database, error))?;
                return Ok(Snapshot {
                    readers,
                    schema,
                    library,
                    way,
                    took,
                });
            }
            if started.elapsed() > options.lock_wait.max(COPY_TIMEOUT) {
                return Err(Error::Changing(database.into()));
            }
            if wire::stop::sleep(Duration::from_millis(50)) {
                return Err(Error::Stopped);
            }
        }
    }
}

fn library_id(reader: &Connection, schema: &Schema) -> rusqlite::Result<Option<String>> {
    if !schema.has("library_id", "uuid") {
        return Ok(None);
    }
    let from = schema.from("library_id");
    let first = format!("SELECT uuid FROM {from} ORDER BY rowid LIMIT 1");
    reader.query_row(&first, [], |row| row.get(0)).optional()
}

/// What a file may make SQLite do is bounded: what it calls a table is not computed, and a signal ends
/// whatever is read.
fn guard(connection: &mut Connection, stop: fn() -> bool) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.progress_handler(STEPS, Some(stop))
}

/// Steps of SQLite's machine between two looks at the stop flag: about a millisecond.
const STEPS: i32 = 100_000;

/// How long to go on trying to catch a database that keeps changing.
const COPY_TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn endless() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        let view = "CREATE VIEW endless(x) AS
                    WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT x FROM n";
        connection.execute_batch(view).unwrap();
        connection
    }

    /// One that did not look at the flag was deaf to a TERM.
    #[test]
    fn a_query_without_an_end_ends_when_it_is_asked_to_stop() {
        let mut connection = endless();
        guard(&mut connection, || true).unwrap();
        let view = DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW;
        connection.set_db_config(view, true).unwrap();
        let read = connection.query_row("SELECT count(*) FROM endless", [], |_| Ok(()));
        let error = Error::sqlite("x", read.unwrap_err());
        assert!(matches!(error, Error::Stopped), "{error}");
    }

    #[test]
    fn no_view_is_computed() {
        let mut connection = endless();
        guard(&mut connection, || false).unwrap();
        let read = connection.query_row("SELECT x FROM endless", [], |_| Ok(()));
        assert!(read.is_err());
    }
}
