//! What goes into the pool and what comes out of it.

use std::{
    io,
    path::{Path, PathBuf},
};

use hash_files::{Digest, HashError};
use wire::{Line, Record, Writer, progress::Unit, records::FILE_HASH, write::Trouble};

/// One thing to be answered by one line.
pub(crate) enum Task {
    /// A file to hash, and the record that named it.
    Hash(PathBuf, Option<Record>),
    /// A record that passes through.
    Pass(Record),
    /// Something that cannot even be tried.
    Fail(Failure),
}

/// The answer.
pub(crate) enum Outcome {
    Hashed(Unit, Line),
    Pass(Record),
    Fail(Failure),
}

/// An item that failed, and all that is known of it.
#[derive(Default)]
pub(crate) struct Failure {
    pub record: Option<Record>,
    pub was: Option<&'static str>,
    pub path: Option<PathBuf>,
    pub object: String,
    pub op: &'static str,
    pub message: String,
    pub retry: bool,
}

impl Failure {
    /// A line or name on standard input that is none.
    pub(crate) fn of_input(number: u64, message: impl Into<String>) -> Failure {
        Failure {
            object: format!("stdin:{number}"),
            op: "read",
            message: message.into(),
            ..Failure::default()
        }
    }

    /// A path of our own that cannot be used.
    pub(crate) fn of_path(path: &Path, op: &'static str, message: impl Into<String>) -> Failure {
        Failure {
            was: Some(FILE_HASH.name),
            path: Some(path.into()),
            object: path.to_string_lossy().into(),
            op,
            message: message.into(),
            ..Failure::default()
        }
    }
}

impl Outcome {
    pub(crate) fn hashed(
        unit: Unit,
        path: &Path,
        record: Option<&Record>,
        digest: &Digest,
    ) -> Outcome {
        let mut line = Line::new(FILE_HASH.name);
        line.path(path)
            .text("sha1", &digest.hex())
            .int("size", digest.stamp.size)
            .text("mtime", &digest.stamp.mtime_text());
        if let Some(record) = record {
            line.inherit(record);
        }
        Outcome::Hashed(unit, line)
    }

    pub(crate) fn failed(path: &Path, record: Option<Record>, error: &HashError) -> Outcome {
        Outcome::Fail(Failure {
            record,
            retry: error.retry(),
            ..Failure::of_path(path, error.op(), error.to_string())
        })
    }

    pub(crate) fn write(&self, out: &Writer) -> io::Result<()> {
        match self {
            Outcome::Hashed(unit, line) => out.write_as(*unit, line),
            Outcome::Pass(record) => out.pass(record),
            Outcome::Fail(failure) => {
                let trouble = Trouble {
                    op: failure.op,
                    message: &failure.message,
                    retry: failure.retry,
                };
                match &failure.record {
                    Some(record) => out.fail(record, &failure.object, trouble),
                    None => out.fail_new(failure.was, &failure.object, trouble, |line| {
                        if let Some(path) = &failure.path {
                            line.path(path);
                        }
                    }),
                }
            }
        }
    }
}
