//! Copies databases that SQLite must not open in place: file by file, again and again, until none of
//! them changes meanwhile.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, SystemTime},
};

use super::{
    Attempt, Way,
    original::{Original, look, open_quietly},
    private::Private,
};
use crate::{Error, library::beside};

/// File times advance by ticks of the kernel's clock, 10 ms at most: what was written less than
/// this ago may be written again without its time changing.
const TICK: Duration = Duration::from_millis(20);

/// Copies a database that uses a write-ahead log.
pub(super) fn with_log(original: &Original, mut private: Private) -> Result<Attempt, Error> {
    let log_path = original.side("-wal");
    let log = match open_quietly(&log_path) {
        Ok(log) => Some(log),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(Error::Read(log_path, error)),
    };
    let Some(log) = log.filter(|log| log.metadata().is_ok_and(|log| log.len() > 0)) else {
        return at_rest(original, private);
    };
    // A log only grows until it is moved into the database and begun anew. While neither the
    // database nor the log's head changes, what was copied of it holds whole transactions, and a
    // last one cut short, which its checksums give away.
    let head = log_head(&log)?;
    let copied = unchanged(&original.file, &original.path, || {
        fill(&original.file, &private.create()?, &private)?;
        let side =
            File::create_new(side(&private, "-wal")).map_err(|error| private.failed(error))?;
        fill(&log, &side, &private)
    })?;
    if !copied || log_head(&log)? != head {
        return Ok(Attempt::Again);
    }
    // Exclusive, so that the log's index is kept in memory. Leaving the log's mode moves the log
    // into the copy.
    apply(
        &private,
        "PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE",
        original,
    )?;
    private.unname()?;
    Ok(Attempt::Done(private, Way::Log))
}

/// Copies a database whose log was moved into it when its last user left.
fn at_rest(original: &Original, mut private: Private) -> Result<Attempt, Error> {
    let copy = private.create()?;
    private.unname()?;
    let copied = unchanged(&original.file, &original.path, || {
        fill(&original.file, &copy, &private)
    })?;
    if !copied
        || original
            .side("-wal")
            .metadata()
            .is_ok_and(|log| log.len() > 0)
    {
        return Ok(Attempt::Again);
    }
    // The copy has no log and will have none: say so in its header, as SQLite itself would.
    copy.write_all_at(&[1, 1], 18)
        .map_err(|error| private.failed(error))?;
    Ok(Attempt::Done(private, Way::LogAtRest))
}

/// Copies a database and the journal of a writer that crashed; the copy rolls back.
pub(super) fn roll_back(original: &Original, mut private: Private) -> Result<Attempt, Error> {
    let journal_path = original.side("-journal");
    let journal = match open_quietly(&journal_path) {
        Ok(journal) => journal,
        // Calibre came back and has rolled back itself.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Attempt::Again),
        Err(error) => return Err(Error::Read(journal_path, error)),
    };
    if names_another(&journal).map_err(|error| Error::Read(journal_path.clone(), error))? {
        return Err(Error::Entangled(original.path.clone()));
    }
    let mut journal_still = false;
    let copied = unchanged(&original.file, &original.path, || {
        fill(&original.file, &private.create()?, &private)?;
        let side =
            File::create_new(side(&private, "-journal")).map_err(|error| private.failed(error))?;
        journal_still = unchanged(&journal, &journal_path, || fill(&journal, &side, &private))?;
        Ok(())
    })?;
    if !copied || !journal_still {
        return Ok(Attempt::Again);
    }
    apply(
        &private,
        "PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; COMMIT",
        original,
    )?;
    private.unname()?;
    Ok(Attempt::Done(private, Way::HotJournal))
}

/// Does the journal end in the name of one that it shares with other databases? SQLite would open the
/// file of that name, wherever it is and whatever it is.
fn names_another(journal: &File) -> io::Result<bool> {
    let mut end = [0; MAGIC.len()];
    let Some(at) = journal.metadata()?.len().checked_sub(end.len() as u64) else {
        return Ok(false);
    };
    journal.read_exact_at(&mut end, at)?;
    Ok(end == MAGIC)
}

/// The last bytes of such a journal (fileformat2.html, 3).
const MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];

/// Opens the copy as its only user, which makes it whole.
fn apply(private: &Private, statements: &str, original: &Original) -> Result<(), Error> {
    let writer = private.open_writer()?;
    writer
        .execute_batch(statements)
        .map_err(|error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => private.sqlite(error),
            _ => Error::sqlite(&original.path, error),
        })
}

fn side(private: &Private, suffix: &str) -> std::path::PathBuf {
    beside(&private.path(), suffix)
}

/// Runs `copying`. Says whether the file did not change meanwhile, and is still the one at `path`.
fn unchanged(
    file: &File,
    path: &Path,
    copying: impl FnOnce() -> Result<(), Error>,
) -> Result<bool, Error> {
    let before = file
        .metadata()
        .map_err(|error| Error::Read(path.into(), error))?;
    let age = before.modified().map_or(TICK, |at| {
        SystemTime::now().duration_since(at).unwrap_or(TICK)
    });
    if age < TICK {
        return Ok(false);
    }
    copying()?;
    match fs::metadata(path) {
        Ok(after) => Ok(look(&after) == look(&before)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::Read(path.into(), error)),
    }
}

/// The log's first 32 bytes: its salts change whenever it is begun anew.
fn log_head(log: &File) -> Result<[u8; 32], Error> {
    let mut head = [0; 32];
    match log.read_exact_at(&mut head, 0) {
        // Emptied this moment.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok([0; 32]),
        Err(error) => Err(Error::Read("metadata.db-wal".into(), error)),
        Ok(()) => Ok(head),
    }
}

/// Copies the whole of a file that others may read and write at the same time.
fn fill(from: &File, to: &File, private: &Private) -> Result<(), Error> {
    let failed = |error| private.failed(error);
    if rustix::fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    let mut buffer = vec![0; 1 << 20];
    let mut offset = 0;
    let mut to = to;
    loop {
        if wire::stop::requested() {
            return Err(Error::Stopped);
        }
        match from.read_at(&mut buffer, offset).map_err(failed)? {
            0 => return Ok(()),
            read => {
                to.write_all(&buffer[..read]).map_err(failed)?;
                offset += read as u64;
            }
        }
    }
}
