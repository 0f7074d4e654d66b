//! Asks all that must be known of one file, in the moment in which it may go, and stops at the first
//! answer that keeps it.

use std::{
    collections::HashMap,
    ffi::OsStr,
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use calibre_list::Library;
use hash_files::{Stamp, digest, digest::BUFFER};
use mbs_hashes::Failure;
use orphan_scan::{
    links::Links,
    store::{Store, Target},
    zones::{Place, Zone},
};
use rustix::io::Errno;

use crate::{
    calibre::{self, Calibre},
    candidate::Seen,
    links::{is_other, none_leads_to},
    place::{Entry, Tree, explain, look},
    proof::{Class, Facts, Question, Told},
    server::{Mark, Row, Server},
    tracked::Tracked,
};

/// How long it holds that Calibre is away. It takes longer to start.
const CALIBRE_HOLDS: Duration = Duration::from_secs(1);

/// One file about to be proven.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case<'c> {
    /// Its path relative to the library.
    pub relative: &'c Path,
    /// The class that it is said to be of.
    pub class: Class,
    /// What was found of it.
    pub seen: &'c Seen,
    /// Calibre's number of the book, of a tracked file.
    pub book_id: Option<i64>,
    /// The format in lower case, of a tracked file.
    pub format: Option<&'c str>,
    /// The quarantine, where it is there.
    pub trash: Option<&'c Tree>,
}

/// What was found out.
#[derive(Debug)]
pub(crate) struct Proven {
    /// The answers.
    pub facts: Facts,
    /// The file, held open, where it could be.
    pub entry: Option<Entry>,
    /// Its SHA-1, where it was read.
    pub sha1: Option<String>,
}

/// Everything that is asked.
pub(crate) struct Prover<'a> {
    /// The library's folder, held open.
    pub tree: Tree,
    /// Its folder and database.
    pub library: Library,
    /// The library's uuid at the start.
    pub uuid: Option<String>,
    /// The server's store.
    pub store: Store,
    server: Server<'a>,
    links: Result<Links, String>,
    /// The store has had links in this run.
    had_links: bool,
    mark: Option<Mark>,
    tracked: Option<Tracked>,
    /// The files of this batch, whose folders a new snapshot is read for.
    wanted: Vec<PathBuf>,
    /// The server's rows by SHA-1, as far as this batch needs them.
    ids: HashMap<String, Vec<i64>>,
    /// Why the database does not answer any more.
    pub down: Option<String>,
    /// Does anything get changed, so that Calibre must be away?
    pub acts: bool,
    away: Option<Instant>,
    buffer: Vec<u8>,
}

