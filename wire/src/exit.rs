//! Exit codes: an interface that shell scripts, make and xargs depend on.

use std::{fmt, process::ExitCode};

/// How a tool ended. `xargs` goes on after every code but 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done; duplicates and zero results are "done" too.
    Done = 0,
    /// The run went to its end, but `failed` in the summary is above 0: some items failed, here or in an
    /// earlier step, each with a record that says why.
    SomeFailed = 1,
    /// The command line, or what it points to, makes no sense; nothing was done.
    Usage = 2,
    /// Refused for safety; nothing was changed.
    Refused = 3,
    /// Gave up: a database or server out of reach, a refused login, a full disk.
    GaveUp = 255,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// An error that ends the tool with a code of its own.
///
/// An error of any other type that reaches [`Tool::run`](crate::Tool::run) ends it with
/// [`Exit::GaveUp`].
#[derive(Debug)]
pub struct Fatal {
    /// The code to end with.
    pub exit: Exit,
    /// `object: act: reason`, one line; the tool's name is put before it.
    pub message: String,
}

impl Fatal {
    /// An error for `anyhow`'s `bail!` and `?`.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Fatal {
        Fatal {
            exit,
            message: message.to_string(),
        }
    }
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fatal {}

/// Gives an error its exit code where it is first known what it means for the run.
pub trait OrFatal<T> {
    /// Turns an error into a [`Fatal`] whose message is `context: error`.
    fn or_fatal(self, exit: Exit, context: impl fmt::Display) -> Result<T, Fatal>;
}

impl<T, E: fmt::Display> OrFatal<T> for Result<T, E> {
    fn or_fatal(self, exit: Exit, context: impl fmt::Display) -> Result<T, Fatal> {
        self.map_err(|error| Fatal::new(exit, format_args!("{context}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn the_numbers_are_the_contract() {
        let numbers = [
            Exit::Done,
            Exit::SomeFailed,
            Exit::Usage,
            Exit::Refused,
            Exit::GaveUp,
        ]
        .map(|e| e as u8);
        assert_eq!(numbers, [0, 1, 2, 3, 255]);
    }
}
