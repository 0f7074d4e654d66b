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
mod original;
mod private;
mod still;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rusqlite::Connection;

use crate::{Error, rows::Schema};
use original::Original;
use private::Private;

/// How to take a snapshot.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many connections to the copy are needed, one for each thread that reads.
    pub readers: usize,
    /// How long to wait for a lock. Calibre's own patience is 10 s.
    pub lock_wait: Duration,
    /// Where to put the copy; `$TMPDIR`, else `/var/tmp`, when `None`.
    pub folder: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            readers: 1,
            lock_wait: Duration::from_secs(15),
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
                still::copy(&original, private)?
            } else if hot || original.has_hot_journal() {
                still::roll_back(&original, private)?
            } else {
                backup::copy(&original, private, options.lock_wait)?
            };
            drop(original);
            hot = matches!(attempt, Attempt::HotJournal);
            if let Attempt::Done(private, way) = attempt {
                let took = started.elapsed();
                let readers = private.into_readers();
                let schema = Schema::read(&readers[0], database)?;
                return Ok(Snapshot {
                    readers,
                    schema,
                    way,
                    took,
                });
            }
            if started.elapsed() > options.lock_wait.max(PATIENCE) {
                return Err(Error::Changing(database.into()));
            }
            if wire::stop::sleep(Duration::from_millis(50)) {
                return Err(Error::Stopped);
            }
        }
    }
}

impl Snapshot {
    /// The library's own id, a uuid, where it has one.
    pub fn library_id(&self) -> Option<String> {
        self.readers[0]
            .query_row("SELECT uuid FROM library_id LIMIT 1", [], |row| row.get(0))
            .ok()
    }
}

/// How long to go on trying to catch a database that keeps changing.
const PATIENCE: Duration = Duration::from_secs(30);
