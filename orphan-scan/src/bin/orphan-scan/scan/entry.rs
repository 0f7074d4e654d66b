//! The entries of one folder: what each is, and what the server has of it.

use std::{
    collections::HashMap,
    ffi::{CStr, OsStr},
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::PoisonError,
};

use mbs_hashes::known::Content;
use orphan_scan::{
    books,
    classes::{Claim, Class, Classification, Facts, Kind, Linked, Server, classify},
    folders::{Entries, Folder},
    links::Lead,
    names::Likeness,
    needs::has_format,
    reserved::{Area, Place},
    tracked::Row,
};
use rustix::{
    fs::{Access, AtFlags, FileType, accessat},
    io::Errno,
};

use super::{Error, Here, Matched, Walker, kind_of};
use crate::{
    finding::{Finding, Stat},
    matching::Rows,
};

/// What looking at an entry came to.
enum Looked {
    /// It is gone.
    Gone,
    /// It is a folder.
    Folder,
    /// It is something else.
    Entry(Kind, Option<Stat>, Option<Errno>),
}

impl Walker<'_> {
    pub(super) fn entries(
        &mut self,
        folder: &Folder<Here>,
        mut rows: Rows<'_>,
        entries: &Entries,
        enter: &mut dyn FnMut(&CStr),
    ) -> Result<(), Error> {
        let place = folder.context.place;
        let ours = |name: &CStr| {
            let shard = self.job.shard.filter(|_| folder.path.is_empty());
            shard.is_none_or(|shard| crate::shard::holds(shard, name.to_bytes()))
        };
        let rivals = rows.formats_of_more_than_one(entries);
        // The tracked ones first: what they are decides what Calibre would take the others for.
        let mut looked = HashMap::new();
        for (at, entry) in entries.iter().enumerate() {
            if rows.rows.is_empty() || entry.kind == FileType::Directory {
                continue;
            }
            let Some((row, likeness)) = rows.like(entry.name.to_bytes()) else {
                continue;
            };
            let what = look(folder, entry.name);
            if let Looked::Entry(kind, ..) = &what {
                let accounted = likeness != Likeness::Case
                    || *kind == Kind::File && place.file(entry.name.to_bytes()) == Area::Books;
                if accounted {
                    self.job.tracked.settle(rows.rows[row].number);
                }
                if rows.rows[row].name == entry.name.to_bytes()
                    && is_there(folder, entry.name, *kind)
                {
                    rows.exactly(row);
                }
            }
            looked.insert(at, (what, row, likeness));
        }
        for (at, entry) in entries.iter().enumerate() {
            if !ours(entry.name) {
                continue;
            }
            if entry.kind == FileType::Directory {
                enter(entry.name);
                continue;
            }
            let (what, matched) = match looked.remove(&at) {
                Some((what, row, likeness)) => (what, Some((row, likeness))),
                None => (look(folder, entry.name), None),
            };
            match what {
                Looked::Folder => enter(entry.name),
                Looked::Gone => {
                    if matched.is_some() {
                        self.job
                            .not_looked_into(&folder.below(entry.name.to_bytes()));
                    }
                    self.counts.vanished += 1;
                }
                Looked::Entry(kind, seen, error) => {
                    self.counts.walked.add(seen.map_or(0, |seen| seen.size));
                    if !self.job.silent {
                        let entry = One {
                            folder,
                            name: entry.name,
                            place,
                            kind,
                            seen,
                            error,
                            cut: entries.error().is_some(),
                            rivals: &rivals,
                        };
                        self.one(&entry, &rows, matched)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn one(
        &mut self,
        entry: &One<'_>,
        rows: &Rows<'_>,
        matched_at: Option<(usize, Likeness)>,
    ) -> Result<(), Error> {
        let name = entry.name.to_bytes();
        let below = entry.folder.below(name);
        let path = self.path(&below);
        let matched: Matched<'_> = matched_at.map(|(at, likeness)| (&rows.rows[at], likeness));
        let heals = match matched {
            None => rows.healed_by(name).map(|at| &rows.rows[at]),
            Some(_) => None,
        };
        // The row's hash is that of the file of its very name, where that one is there, too.
        let hashed = matched_at
            .is_none_or(|(at, likeness)| likeness == Likeness::Same || !rows.is_there(at));
        let (classified, content) = self.judge(entry, &path, (matched, hashed), heals.is_some());
        if let (None, Some(seen), Claim::Tracked) = (matched, entry.seen, self.claim(entry, false))
        {
            self.job.add_alias((seen.dev, seen.inode));
        }
        let row = match classified.class {
            Class::HealCandidate => heals,
            _ => matched.map(|(row, _)| row),
        };
        if let (Class::HealCandidate, Some(row)) = (classified.class, row) {
            let mut mending = self
                .job
                .mending
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            mending.entry(row.number).or_insert_with(|| path.clone());
        }
        let finding = Finding {
            path: &path,
            classified: &classified,
            seen: entry.seen,
            content,
            row: row.map(|row| (row, self.job.listed_root)),
        };
        let why = entry.error.map(|error| error.to_string());
        let failed = why.as_deref().map(|why| ("look at it", why));
        Ok(self.tell(&below, &finding, failed)?)
    }

    /// The class of an entry; what is costly to know is asked only where the class depends on it.
    fn judge(
        &mut self,
        entry: &One<'_>,
        path: &Path,
        (matched, hashed): (Matched<'_>, bool),
        heals: bool,
    ) -> (Classification, Option<Content>) {
        let name = entry.name.to_bytes();
        let mut facts = Facts {
            row: matched.map(|(_, likeness)| likeness),
            area: match entry.seen {
                Some(seen) if self.job.database.contains(&(seen.dev, seen.inode)) => {
                    Area::Internal("the library's database")
                }
                _ => entry.place.file(name),
            },
            kind: entry.kind,
            heals,
            claim: self.claim(entry, matched.is_some()),
            rival: matched.is_some_and(|(row, _)| entry.has_rival(row)),
            book: books::is_book(name),
            unreadable: false,
            server: Server::NotAsked,
            linked: Linked::NotAsked,
            shared: entry.seen.is_some_and(|seen| seen.nlink > 1),
            late: false,
            partial: false,
        };
        let first = classify(&facts);
        if !matches!(first.class, Class::Tracked | Class::Untracked) {
            return (first, None);
        }
        facts.partial = self.job.partial;
        facts.late = entry.seen.is_some_and(|seen| seen.ctime > self.job.begun);
        facts.linked = self.linked(entry);
        let mut content = None;
        match matched {
            Some(_) if !hashed => facts.server = self.listed_for_another(),
            Some((row, _)) => (facts.server, content) = self.listed(entry, row),
            None => {
                facts.unreadable = is_unreadable(entry);
                let settled = facts.linked == Linked::Yes
                    || facts.partial
                    || facts.late
                    || facts.unreadable
                    || !facts.book;
                facts.server = match (self.job.known, settled) {
                    (None, _) => Server::NotAsked,
                    (Some(_), true) => Server::Unknown("it was not asked"),
                    (Some(_), false) => {
                        let (server, found) = self.found(entry, path);
                        content = found;
                        server
                    }
                };
            }
        }
        if facts.claim == Claim::None
            && matched.is_none()
            && content.is_some_and(|content| self.job.needed.has_content(&content))
        {
            facts.claim = Claim::Missing;
        }
        (classify(&facts), content)
    }

    /// Why Calibre may need it beside or against what its name says.
    fn claim(&self, entry: &One<'_>, matched: bool) -> Claim {
        let needed = self.job.needed;
        let cut = "its folder could not be listed to its end";
        let tracked = |seen: Stat| {
            let file = (seen.dev, seen.inode);
            needed.has_twice(file) || !matched && needed.has(file)
        };
        if entry.kind == Kind::File && entry.seen.is_some_and(tracked) {
            return Claim::Tracked;
        }
        let path = entry.folder.below(entry.name.to_bytes());
        let claim = match matched {
            true => needed.claim_of_tracked(&path, entry.folder.id),
            false => needed.claim(&path, entry.folder.id),
        };
        match claim {
            Claim::None if entry.cut => Claim::Unknown(cut),
            claim => claim,
        }
    }

    fn linked(&self, entry: &One<'_>) -> Linked {
        let links = match &self.job.links {
            None => return Linked::NotAsked,
            Some(Err(why)) => return Linked::Unknown(why),
            Some(Ok(links)) => links,
        };
        let Some(seen) = entry.seen else {
            return Linked::Unknown("it cannot be looked at");
        };
        if entry.folder.context.linked {
            return Linked::Yes;
        }
        let name = OsStr::from_bytes(entry.name.to_bytes());
        match links.lead_to((seen.dev, seen.inode), entry.folder.id, name) {
            Lead::Here => Linked::Yes,
            Lead::Lost => Linked::Unknown(
                "a link of the server's store leads to a file of this name at a place that is not \
                 known here (--path-map)",
            ),
            Lead::Anywhere => Linked::Unknown(
                "a link of the server's store leads to a place that is not known here (--path-map)",
            ),
            Lead::Nowhere => Linked::No,
        }
    }
}

/// One entry and where it is.
pub(super) struct One<'a> {
    pub(super) folder: &'a Folder<Here>,
    pub(super) name: &'a CStr,
    pub(super) place: Place,
    pub(super) kind: Kind,
    pub(super) seen: Option<Stat>,
    pub(super) error: Option<Errno>,
    /// Its folder could not be listed to its end.
    pub(super) cut: bool,
    /// The formats of the rows in its folder of which there is more than one file.
    pub(super) rivals: &'a [&'a str],
}

impl One<'_> {
    /// Lies another file with this row's extension in the folder?
    fn has_rival(&self, row: &Row<'_>) -> bool {
        let own = has_format(self.name.to_bytes(), row.format.as_bytes());
        own && self.rivals.contains(&row.format)
    }
}

fn look(folder: &Folder<Here>, name: &CStr) -> Looked {
    match folder.look(name) {
        Ok(stat) => match kind_of(&stat) {
            Some(kind) => Looked::Entry(kind, Some(Stat::of(&stat)), None),
            None => Looked::Folder,
        },
        Err(Errno::NOENT) => Looked::Gone,
        Err(error) => Looked::Entry(Kind::Unseen, None, Some(error)),
    }
}

/// Would Calibre find it by its name? A link that leads nowhere is none to it.
fn is_there(folder: &Folder<Here>, name: &CStr, kind: Kind) -> bool {
    kind != Kind::Link || accessat(&folder.fd, name, Access::EXISTS, AtFlags::empty()).is_ok()
}

fn is_unreadable(entry: &One<'_>) -> bool {
    let access = accessat(
        &entry.folder.fd,
        entry.name,
        Access::READ_OK,
        AtFlags::EACCESS,
    );
    matches!(access, Err(Errno::ACCESS | Errno::PERM))
}
