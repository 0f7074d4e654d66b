//! Digests kept between runs in an SQLite file, for libraries of which little changes in a day.
//!
//! An entry belongs to a path and is believed only while inode, size, mtime and ctime are those of
//! the file that was hashed. The device is not asked: its number changes over a reboot, and two
//! files at one path that agree in the other four are one file.
//!
//! Nothing is kept of a file that was changed less than a minute before it was hashed. A program that has
//! mapped a file into its memory (mmap) changes bytes without times, until the system has written that
//! page to the disk, some 30 s after its first change; the next change shows. What remains: file systems
//! in memory (tmpfs) write nothing, so a file there that a program keeps mapped can change unseen; and so
//! can any file while `vm.dirty_expire_centisecs` is set to more than half a minute.
//!
//! The cache makes a run quicker, never wrong and never worse: where it fails half-way (disk full,
//! locked, damaged) the run goes on without it, and [`Cache::trouble`] says so once. Several
//! processes may share one file; each adds its entries in short transactions.

mod file;

use std::{
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::{Digest, Stamp};
pub use file::OpenError;

/// So many entries go into one transaction, or those of a second.
const BATCH: usize = 1000;
const BATCH_TIME: Duration = Duration::from_secs(1);

const FIND: &str =
    "SELECT sha1 FROM digest WHERE path = ? AND inode = ? AND size = ? AND mtime = ? AND ctime = ?";
const KEEP: &str = "INSERT OR REPLACE INTO digest (path, inode, size, mtime, ctime, sha1)
                    VALUES (?, ?, ?, ?, ?, ?)";

/// A file that was changed later than this before it was hashed is not kept.
pub const STILL: Duration = Duration::from_secs(60);

/// An open cache; any thread may use it.
pub struct Cache {
    still: Duration,
    inner: Mutex<Inner>,
    /// Threads that want the lock.
    queue: AtomicUsize,
    failed: AtomicBool,
}

struct Inner {
    connection: Connection,
    /// Look-ups in the read transaction that is open; 0 when none is.
    looked_up: usize,
    waiting: Vec<(Box<[u8]>, Digest)>,
    since: Instant,
    trouble: Option<String>,
}

impl Cache {
    /// Opens the cache at `path`, making it where there is nothing or an empty file. What was not `still`
    /// for so long is not kept: [`STILL`], or less where all writers are known.
    ///
    /// # Errors
    /// See [`OpenError`]; a file that is no cache of ours is left as it is.
    pub fn open(path: &Path, still: Duration) -> Result<Cache, OpenError> {
        Ok(Cache {
            still,
            inner: Mutex::new(Inner {
                connection: file::open(path)?,
                looked_up: 0,
                waiting: Vec::new(),
                since: Instant::now(),
                trouble: None,
            }),
            queue: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
        })
    }

    /// The SHA-1 of the file at `path`, if one is known for exactly this stamp.
    pub fn get(&self, path: &Path, stamp: &Stamp) -> Option<[u8; 20]> {
        let key = Key::of(stamp)?;
        if self.failed.load(Ordering::Relaxed) {
            return None;
        }
        self.with(|inner| inner.find(path, &key)).flatten()
    }

    /// Keeps a digest that was begun at the time `begun`, unless its file was not still then.
    pub fn put(&self, path: &Path, digest: &Digest, begun: SystemTime) {
        let keep = digest.stamp.still_for(self.still, begun) && Key::of(&digest.stamp).is_some();
        if !keep || self.failed.load(Ordering::Relaxed) {
            return;
        }
        self.with(|inner| {
            if inner.waiting.is_empty() {
                inner.since = Instant::now();
            }
            let path = path.as_os_str().as_bytes().into();
            inner.waiting.push((path, *digest));
            if inner.waiting.len() >= BATCH || inner.since.elapsed() >= BATCH_TIME {
                inner.write()?;
            }
            Ok(())
        });
    }

    /// What ended the use of the cache, one line, told once.
    pub fn trouble(&self) -> Option<String> {
        if !self.failed.load(Ordering::Relaxed) {
            return None;
        }
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.trouble.take()
    }

    /// Writes what waits. Dropping the cache does so too, but cannot say that it failed.
    pub fn flush(&self) {
        if !self.failed.load(Ordering::Relaxed) {
            self.with(Inner::write);
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> rusqlite::Result<T>) -> Option<T> {
        self.queue.fetch_add(1, Ordering::Relaxed);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        self.queue.fetch_sub(1, Ordering::Relaxed);
        let acted = act(&mut inner).and_then(|value| {
            // Locking the file costs more than looking it up. Only who has a successor leaves the
            // transaction open for it, so that none stays open while nobody asks.
            if self.queue.load(Ordering::Relaxed) == 0 || inner.looked_up >= BATCH {
                inner.end_reading()?;
            }
            Ok(value)
        });
        match acted {
            Ok(value) => Some(value),
            Err(error) => {
                inner.waiting = Vec::new();
                // Another thread may have waited for the lock while the first one met the trouble.
                if !self.failed.swap(true, Ordering::Relaxed) {
                    inner.trouble = Some(error.to_string());
                }
                None
            }
        }
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Inner {
    fn find(&mut self, path: &Path, key: &Key) -> rusqlite::Result<Option<[u8; 20]>> {
        if self.looked_up == 0 {
            self.connection.prepare_cached("BEGIN")?.execute([])?;
        }
        self.looked_up += 1;
        let path = path.as_os_str().as_bytes();
        self.connection
            .prepare_cached(FIND)?
            .query_row(
                params![path, key.inode, key.size, key.mtime, key.ctime],
                |row| row.get(0),
            )
            .optional()
    }

    fn end_reading(&mut self) -> rusqlite::Result<()> {
        if self.looked_up > 0 {
            self.looked_up = 0;
            self.connection.prepare_cached("COMMIT")?.execute([])?;
        }
        Ok(())
    }

    fn write(&mut self) -> rusqlite::Result<()> {
        self.end_reading()?;
        if self.waiting.is_empty() {
            return Ok(());
        }
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut keep = transaction.prepare_cached(KEEP)?;
            for (path, digest) in &self.waiting {
                let Some(key) = Key::of(&digest.stamp) else {
                    continue;
                };
                keep.execute(params![
                    path,
                    key.inode,
                    key.size,
                    key.mtime,
                    key.ctime,
                    digest.sha1
                ])?;
            }
        }
        transaction.commit()?;
        self.waiting.clear();
        Ok(())
    }
}

/// A stamp as SQLite's signed integers hold it.
struct Key {
    inode: i64,
    size: i64,
    mtime: i64,
    ctime: i64,
}

impl Key {
    /// Nothing for times beyond the years 1677 to 2262: such files are not kept, rather than taken
    /// for one another.
    fn of(stamp: &Stamp) -> Option<Key> {
        Some(Key {
            inode: stamp.inode.cast_signed(),
            size: stamp.size.cast_signed(),
            mtime: stamp.mtime.try_into().ok()?,
            ctime: stamp.ctime.try_into().ok()?,
        })
    }
}
