//! What goes into the pool and what comes out of it.

use std::{
    ffi::OsStr,
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use hash_files::{Digest, HashError, digest::hex, tar::Member};
use wire::{Line, Record, Writer, progress::Unit, records::FILE_HASH, write::ItemError};

use crate::archives::Hashed;

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
    /// Of an archive's member.
    pub at: Option<At>,
    pub object: String,
    pub op: &'static str,
    pub message: String,
    pub retry: bool,
}

/// Where in its archive a member is.
pub(crate) struct At {
    pub name: PathBuf,
    pub offset: u64,
}

impl At {
    pub(crate) fn of(member: &Member) -> At {
        At {
            name: OsStr::from_bytes(&member.name).into(),
            offset: member.offset,
        }
    }

    fn write(&self, line: &mut Line, archive: &Path) {
        line.path_as("archive", "archive_b64", archive)
            .path_as("member", "member_b64", &self.name)
            .int("offset", self.offset);
    }
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

    /// A file without a digest.
    pub(crate) fn of_hash(path: &Path, record: Option<Record>, error: &HashError) -> Failure {
        let message = match error {
            HashError::NotRegular(kind @ "a directory") if record.is_none() => {
                format!("{kind}; -r hashes the files in it")
            }
            error => error.to_string(),
        };
        Failure {
            record,
            retry: error.retry(),
            ..Failure::of_path(path, error.op(), message)
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

    /// A member of the archive at `path`, which `record` named.
    pub(crate) fn member(
        path: &Path,
        record: Option<&Record>,
        member: &Member,
        hashed: &Hashed,
    ) -> Outcome {
        let mut line = Line::new(FILE_HASH.name);
        line.path(path)
            .text("sha1", &hex(&hashed.sha1))
            .int("size", member.size)
            .text("mtime", &hashed.mtime);
        At::of(member).write(&mut line, path);
        match &hashed.format {
            Some(format) => line.text("format", format),
            // The archive's own is not its.
            None => line.omit("format"),
        };
        if let Some(record) = record {
            line.inherit(record);
        }
        Outcome::Hashed(Unit::Work, line)
    }

    pub(crate) fn write(&self, out: &Writer) -> io::Result<()> {
        match self {
            Outcome::Hashed(unit, line) => out.write_as(*unit, line),
            Outcome::Pass(record) => out.pass(record),
            Outcome::Fail(failure) => {
                let item_error = ItemError {
                    op: failure.op,
                    message: &failure.message,
                    retry: failure.retry,
                };
                match (&failure.record, &failure.at) {
                    (Some(record), None) => out.fail(record, &failure.object, item_error),
                    (record, at) => {
                        out.fail_new(failure.was, &failure.object, item_error, |line| {
                            if let Some(path) = &failure.path {
                                line.path(path);
                                if let Some(at) = at {
                                    at.write(line, path);
                                    // What the record says of these, it says of the archive.
                                    for field in ["sha1", "size", "mtime", "format"] {
                                        line.omit(field);
                                    }
                                }
                            }
                            if let Some(record) = record {
                                line.inherit(record);
                            }
                        })
                    }
                }
            }
        }
    }
}
