//! Where the files come from: arguments, names on standard input, records on standard input.

mod names;
mod walk;

use std::{
    env,
    io::{self, BufReader, Read},
    ops::ControlFlow,
    path::{Path, PathBuf, absolute},
};

use wire::{Exit, Item, OrFatal, Reader, Record, Writer, records::Summary, stop};

use crate::{
    feed::Feed,
    task::{Failure, Task},
};
pub(crate) use walk::Walk;

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
    /// Feeds everything that the source names, and returns what the summary will hold.
    ///
    /// # Errors
    /// Standard input cannot be read.
    pub(crate) fn read(self, out: &Writer, feed: &Feed<'_, '_, '_>) -> anyhow::Result<Summary> {
        match self {
            Source::Arguments(paths, walk, one_each) => {
                if one_each {
                    out.progress().expect(paths.len() as u64);
                }
                let mut given = Given::new(walk);
                let _ = paths.iter().try_for_each(|path| given.feed(path, feed));
                Ok(given.summary())
            }
            Source::Names(walk) => {
                let mut given = Given::new(walk);
                let mut names = names::Names::new(stdin(feed));
                while let Some(name) = names.next().or_fatal(Exit::GaveUp, "stdin: read")? {
                    let flow = match name {
                        Ok(name) => given.feed(&name, feed),
                        Err(why) => feed.push(Task::Fail(Failure::of_input(names.number(), why))),
                    };
                    if flow.is_break() {
                        break;
                    }
                }
                Ok(given.summary())
            }
            Source::Records => records(out, feed),
        }
    }
}

fn stdin(feed: &Feed<'_, '_, '_>) -> BufReader<impl Read> {
    BufReader::with_capacity(1 << 16, feed.input(stop::stdin()))
}

/// The files and folders that a person names.
struct Given {
    /// With -r: which files of a folder are wanted.
    walk: Option<Walk>,
    /// The current folder, asked for once.
    here: io::Result<PathBuf>,
    /// Could every folder be listed?
    whole: bool,
}

impl Given {
    fn new(walk: Option<Walk>) -> Given {
        Given {
            walk,
            here: env::current_dir(),
            whole: true,
        }
    }

    fn feed(&mut self, name: &Path, feed: &Feed<'_, '_, '_>) -> ControlFlow<()> {
        let path = match self.absolute(name) {
            Ok(path) => path,
            Err(why) => {
                return feed.push(Task::Fail(Failure {
                    object: format!("argument {:?}", name.display()),
                    op: "open",
                    message: why.to_string(),
                    ..Failure::default()
                }));
            }
        };
        match &self.walk {
            Some(walk) if path.is_dir() => walk.folder(&path, &mut self.whole, feed),
            _ => feed.push(Task::Hash(path, None)),
        }
    }

    /// Not canonical: symbolic links and `..` stay as they were given.
    fn absolute(&self, name: &Path) -> io::Result<PathBuf> {
        match &self.here {
            Ok(here) if name.is_relative() && !name.as_os_str().is_empty() => {
                absolute(here.join(name))
            }
            _ => absolute(name),
        }
    }

    fn summary(self) -> Summary {
        let selection = self.walk.as_ref().and_then(Walk::selection);
        Summary {
            complete: self.whole && selection.is_none(),
            selection,
            ..Summary::default()
        }
    }
}

fn records(out: &Writer, feed: &Feed<'_, '_, '_>) -> anyhow::Result<Summary> {
    let mut reader = Reader::new(stdin(feed));
    while let Some(item) = reader.next_item().or_fatal(Exit::GaveUp, "stdin: read")? {
        let task = match item {
            Item::Record(record) => task(record),
            Item::Unusable(number, why) => Task::Fail(Failure::of_input(number, why)),
        };
        if feed.push(task).is_break() {
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
