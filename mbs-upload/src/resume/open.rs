//! A journal opened and read, before it is held against the server.

use std::{
    fs::{self, File},
    io::{self, BufReader},
    path::Path,
};

use wire::{Exit, Fatal, OrFatal};

use crate::resume::{
    log::Log,
    past::{NO_JOURNAL, Past},
};

/// A journal's file and what it tells, before the server was asked whether it is the right one.
#[derive(Debug)]
pub struct Opened {
    /// Its name for people.
    pub shown: String,
    /// Nothing in a dry run or a look ahead, which write nothing.
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
    let shown = path.display();
    let wrong = |error: io::Error| {
        let exit = match error.kind() {
            io::ErrorKind::InvalidData => Exit::Usage,
            _ => Exit::GaveUp,
        };
        Fatal::new(exit, format!("{shown}: read: {error}"))
    };
    let read = |file: &File| Past::read(BufReader::with_capacity(1 << 18, file)).map_err(wrong);
    if only_read {
        let (past, file) = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Past::default(), None),
            Ok(metadata) if !metadata.is_file() => {
                return Err(wrong(io::Error::new(
                    io::ErrorKind::InvalidData,
                    NO_JOURNAL,
                )));
            }
            _ => {
                let file = File::open(path);
                let file = file.or_fatal(Exit::Usage, format_args!("{shown}: open"))?;
                (read(&file)?, Some(file))
            }
        };
        return Ok(Opened {
            shown: shown.to_string(),
            log: None,
            file,
            past,
        });
    }
    let log = Log::open(path)?;
    let past = read(log.reader())?;
    let file = log.reader().try_clone().map_err(wrong)?;
    if past.torn {
        log.mark_torn();
    }
    Ok(Opened {
        shown: shown.to_string(),
        log: Some(log),
        file: Some(file),
        past,
    })
}
