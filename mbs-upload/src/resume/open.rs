//! A journal opened and read, before it is compared with the server.

use std::{
    fs::{self, File},
    io::{self, BufReader},
    path::Path,
};

use wire::{Exit, Fatal, OrFatal, journal::Journal as Log};

use crate::resume::past::{NO_JOURNAL, Past};

/// A journal's file and what it says, before the server was asked whether it is the right one.
#[derive(Debug)]
pub struct Opened {
    /// Its name for people.
    pub shown: String,
    /// Absent in a dry run or a preflight, which write nothing.
    pub(super) log: Option<Log>,
    /// What was read of it can be read once more.
    pub(super) file: Option<File>,
    pub(super) past: Past,
}

/// Opens a journal, locks it and reads it; with `only_read` it is only read, if it is there.
///
/// # Errors
/// The file cannot be opened or read, is locked, or is no journal.
pub fn open(path: &Path, only_read: bool) -> Result<Opened, Fatal> {
    let shown = path.display().to_string();
    let wrong = |error: io::Error| {
        let exit = match error.kind() {
            io::ErrorKind::InvalidData => Exit::Usage,
            _ => Exit::GaveUp,
        };
        Fatal::new(exit, format!("{shown}: read: {error}"))
    };
    let read = |file: &File| Past::read(BufReader::with_capacity(1 << 18, file)).map_err(wrong);
    if !only_read {
        if let Some(folder) = path.parent() {
            let made = fs::create_dir_all(folder);
            made.or_fatal(Exit::Usage, format_args!("{}: make", folder.display()))?;
        }
        let log = Log::open_or_create(path, "journal", 0o666)?;
        let past = read(log.file())?;
        let file = Some(log.file().try_clone().map_err(wrong)?);
        return Ok(Opened {
            log: Some(log),
            file,
            past,
            shown,
        });
    }
    let (past, file) = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => (Past::default(), None),
        Ok(metadata) if !metadata.is_file() => {
            return Err(wrong(io::Error::new(
                io::ErrorKind::InvalidData,
                NO_JOURNAL,
            )));
        }
        _ => {
            let file = File::open(path).or_fatal(Exit::Usage, format_args!("{shown}: open"))?;
            (read(&file)?, Some(file))
        }
    };
    Ok(Opened {
        log: None,
        file,
        past,
        shown,
    })
}