impl<'a> Prover<'a> {
    /// Nothing is asked yet, and so nothing is known.
    pub(crate) fn new(
        tree: Tree,
        library: Library,
        store: Store,
        server: Server<'a>,
        acts: bool,
    ) -> Prover<'a> {
        Prover {
            tree,
            library,
            uuid: None,
            store,
            server,
            links: Err("they were not listed yet".into()),
            had_links: false,
            mark: None,
            tracked: None,
            wanted: Vec::new(),
            ids: HashMap::new(),
            down: None,
            acts,
            away: None,
            buffer: vec![0; BUFFER],
        }
    }

    /// Lists all links of the store.
    pub(crate) fn list_links(&mut self, tick: impl Fn() + Sync) -> Result<u64, String> {
        self.links = self.listed(tick);
        self.links
            .as_ref()
            .map(|links| links.count)
            .map_err(Clone::clone)
    }

    fn listed(&mut self, tick: impl Fn() + Sync) -> Result<Links, String> {
        if let Some(why) = &self.down {
            return Err(why.clone());
        }
        // Before the listing: what is written while it runs is new, too.
        let mark = self.server.mark().map_err(|failure| self.lost(&failure))?;
        let links = self.store.links(|_| (), |_| tick())?;
        if links.count == 0 {
            if self.had_links {
                return Err("the store has no links any more".into());
            }
            self.no_link_is_believable(&links)?;
        }
        self.had_links |= links.count > 0;
        self.mark = Some(mark);
        Ok(links)
    }

    /// No link at all is believed only where each row's file is there in the store as a file: a store
    /// that is not mounted, or another one, has none either.
    fn no_link_is_believable(&mut self, links: &Links) -> Result<(), String> {
        let locations = self.server.locations();
        let locations = locations.map_err(|failure| self.lost(&failure))?;
        let absent = |location: &&Vec<u8>| {
            let place = self.store.place(location);
            place.is_none_or(|place| std::fs::symlink_metadata(place).is_err())
        };
        if links.entries == 0 && !locations.is_empty() {
            return Err(format!(
                "{} is empty, but the database has {} files in it: is it mounted, and the server's?",
                self.store.books.display(),
                locations.len()
            ));
        }
        match locations.iter().find(absent) {
            None => Ok(()),
            Some(location) => Err(format!(
                "no link was found in {}, and files that the database has are not there either ({}): \
                 is it the server's, and all mounted?",
                self.store.books.display(),
                String::from_utf8_lossy(location)
            )),
        }
    }

    fn lost(&mut self, failure: &Failure) -> String {
        let why = format!("the database does not answer: {failure}");
        self.down.get_or_insert(why).clone()
    }

    /// Reads Calibre's rows and the server's for the files of a batch.
    pub(crate) fn begin(&mut self, files: Vec<PathBuf>, sha1s: &[&str]) {
        self.wanted = files;
        self.tracked = None;
        self.ids.clear();
        if self.down.is_some() {
            return;
        }
        match self.server.of_hashes(sha1s) {
            Err(failure) => {
                self.lost(&failure);
            }
            Ok(rows) => {
                for row in rows {
                    self.ids.entry(row.sha1).or_default().push(row.id);
                }
            }
        }
    }

    /// Looks whether Calibre has the library open.
    pub(crate) fn calibre(&mut self) -> Told {
        if !self.acts {
            return Told::Yes("Calibre was not looked for, for nothing is moved".into());
        }
        if self.away.is_some_and(|at| at.elapsed() < CALIBRE_HOLDS) {
            return Told::Yes("Calibre does not have the library open".into());
        }
        match calibre::look(&self.library.database) {
            Calibre::Away => {
                self.away = Some(Instant::now());
                Told::Yes("Calibre does not have the library open".into())
            }
            Calibre::Here(who) => {
                self.away = None;
                Told::No(format!("the library is open in Calibre: {who}"))
            }
        }
    }

    /// Asks everything about one file.
    pub(crate) fn prove(&mut self, case: &Case<'_>) -> Proven {
        let mut proven = Proven {
            facts: Facts::default(),
            entry: None,
            sha1: None,
        };
        self.ask(case, &mut proven);
        proven
    }

    /// Comes back at the first answer that is no yes.
    fn ask(&mut self, case: &Case<'_>, proven: &mut Proven) -> Option<()> {
        let facts = &mut proven.facts;
        let go_on = |yes: bool| yes.then_some(());
        // What keeps every file needs no reading of each.
        let hopeless = match (&self.down, &self.links) {
            (Some(why), _) => Some(why.clone()),
            (None, Err(why)) => Some(format!("the store's links could not be listed: {why}")),
            (None, Ok(_)) => None,
        };
        if let Some(why) = hopeless {
            facts.note(Question::NoLink, Told::Unknown(why));
            return None;
        }
        go_on(facts.note(Question::CalibreAway, self.calibre()))?;

        let reached = self.reach(case);
        let (entry, told) = match reached {
            Ok(entry) => (
                Some(entry),
                Told::Yes("a file below the library, no link followed".into()),
            ),
            Err(told) => (None, told),
        };
        go_on(facts.note(Question::Place, told))?;
        let entry = proven.entry.insert(entry?);
        let stamp = entry.stamp();
        let expected = match case.trash {
            // Devices are numbered anew at each start; this one is known to be the quarantine's.
            Some(_) => &Seen {
                dev: Some(stamp.dev),
                ..case.seen.clone()
            },
            None => case.seen,
        };
        go_on(facts.note(Question::Same, expected.same(&stamp)))?;

        go_on(facts.note(Question::Row, self.row(case)))?;
        go_on(facts.note(Question::NoHeal, self.heal(case)))?;

        let sha1 = match entry.digest(&mut self.buffer) {
            Ok(digest) if digest.stamp == stamp => digest.hex(),
            Ok(_) => {
                facts.note(
                    Question::Bytes,
                    Told::No("it was changed while it was read".into()),
                );
                return None;
            }
            Err(why) => {
                facts.note(Question::Bytes, Told::Unknown(format!("its bytes: {why}")));
                return None;
            }
        };
        let told = case.seen.same_bytes(&sha1, case.class);
        proven.sha1 = Some(sha1.clone());
        go_on(facts.note(Question::Bytes, told))?;

        let rows = match self.rows(&sha1) {
            Ok(rows) => rows,
            Err(why) => {
                facts.note(Question::Server, Told::Unknown(why.clone()));
                facts.note(Question::Stored, Told::Unknown(why.clone()));
                facts.note(Question::NoLink, Told::Unknown(why));
                return None;
            }
        };
        let same: Vec<&Row> = rows
            .iter()
            .filter(|row| row.sha1 == sha1 && u64::try_from(row.size) == Ok(stamp.size))
            .collect();
        let told = match same.as_slice() {
            [] => Told::No("the server has no row with its sha1 and size".into()),
            [row, ..] => Told::Yes(format!("the server's source {}", row.id)),
        };
        let has_row = facts.note(Question::Server, told);
        go_on(has_row || !Question::Server.concerns(case.class))?;
        let stored = self.stored(&same, &stamp, &sha1);
        let is_stored = facts.note(Question::Stored, stored);
        go_on(is_stored || !Question::Stored.concerns(case.class))?;
        go_on(facts.note(Question::NoLink, self.no_link(case, entry, &rows)))
    }

    /// Opens the file without following any link, where books are.
    fn reach(&self, case: &Case<'_>) -> Result<Entry, Told> {
        self.tree.is_there().map_err(Told::Unknown)?;
        let unreached = |errno: Errno| match errno {
            Errno::NOENT
            | Errno::LOOP
            | Errno::NOTDIR
            | Errno::XDEV
            | Errno::ISDIR
            | Errno::NXIO => Told::No(explain(errno)),
            errno => Told::Unknown(explain(errno)),
        };
        if let Some(trash) = case.trash {
            return trash.entry(case.relative).map_err(unreached);
        }
        let mut place = Place::LIBRARY;
        let folders = case.relative.parent().unwrap_or(Path::new(""));
        for folder in folders.components() {
            place = place.folder(folder.as_os_str().as_bytes());
        }
        let name = case.relative.file_name().unwrap_or_default();
        if place.file(name.as_bytes()) != Zone::Books {
            return Err(Told::No(
                "it is where Calibre or another program keeps its own".into(),
            ));
        }
        let entry = self.tree.entry(case.relative).map_err(unreached)?;
        let nested = folders
            .ancestors()
            .filter(|folder| !folder.as_os_str().is_empty())
            .any(|folder| {
                let inside = self.tree.folder_of(&folder.join("x"));
                inside.is_ok_and(|inside| look(inside, OsStr::new("metadata.db")).is_ok())
            });
        match nested {
            true => Err(Told::No(
                "it is in another library inside of this one".into(),
            )),
            false => Ok(entry),
        }
    }

    /// Calibre's rows, read again where the database was written to.
    fn tracked(&mut self) -> Result<&Tracked, String> {
        if !self.tracked.as_ref().is_some_and(Tracked::is_fresh) {
            let files = self.wanted.iter().map(|file| file.as_os_str().as_bytes());
            let read = Tracked::read(&self.library.database, files);
            let tracked = read.map_err(|error| format!("Calibre's records: {error}"))?;
            if tracked.library != self.uuid {
                return Err("metadata.db is that of another library now".into());
            }
            self.tracked = Some(tracked);
        }
        let fresh = self.tracked.as_ref().filter(|tracked| tracked.is_fresh());
        fresh.ok_or_else(|| "Calibre's records: the database keeps changing".into())
    }

    fn row(&mut self, case: &Case<'_>) -> Told {
        match self.tracked() {
            Err(why) => Told::Unknown(why),
            Ok(tracked) => tracked.agrees(
                case.relative.as_os_str().as_bytes(),
                case.class,
                case.book_id,
                case.format,
                case.trash.is_some(),
            ),
        }
    }

    fn heal(&mut self, case: &Case<'_>) -> Told {
        if let Err(why) = self.tracked() {
            return Told::Unknown(why);
        }
        let file = case.relative.as_os_str().as_bytes();
        let rows = self
            .tracked
            .iter()
            .flat_map(|tracked| tracked.same_extension(file));
        for row in rows {
            match self.tree.entry(Path::new(OsStr::from_bytes(&row.path))) {
                Ok(_) => {}
                Err(Errno::NOENT) => {
                    return Told::No(format!(
                        "book {} lacks its {} in this folder, and Calibre would take this file for it",
                        row.book_id, row.format
                    ));
                }
                Err(errno) => {
                    return Told::Unknown(format!(
                        "whether book {} has its {}: {errno}",
                        row.book_id, row.format
                    ));
                }
            }
        }
        Told::Yes("no record of its extension lacks its file in its folder".into())
    }

    /// The server's rows of this SHA-1 as they are now; links of new rows are noted on the way.
    fn rows(&mut self, sha1: &str) -> Result<Vec<Row>, String> {
        if let Some(why) = &self.down {
            return Err(why.clone());
        }
        let ids = self.ids.get(sha1).cloned().unwrap_or_default();
        let answer = (|| {
            let mark = self.server.mark()?;
            let new = match &self.mark {
                Some(mark) => self.server.since(mark)?,
                None => Vec::new(),
            };
            Ok((mark, new, self.server.of_ids(&ids)?))
        })();
        let (mark, new, mut rows) = answer.map_err(|failure: Failure| self.lost(&failure))?;
        if let Ok(links) = &mut self.links {
            for row in &new {
                note_link(links, &self.store, row);
            }
            self.mark = Some(mark);
        }
        rows.extend(
            new.into_iter()
                .filter(|row| row.sha1 == sha1 && !ids.contains(&row.id)),
        );
        // A new row belongs to the next file of the same bytes as well.
        if let Some(known) = self.ids.get_mut(sha1) {
            *known = rows.iter().map(|row| row.id).collect();
        } else if !rows.is_empty() {
            let ids = rows.iter().map(|row| row.id).collect();
            self.ids.insert(sha1.into(), ids);
        }
        Ok(rows)
    }

    /// Has one of these rows a file of its own with these bytes?
    fn stored(&mut self, rows: &[&Row], file: &Stamp, sha1: &str) -> Told {
        let mut last = Told::No("the server has no stored file of these bytes".into());
        if let Err(why) = self.store.is_there() {
            return Told::Unknown(format!("the server's store: {why}"));
        }
        for row in rows {
            last = self.stored_of(row, file, sha1);
            if last.yes() {
                break;
            }
        }
        last
    }

    fn stored_of(&mut self, row: &Row, file: &Stamp, sha1: &str) -> Told {
        let of = |what: &dyn std::fmt::Display| {
            let location = String::from_utf8_lossy(&row.location);
            format!(
                "the server's stored file {location} (source {}): {what}",
                row.id
            )
        };
        let Some(place) = self.store.place(&row.location) else {
            return Told::Unknown(of(&"it is not below the store"));
        };
        let at = match self.store.follow(&place) {
            Target::File(at) => at,
            Target::Nothing(_) => return Told::No(of(&"it is not there")),
            Target::Lost(_, why) => return Told::Unknown(of(&why)),
        };
        let digest = match digest(&at, &mut self.buffer) {
            Ok(digest) => digest,
            Err(why) => return Told::Unknown(of(&why)),
        };
        match is_other(&digest.stamp, file) {
            Told::Yes(_) => {}
            told => return told,
        }
        if digest.hex() != sha1 || digest.stamp.size != file.size {
            return Told::No(of(&"it has other bytes than its row says"));
        }
        Told::Yes(of(&format_args!(
            "hashed at {}: dev {}, inode {}, the same bytes",
            crate::journal::now(),
            digest.stamp.dev,
            digest.stamp.inode
        )))
    }

    fn no_link(&mut self, case: &Case<'_>, entry: &Entry, rows: &[Row]) -> Told {
        if let Err(why) = self.store.is_there() {
            return Told::Unknown(format!("the server's store: {why}"));
        }
        let Some(folders) = self.folder_ids(case.relative) else {
            return Told::Unknown("its folder cannot be looked at".into());
        };
        match &mut self.links {
            Err(why) => Told::Unknown(format!("the store's links could not be listed: {why}")),
            Ok(links) => {
                for row in rows {
                    note_link(links, &self.store, row);
                }
                let stamp = entry.stamp();
                none_leads_to(links, (stamp.dev, stamp.inode), &folders, &entry.name)
            }
        }
    }

    /// Device and inode of the folder in the library that a file is in, or was, and of those above it.
    pub(crate) fn folder_ids(&self, relative: &Path) -> Option<Vec<(u64, u64)>> {
        let mut ids = Vec::new();
        for path in relative
            .ancestors()
            .filter(|path| !path.as_os_str().is_empty())
        {
            match self.tree.folder_of(path).and_then(rustix::fs::fstat) {
                Ok(stat) => ids.push((stat.st_dev, stat.st_ino)),
                // No link leads into a folder that is not there; the first place is the file's own.
                Err(Errno::NOENT) if ids.is_empty() => ids.push((0, 0)),
                Err(Errno::NOENT) => {}
                Err(_) => return None,
            }
        }
        Some(ids)
    }

    /// After all links were listed again: does none lead to a file that was moved away?
    pub(crate) fn none_leads_to(&self, file: &Stamp, folders: &[(u64, u64)], name: &OsStr) -> Told {
        match &self.links {
            Ok(links) => none_leads_to(links, (file.dev, file.inode), folders, name),
            Err(why) => Told::Unknown(format!("the store's links could not be listed: {why}")),
        }
    }
}

fn note_link(links: &mut Links, store: &Store, row: &Row) {
    let Some(place) = store.place(&row.location) else {
        return;
    };
    match std::fs::symlink_metadata(&place) {
        Ok(seen) if seen.is_symlink() => {
            if let Err(why) = links.note(store, &place) {
                links.anywhere.get_or_insert(why);
            }
        }
        Ok(_) => {}
        // Its file is not there (any more); the row alone needs nothing of the library.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            let why = format!("{}: {error}", place.display());
            links.anywhere.get_or_insert(why);
        }
    }
}
