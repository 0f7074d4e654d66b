//! Where whole lines wait for their write, and what an error of stdout is.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
};

/// A pipe takes up to this many bytes in one piece (PIPE_BUF on Linux), so that lines of several
/// writers never tear each other.
const PIPE_BYTES: usize = 4096;
const FILE_BYTES: usize = 64 * 1024;

/// The buffer before stdout.
pub(crate) struct Sink {
    out: File,
    waiting: Vec<u8>,
    limit: usize,
    /// What goes before the first line.
    pub(crate) header: Vec<u8>,
    /// An error met while nobody was there to be told, kept for the next call.
    error: Option<io::Error>,
    pub(crate) closed: bool,
}

impl Sink {
    /// Before stdout, whatever that is.
    pub(crate) fn stdout() -> io::Result<Sink> {
        let stdout = io::stdout();
        let regular = rustix::fs::fstat(stdout.as_fd())
            .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file());
        Ok(Sink {
            // A copy of the descriptor: std's own line buffering would cut the writes again.
            out: File::from(stdout.as_fd().try_clone_to_owned()?),
            waiting: Vec::with_capacity(FILE_BYTES),
            limit: if regular { FILE_BYTES } else { PIPE_BYTES },
            header: Vec::new(),
            error: None,
            closed: false,
        })
    }

    /// Takes one whole line, given in parts.
    pub(crate) fn take(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        self.waiting.append(&mut self.header);
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if self.waiting.len() + length > self.limit {
            self.flush()?;
        }
        for part in parts {
            self.waiting.extend_from_slice(part);
        }
        Ok(())
    }

    /// Writes what waits.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        if self.waiting.is_empty() {
            return Ok(());
        }
        let written = self.out.write_all(&self.waiting);
        // What could not be written is gone with its reader; writing it twice would double records.
        self.waiting.clear();
        written.map_err(StdoutError::wrap)
    }

    /// Writes what waits, on a thread that cannot tell anybody of an error: the next call will.
    pub(crate) fn flush_later_errors(&mut self) {
        if self.error.is_none() {
            self.error = self.flush().err();
        }
    }
}

/// Marks an error of stdout, so that a broken pipe there is not confused with one to a server.
#[derive(Debug)]
pub(crate) struct StdoutError(io::Error);

impl StdoutError {
    pub(crate) fn wrap(error: io::Error) -> io::Error {
        io::Error::new(error.kind(), StdoutError(error))
    }

    /// Was it stdout's reader that went away?
    pub(crate) fn is_closed_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
        error.downcast_ref::<io::Error>().is_some_and(|error| {
            error.kind() == io::ErrorKind::BrokenPipe
                && error
                    .get_ref()
                    .is_some_and(|inner| inner.is::<StdoutError>())
        })
    }
}

impl std::fmt::Display for StdoutError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "stdout: write: {}", self.0)
    }
}

impl std::error::Error for StdoutError {}
