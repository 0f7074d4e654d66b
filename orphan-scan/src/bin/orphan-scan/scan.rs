//! The walk through the library: every entry to its finding.

mod content;
mod entry;
mod job;
mod missing;

use std::{ffi::CStr, io, path::PathBuf};

use orphan_scan::{
    classes::{Class, Classification, Kind, Removable},
    folders::{self, Border, Closed, Entries, Folder, RootError, Visitor, is_mounted},
    names::Likeness,
    report::Part,
    reserved::{Area, Place},
    tracked::Row,
};
use rustix::{
    fs::{AtFlags, FileType, Statx, StatxFlags, statx},
    io::Errno,
};
use wire::{Line, crash, path::encode};

pub(crate) use job::Job;

use crate::{
    finding::{Finding, Stat, os},
    ledger::Counts,
    matching::Rows,
};

/// How many folders and files are asked for at the same time.
const WALKERS: usize = 16;

/// What is known of a folder before its entries are looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Here {
    place: Place,
    /// A link of the store leads to it, or to one above it, and so to all that is in it.
    linked: bool,
}

impl Here {
    const LIBRARY: Here = Here {
        place: Place::LIBRARY,
        linked: false,
    };
}

/// What a scan came to.
pub(crate) struct Scanned {
    pub(crate) counts: Counts,
    pub(crate) part: Part,
    /// It was not interrupted.
    pub(crate) whole: bool,
}

/// Why a scan ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The library's folder cannot be opened.
    #[error("{0}")]
    Root(RootError),
    /// stdout.
    #[error(transparent)]
    Out(#[from] io::Error),
}

/// Walks, and tells of each entry; then of what is missing.
///
/// # Errors
/// See [`Error`].
pub(crate) fn scan(job: &Job<'_>) -> Result<Scanned, Error> {
    let mut root = folders::open_root(job.root, Here::LIBRARY).map_err(Error::Root)?;
    root.context.linked = job.links_to_library(root.id);
    let mut walkers: Vec<_> = (0..crash::affordable_threads(WALKERS))
        .map(|_| Walker::new(job))
        .collect();
    let whole = folders::walk(root, Border::FileSystem, &mut walkers)?;
    let mut all = Scanned {
        counts: Counts::default(),
        part: Part::default(),
        whole,
    };
    for walker in walkers {
        all.counts.merge(&walker.counts);
        all.part.merge(walker.part);
    }
    if whole && !job.silent {
        let mut last = Walker::new(job);
        last.missing()?;
        all.counts.merge(&last.counts);
        all.part.merge(last.part);
    }
    Ok(all)
}

/// One thread of the walk.
pub(crate) struct Walker<'a> {
    job: &'a Job<'a>,
    line: Line,
    /// For hashing; made when it is first needed.
    buffer: Vec<u8>,
    counts: Counts,
    part: Part,
}

impl<'a> Walker<'a> {
    fn new(job: &'a Job<'a>) -> Walker<'a> {
        Walker {
            job,
            line: Line::new("finding"),
            buffer: Vec::new(),
            counts: Counts::default(),
            part: Part::default(),
        }
    }

    fn path(&self, below: &[u8]) -> PathBuf {
        match below.is_empty() {
            true => self.job.root.into(),
            false => self.job.root.join(os(below)),
        }
    }

    /// Tells one finding, and counts it. `failed` is what could not be done, for standard error.
    fn tell(
        &mut self,
        below: &[u8],
        finding: &Finding<'_>,
        failed: Option<(&str, &str)>,
    ) -> io::Result<()> {
        if self.job.silent {
            return Ok(());
        }
        let bytes = finding.seen.map_or(0, |seen| seen.size);
        self.counts.count(finding.classified.class, bytes);
        if self.job.report {
            self.part.add(
                finding.classified.class,
                finding.classified.removable,
                below,
                bytes,
            );
        }
        finding.put(&mut self.line);
        match failed {
            None => self.job.out.write(&self.line),
            Some((op, why)) => {
                let (shown, _) = encode(finding.path);
                self.job.out.fail_as(&self.line, &shown, op, why)
            }
        }
    }

    /// A folder that is one finding: a border, another library, one that cannot be read.
    fn whole_folder(
        &mut self,
        below: &[u8],
        classified: &Classification,
        seen: Option<Stat>,
        failed: Option<(&str, &str)>,
    ) -> io::Result<()> {
        // What is in it is not known, and its own bytes are none of a file's.
        let seen = seen.map(|seen| Stat { size: 0, ..seen });
        self.counts.walked.add(0);
        let finding = Finding {
            path: &self.path(below),
            classified,
            seen,
            content: None,
            row: None,
        };
        self.tell(below, &finding, failed)
    }
}

