//! An append-only file of records: what a run has done, and what it is about to do.
//!
//! One process at a time writes it. A line counts when its newline is there: a last line without one was
//! cut short by a kill or a power cut, is no record, and is cut off before the next line is written. A
//! line that could not be written is taken back. So each line that a writer ever waited for can be read,
//! whatever happens between two of its bytes; a line that cannot be read is named, and hides no other.

mod read;
#[cfg(test)]
mod tests;

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use crate::{Exit, Fatal, Line, OrFatal};

pub use read::{Entry, Reader};

/// An open journal, locked until it is dropped.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    state: Mutex<State>,
    synced: Condvar,
}

#[derive(Debug)]
struct State {
    /// Length of the whole lines.
    whole: u64,
    /// There may be a piece of a line behind them.
    torn: bool,
    /// How much of them is safe from a power cut.
    safe: u64,
    /// A thread is making more of it so.
    syncing: bool,
    /// The first failure.
    failed: Option<WriteError>,
    /// A sync failed: what reached the disk is unknown from then on.
    lost: bool,
}

/// Why a line is not in the journal, or not on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteError(String);

impl std::fmt::Display for WriteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WriteError {}

impl Journal {
    /// Opens a journal whose first record is of the type `head`.
    ///
    /// # Errors
    /// Usage: there is none, or it is no such journal. Refused: another process has it open.
    pub fn open(path: &Path, head: &str) -> Result<Journal, Fatal> {
        Journal::open_with(OpenOptions::new(), path, head)
    }

