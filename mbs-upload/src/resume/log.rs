//! The journal's file: locked against a second process, only ever appended to, synced for several
//! workers at a time.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use wire::{Exit, Fatal, Line, OrFatal};

/// An open journal.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    state: Mutex<State>,
    synced: Condvar,
}

#[derive(Debug)]
struct State {
    /// Length of the file as far as it holds whole lines.
    written: u64,
    /// How much of it is safe from a power cut.
    safe: u64,
    /// Somebody is making it so.
    syncing: bool,
    /// The last line has no end: the next one must not be taken for the rest of it.
    torn: bool,
    /// Why nothing can be written any more.
    broken: Option<String>,
}

impl Log {
    /// Opens the file, made with its folder as needed, and locks it until the process ends.
    ///
    /// # Errors
    /// Refused when another process has it; usage when it cannot be a journal.
    pub fn open(path: &Path) -> Result<Log, Fatal> {
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        fs::create_dir_all(folder)
            .or_fatal(Exit::Usage, format_args!("{}: make", folder.display()))?;
        let log = Log::lock_file(path, open_file(path)?)?;
        // So that the file's name survives a power cut, too.
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .or_fatal(
                Exit::GaveUp,
                format_args!("{}: write to disk", folder.display()),
            )?;
        Ok(log)
    }

    fn lock_file(path: &Path, file: File) -> Result<Log, Fatal> {
        let shown = path.display();
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = format!("{shown}: lock: another process writes this journal");
                return Err(Fatal::new(Exit::Refused, message));
            }
            Err(TryLockError::Error(error)) => {
                let message = format!("{shown}: lock: {error}");
                return Err(Fatal::new(Exit::GaveUp, message));
            }
        }
        // Not before: whoever had the lock may have written until just now.
        let written = file
            .metadata()
            .or_fatal(Exit::GaveUp, format_args!("{shown}: stat"))?
            .len();
        Ok(Log {
            path: path.into(),
            file,
            state: Mutex::new(State {
                written,
                safe: 0,
                syncing: false,
                torn: false,
                broken: None,
            }),
            synced: Condvar::new(),
        })
    }

    /// The file, to be read from its start.
    pub fn reader(&self) -> &File {
        &self.file
    }

    /// What was read ends in the middle of a line.
    pub fn mark_torn(&self) {
        self.lock().torn = true;
    }

    /// Why nothing can be written any more.
    pub fn trouble(&self) -> Option<String> {
        self.lock().broken.clone()
    }

    /// Appends a line; gives the length to be made safe for it.
    ///
    /// # Errors
    /// One line that names the file. Whatever was written of the line is taken back.
    pub fn append(&self, line: &Line) -> Result<u64, String> {
        let mut state = self.lock();
        if let Some(why) = &state.broken {
            return Err(why.clone());
        }
        let mut bytes = Vec::with_capacity(line.len() + 1);
        if state.torn {
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(line.open_bytes());
        bytes.extend_from_slice(b"}\n");
        if let Err(error) = (&self.file).write_all(&bytes) {
            // Should that fail, too, a torn line is left, which readers pass by.
            let _ = self.file.set_len(state.written);
            return Err(self.give_up(&mut state, "write", &error));
        }
        state.torn = false;
        state.written += bytes.len() as u64;
        Ok(state.written)
    }

    /// Returns when the file up to this length is safe. Of several who wait, one does it for all.
    ///
    /// # Errors
    /// One line that names the file.
    pub fn sync(&self, length: u64) -> Result<(), String> {
        let mut state = self.lock();
        loop {
            if state.safe >= length {
                return Ok(());
            }
            if let Some(why) = &state.broken {
                return Err(why.clone());
            }
            if state.syncing {
                state = self
                    .synced
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.syncing = true;
            let written = state.written;
            drop(state);
            let result = self.file.sync_data();
            state = self.lock();
            state.syncing = false;
            match result {
                Ok(()) => state.safe = written,
                Err(error) => drop(self.give_up(&mut state, "write to disk", &error)),
            }
            self.synced.notify_all();
        }
    }

    fn give_up(&self, state: &mut State, act: &str, error: &io::Error) -> String {
        let why = format!("{}: {act}: {error}", self.path.display());
        state.broken = Some(why.clone());
        why
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open_file(path: &Path) -> Result<File, Fatal> {
    let shown = path.display();
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)
        .or_fatal(Exit::Usage, format_args!("{shown}: open"))?;
    let metadata = file
        .metadata()
        .or_fatal(Exit::Usage, format_args!("{shown}: stat"))?;
    if !metadata.is_file() {
        let message = format!("{shown}: open: a journal must be a regular file");
        return Err(Fatal::new(Exit::Usage, message));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_process_before_wrote_last_is_not_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let before = Log::lock_file(&path, open_file(&path).unwrap()).unwrap();
        let file = open_file(&path).unwrap();
        before.append(&Line::new("x")).unwrap();
        drop(before);
        let log = Log::lock_file(&path, file).unwrap();
        assert_eq!(log.lock().written, fs::metadata(&path).unwrap().len());
    }
}