impl Visitor<Here> for Walker<'_> {
    type Error = Error;

    fn folder(
        &mut self,
        folder: &mut Folder<Here>,
        entries: &Entries,
        enter: &mut dyn FnMut(&CStr),
    ) -> Result<(), Error> {
        let job = self.job;
        let rows = Rows::new(job.tracked.in_folder(&folder.path));
        let mut place = folder.context.place;
        // A book's folder without its number is one by what is tracked in it.
        place.book |= place.area == Area::Books && !place.top && !rows.rows.is_empty();
        if let Some(why) = job.another_s(place, folder.id, entries) {
            if !job.tracked.any_below(&folder.path) {
                return Ok(self.whole_folder(
                    &folder.path,
                    &foreign(why),
                    itself(folder).ok(),
                    None,
                )?);
            }
            // Ours reaches into it. What is tracked has its finding, the rest is the other one's.
            place.area = Area::Foreign(why);
        }
        folder.context.place = place;
        folder.context.linked |= job.links_to_folder(folder.id);
        if let Some(error) = entries.error() {
            let why = error.to_string();
            let seen = itself(folder).ok();
            self.whole_folder(&folder.path, &unreadable(), seen, Some(("list", &why)))?;
            self.counts.blind += 1;
            job.not_looked_into(&folder.path);
        }
        self.entries(folder, rows, entries, enter)
    }

    fn context(&mut self, parent: &Folder<Here>, name: &CStr) -> Here {
        Here {
            place: parent.context.place.folder(name.to_bytes()),
            ..parent.context
        }
    }

    fn closed(
        &mut self,
        parent: &Folder<Here>,
        name: &CStr,
        context: Here,
        why: Closed,
    ) -> Result<(), Error> {
        let below = parent.below(name.to_bytes());
        let seen = parent.look(name).ok().map(|stat| Stat::of(&stat));
        let area = context.place.area;
        match (why, area) {
            // It was removed, or something else took its place: both while we looked.
            (Closed::Replaced(_), _) => {
                self.job.not_looked_into(&below);
                self.counts.vanished += 1;
            }
            (Closed::Border, _) => {
                let classified = foreign("another file system, or something is mounted here");
                self.whole_folder(&below, &classified, seen, None)?;
            }
            (Closed::Failed(_), Area::Foreign(why)) => {
                self.job.not_looked_into(&below);
                self.whole_folder(&below, &foreign(why), seen, None)?;
            }
            (Closed::Failed(_), Area::Internal(why)) => {
                self.job.not_looked_into(&below);
                let classified = Classification {
                    class: Class::Internal,
                    ..foreign(why)
                };
                self.whole_folder(&below, &classified, seen, None)?;
            }
            (Closed::Failed(error), _) => {
                self.counts.blind += 1;
                self.job.not_looked_into(&below);
                let why = error.to_string();
                self.whole_folder(&below, &unreadable(), seen, Some(("open", &why)))?;
            }
        }
        Ok(())
    }
}

fn foreign(why: &'static str) -> Classification {
    Classification {
        class: Class::Foreign,
        why: why.into(),
        removable: Removable::No,
    }
}

fn unreadable() -> Classification {
    Classification {
        class: Class::Unreadable,
        why: "a folder that cannot be read; what is in it is not known".into(),
        removable: Removable::Unknown,
    }
}

fn itself(folder: &Folder<Here>) -> Result<Stat, Errno> {
    let stat = statx(
        &folder.fd,
        c"",
        AtFlags::EMPTY_PATH,
        StatxFlags::BASIC_STATS,
    )?;
    Ok(Stat::of(&stat))
}

/// What kind of entry it is; nothing for a folder.
fn kind_of(stat: &Statx) -> Option<Kind> {
    Some(match FileType::from_raw_mode(stat.stx_mode.into()) {
        FileType::Directory => return None,
        _ if is_mounted(stat) => Kind::Border("something is mounted here"),
        FileType::RegularFile => Kind::File,
        FileType::Symlink => Kind::Link,
        _ => Kind::Special,
    })
}

/// An entry that is a tracked file.
type Matched<'r> = Option<(&'r Row<'r>, Likeness)>;