    /// As [`Journal::open`]; a file that is not there is made, with these permissions.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_or_create(path: &Path, head: &str, mode: u32) -> Result<Journal, Fatal> {
        let mut options = OpenOptions::new();
        options.create(true).mode(mode);
        Journal::open_with(options, path, head)
    }

    fn open_with(mut options: OpenOptions, path: &Path, head: &str) -> Result<Journal, Fatal> {
        let shown = path.display();
        let gave_up = |act: &str| format!("{shown}: {act}");
        let file = options.read(true).append(true).open(path);
        let file = file.or_fatal(Exit::Usage, format_args!("{shown}: open"))?;
        let metadata = file.metadata().or_fatal(Exit::GaveUp, gave_up("stat"))?;
        if !metadata.is_file() {
            let why = format_args!("{shown}: open: a journal must be a regular file");
            return Err(Fatal::new(Exit::Usage, why));
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let why = format_args!("{shown}: lock: another process writes this journal");
                return Err(Fatal::new(Exit::Refused, why));
            }
            Err(TryLockError::Error(error)) => {
                return Err(Fatal::new(
                    Exit::GaveUp,
                    format_args!("{shown}: lock: {error}"),
                ));
            }
        }
        // Not before: whoever had the lock may have written until just now.
        let length = file
            .metadata()
            .or_fatal(Exit::GaveUp, gave_up("stat"))?
            .len();
        if !begins_with(&file, head).or_fatal(Exit::GaveUp, gave_up("read"))? {
            let why =
                format_args!("{shown}: read: no journal: it does not begin with a {head} record");
            return Err(Fatal::new(Exit::Usage, why));
        }
        let whole = whole_lines(&file, length).or_fatal(Exit::GaveUp, gave_up("read"))?;
        if whole == 0 {
            // The name must survive a power cut as well as what is written under it.
            let folder = path.parent().filter(|folder| *folder != Path::new(""));
            let folder = File::open(folder.unwrap_or(Path::new(".")));
            let synced = folder.and_then(|folder| folder.sync_all());
            synced.or_fatal(Exit::GaveUp, gave_up("sync its folder"))?;
        }
        Ok(Journal {
            path: path.into(),
            file,
            state: Mutex::new(State {
                whole,
                torn: whole < length,
                safe: 0,
                syncing: false,
                failed: None,
                lost: false,
            }),
            synced: Condvar::new(),
        })
    }

    /// Its path, as it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file, for reading at a place.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Does it hold a whole line?
    pub fn is_begun(&self) -> bool {
        self.lock().whole > 0
    }

    /// Appends a line. Returns the length to be given to [`Journal::sync`].
    ///
    /// # Errors
    /// The line is not in the journal; a later one may be.
    pub fn append(&self, line: &Line) -> Result<u64, WriteError> {
        let mut state = self.lock();
        let bytes = line.bytes();
        let written = self.cut_torn(&mut state).and_then(|()| {
            state.torn = true;
            (&self.file).write_all(&bytes)
        });
        match written {
            Ok(()) => {
                state.torn = false;
                state.whole += bytes.len() as u64;
                Ok(state.whole)
            }
            Err(error) => {
                // Should this fail, too, the piece of a line has no newline, and the next call cuts it off.
                let _ = self.cut_torn(&mut state);
                Err(self.fail(&mut state, "write", &error))
            }
        }
    }

    fn cut_torn(&self, state: &mut State) -> io::Result<()> {
        if state.torn {
            self.file.set_len(state.whole)?;
            state.torn = false;
        }
        Ok(())
    }

    /// Returns when the file is on disk up to this length. Of several threads that wait, one syncs for all.
    ///
    /// # Errors
    /// It is unknown what is on disk.
    pub fn sync(&self, length: u64) -> Result<(), WriteError> {
        let mut state = self.lock();
        while state.safe < length {
            if let (true, Some(failed)) = (state.lost, &state.failed) {
                return Err(failed.clone());
            }
            if state.syncing {
                let waited = self.synced.wait(state);
                state = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.syncing = true;
            let whole = state.whole;
            drop(state);
            let result = self.file.sync_data();
            state = self.lock();
            state.syncing = false;
            match result {
                Ok(()) => state.safe = whole,
                Err(error) => {
                    state.lost = true;
                    state.failed = None;
                    self.fail(&mut state, "write to disk", &error);
                }
            }
            self.synced.notify_all();
        }
        Ok(())
    }

    /// Appends a line and returns when it is on disk.
    ///
    /// # Errors
    /// As [`Journal::append`] and [`Journal::sync`].
    pub fn append_synced(&self, line: &Line) -> Result<(), WriteError> {
        self.append(line).and_then(|length| self.sync(length))
    }

    /// The first failure, if there was one.
    pub fn failure(&self) -> Option<WriteError> {
        self.lock().failed.clone()
    }

    fn fail(&self, state: &mut State, act: &str, error: &io::Error) -> WriteError {
        let failed = WriteError(format!("{}: {act}: {error}", self.path.display()));
        state.failed.get_or_insert_with(|| failed.clone());
        failed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last whole line of a journal that nobody writes.
///
/// # Errors
/// It cannot be read, or a process is writing it.
pub fn last_line(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    file.try_lock_shared()?;
    let end = whole_lines(&file, file.metadata()?.len())?;
    let start = whole_lines(&file, end.saturating_sub(1))?;
    let mut line = vec![0; (end - start) as usize];
    file.read_exact_at(&mut line, start)?;
    Ok(line)
}

/// Is this the beginning of such a journal, or nothing yet, or what a power cut leaves of its first line?
fn begins_with(file: &File, head: &str) -> io::Result<bool> {
    let head = format!("{{\"type\":\"{head}\"");
    let mut start = vec![0; head.len()];
    let read = file.read_at(&mut start, 0)?;
    let line = start[..read].split(|&byte| byte == b'\n').next();
    let line = line.unwrap_or_default();
    Ok(head.as_bytes().starts_with(line) || line.iter().all(|&byte| byte == 0))
}

/// How long the whole lines in the first `length` bytes are.
fn whole_lines(file: &File, length: u64) -> io::Result<u64> {
    let mut block = vec![0; 64 << 10];
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let part = &mut block[..(end - start) as usize];
        file.read_exact_at(part, start)?;
        if let Some(at) = memchr::memrchr(b'\n', part) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}
