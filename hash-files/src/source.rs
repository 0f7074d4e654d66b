//! Where the files come from: arguments, names on standard input, records on standard input.

mod names;
mod walk;

use std::{
    io::BufReader,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use wire::{Exit, Item, OrFatal, Reader, Record, Writer, records::Summary, stop};

use crate::task::{Failure, Task};
pub(crate) use walk::Walk;

/// Takes the next task; breaks off when no more are wanted.
pub(crate) type Push<'a> = dyn FnMut(Task) -> ControlFlow<()> + 'a;

/// A place that names files.
pub(crate) enum Source {
    /// Paths on the command line, and whether there will be as many results.
    Arguments(Vec<PathBuf>, Option<Walk>, bool),
    /// NUL-separated names on standard input.
    Names(Option<Walk>),
    /// Records on standard input.
    Records,
}

impl Source {
    /// Pushes everything that the source names, and says what the stream's summary will hold.
    ///
    /// # Errors
    /// Standard input cannot be read, or the current folder is gone.
    pub(crate) fn feed(self, out: &Writer, push: &mut Push<'_>) -> anyhow::Result<Summary> {
        match self {
            Source::Arguments(paths, walk, one_each) => {
                if one_each {
                    out.progress().expect(paths.len() as u64);
                }
                let mut whole = true;
                for path in paths {
                    if give(&path, walk.as_ref(), &mut whole, push)?.is_break() {
                        break;
                    }
                }
                Ok(summary(walk.as_ref(), whole))
            }
            Source::Names(walk) => {
                let mut whole = true;
                let mut names = names::Names::new(BufReader::with_capacity(1 << 16, stop::stdin()));
                while let Some(name) = names.next().or_fatal(Exit::GaveUp, "stdin: read")? {
                    let flow = match name {
                        Ok(name) => give(&name, walk.as_ref(), &mut whole, push)?,
                        Err(why) => push(Task::Fail(Failure::of_input(names.number(), why))),
                    };
                    if flow.is_break() {
                        break;
                    }
                }
                Ok(summary(walk.as_ref(), whole))
            }
            Source::Records => records(out, push),
        }
    }
}

fn summary(walk: Option<&Walk>, whole: bool) -> Summary {
    let selection = walk.and_then(Walk::selection);
    Summary {
        complete: whole && selection.is_none(),
        selection,
        ..Summary::default()
    }
}

/// Pushes what one name stands for: a file, or with -r all files in a folder. `whole` turns false
/// when a folder could not be read.
fn give(
    name: &Path,
    walk: Option<&Walk>,
    whole: &mut bool,
    push: &mut Push<'_>,
) -> anyhow::Result<ControlFlow<()>> {
    // Not canonical: symbolic links and `..` stay as they were given.
    let path = match std::path::absolute(name) {
        Ok(path) => path,
        Err(why) => {
            let shown = format!("argument {:?}", name.display());
            let failure = Failure {
                object: shown,
                op: "open",
                message: why.to_string(),
                ..Failure::default()
            };
            return Ok(push(Task::Fail(failure)));
        }
    };
    if !path.is_dir() {
        return Ok(push(Task::Hash(path, None)));
    }
    match walk {
        Some(walk) => Ok(walk.folder(&path, whole, push)),
        None => {
            let why = "a directory; -r hashes the files in it";
            Ok(push(Task::Fail(Failure::of_path(&path, "open", why))))
        }
    }
}

fn records(out: &Writer, push: &mut Push<'_>) -> anyhow::Result<Summary> {
    let mut reader = Reader::new(BufReader::with_capacity(1 << 16, stop::stdin()));
    while let Some(item) = reader.next_item().or_fatal(Exit::GaveUp, "stdin: read")? {
        let task = match item {
            Item::Record(record) => task(record),
            Item::Unusable(number, why) => Task::Fail(Failure::of_input(number, why)),
        };
        if push(task).is_break() {
            break;
        }
    }
    let verdict = reader.completeness().report();
    if let Some(why) = &verdict.why {
        out.warn("stdin", "check", why);
    }
    Ok(verdict.summary())
}

/// What a record asks for. An error stays what it is, and what has no path has nothing to hash.
fn task(record: Record) -> Task {
    if record.kind() == "error" {
        return Task::Pass(record);
    }
    let (shown, problem) = match record.path_of("path", "path_b64") {
        None => return Task::Pass(record),
        // Its path is the archive's, whose digest is another.
        Some(Ok(path)) if record.text("member").is_some() => (
            path.to_string_lossy().into(),
            "a member of an archive: hash-files --tar reads the archive itself".into(),
        ),
        Some(Ok(path)) if path.is_absolute() => return Task::Hash(path, Some(record)),
        Some(Ok(path)) => (
            path.to_string_lossy().into(),
            "the path is not absolute".into(),
        ),
        Some(Err(why)) => (record.text("path").unwrap_or_default().into_owned(), why),
    };
    Task::Fail(Failure {
        record: Some(record),
        object: shown,
        op: "read",
        message: problem,
        ..Failure::default()
    })
}
