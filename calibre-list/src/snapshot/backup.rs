//! A database with a rollback journal: under SQLite's own read lock, as shortly as can be.
//!
//! Calibre gives up after waiting 10 s for a lock. A step of the backup holds it for milliseconds;
//! when Calibre writes in between, SQLite starts the backup over. After a few restarts the lock is
//! held over many steps, but never longer than [`HOLD_MOST`]: by then the file is in memory, and a
//! million books take less than a second.

use std::time::{Duration, Instant};

use rusqlite::{
    Connection, ErrorCode, OpenFlags,
    backup::{Backup, StepResult},
};

use super::{Attempt, Way, guard, original::Original, private::Private};
use crate::Error;

/// Pages in a step: 8 MB with Calibre's page size.
const STEP: i32 = 2048;
/// Restarts after which short steps are not expected to get through.
const RESTARTS: u32 = 3;
/// How long the read lock is held over several steps: at first, and at most. It grows from one time
/// to the next, since what has been read once is in memory, unless that is small.
const HOLD_FIRST: Duration = Duration::from_secs(2);
const HOLD_MOST: Duration = Duration::from_secs(5);
/// How often it is held, each time after a pause for the writer.
const HOLDS: u32 = 10;
/// How often a lock is asked for. SQLite itself waits up to 100 ms between two tries, in which a
/// busy writer comes and goes many times; and its backup does not wait at all.
const ASK_EVERY: Duration = Duration::from_millis(2);
/// The writer's turn between two times that the lock is held.
const PAUSE: Duration = Duration::from_millis(300);

pub(super) fn copy(
    original: &Original,
    mut private: Private,
    lock_wait: Duration,
) -> Result<Attempt, Error> {
    // A connection that may write would recover journals and leave side files.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error| Error::sqlite(&original.path, error);
    let mut source = Connection::open_with_flags(&original.path, flags).map_err(failed)?;
    guard(&mut source, wire::stop::requested).map_err(failed)?;
    source.busy_timeout(Duration::ZERO).map_err(failed)?;
    let file = private.create()?;
    let mut writer = private.open_writer()?;
    private.unname()?;

    match lock(&source, original, lock_wait)? {
        Lock::Held => {}
        Lock::HotJournal => return Ok(Attempt::HotJournal),
    }
    let reflinked = rustix::fs::ioctl_ficlone(&file, &original.file).is_ok();
    unlock(&source).map_err(failed)?;
    if reflinked {
        return Ok(Attempt::Done(private, Way::Reflink));
    }
    writer
        .execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
        .map_err(|error| private.sqlite(error))?;
    in_steps(&source, &mut writer, original, &private, lock_wait)?;
    Ok(Attempt::Done(private, Way::Backup))
}

enum Lock {
    Held,
    HotJournal,
}

/// Takes the read lock, which any read does.
fn lock(source: &Connection, original: &Original, wait: Duration) -> Result<Lock, Error> {
    let started = Instant::now();
    loop {
        let read = source.execute_batch("BEGIN; SELECT count(*) FROM sqlite_master");
        let Err(error) = read else {
            return Ok(Lock::Held);
        };
        // A failed read leaves its transaction open.
        if !source.is_autocommit() {
            unlock(source).map_err(|error| Error::sqlite(&original.path, error))?;
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                wait_for_lock(original, started, wait)?;
            }
            // What a journal that needs rolling back says to a reader.
            Some(ErrorCode::ReadOnly) => return Ok(Lock::HotJournal),
            Some(ErrorCode::CannotOpen) if original.side("-journal").exists() => {
                return Ok(Lock::HotJournal);
            }
            _ => return Err(Error::sqlite(&original.path, error)),
        }
    }
}

fn unlock(source: &Connection) -> rusqlite::Result<()> {
    source.execute_batch("COMMIT")
}

fn wait_for_lock(original: &Original, started: Instant, wait: Duration) -> Result<(), Error> {
    let left = wait.saturating_sub(started.elapsed());
    let _waiting = wire::waiting::announce("the database is locked", left);
    if wire::stop::sleep(ASK_EVERY) {
        Err(Error::Stopped)
    } else if started.elapsed() >= wait {
        Err(Error::Locked(original.path.clone(), wait.as_secs()))
    } else {
        Ok(())
    }
}

fn in_steps(
    source: &Connection,
    writer: &mut Connection,
    original: &Original,
    private: &Private,
    lock_wait: Duration,
) -> Result<(), Error> {
    let failed = |error: rusqlite::Error| match error.sqlite_error_code() {
        // Only the copy is written to.
        Some(ErrorCode::DiskFull) => private.sqlite(error),
        _ => Error::sqlite(&original.path, error),
    };
    let backup = Backup::new(source, writer).map_err(failed)?;
    let (mut restarts, mut holds, mut done) = (0, 0, 0);
    let mut held: Option<Instant> = None;
    let mut waiting: Option<Instant> = None;
    loop {
        match backup.step(STEP).map_err(failed)? {
            StepResult::Done => break,
            StepResult::More => waiting = None,
            _ => {
                let since = *waiting.get_or_insert_with(Instant::now);
                wait_for_lock(original, since, lock_wait)?;
                continue;
            }
        }
        if wire::stop::requested() {
            return Err(Error::Stopped);
        }
        // A step that comes no further than the one before has started over.
        let progress = backup.progress();
        let reached = progress.pagecount - progress.remaining;
        restarts += u32::from(reached <= done);
        done = reached;
        let hold = HOLD_MOST.min(HOLD_FIRST + Duration::from_secs(holds.into()));
        if held.is_some_and(|since| since.elapsed() > hold) {
            unlock(source).map_err(failed)?;
            held = None;
            holds += 1;
            wire::stop::sleep(PAUSE);
        }
        if held.is_none() && restarts >= RESTARTS {
            if holds == HOLDS {
                return Err(Error::Changing(original.path.clone()));
            }
            match lock(source, original, lock_wait)? {
                Lock::Held => held = Some(Instant::now()),
                // The next attempt will find it.
                Lock::HotJournal => return Err(Error::Changing(original.path.clone())),
            }
        }
    }
    drop(backup);
    if held.is_some() {
        unlock(source).map_err(failed)?;
    }
    Ok(())
}
