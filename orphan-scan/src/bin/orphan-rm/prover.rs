//! Asks all that must be known of one file, in the moment in which it may go, and stops at the first
//! answer that keeps it.

mod again;
mod copy;
mod links;
mod shelf;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use calibre_list::Library;
use hash_files::{Stamp, digest::BUFFER};
use mbs_hashes::Failure;
use orphan_scan::{
    links::Links,
    needs::Record,
    store::{Others, Store},
};

pub(crate) use again::Away;

use crate::{
    calibre::{self, Calibre},
    candidate::Seen,
    place::{Entry, Tree},
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

impl Case<'_> {
    /// Is it the record by which the file is tracked: of this book and format?
    fn is_of(&self, record: &Record) -> bool {
        Some(record.book_id) == self.book_id
            && Some(record.format.as_slice()) == self.format.map(str::as_bytes)
    }
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

/// How the bytes of a stored file are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// All of them.
    Anew,
    /// Not where they were read before and the file is unchanged since.
    Once,
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
    /// Those whose bytes are no proof: the library itself, and what was put aside from it.
    others: Others,
    server: Server<'a>,
    links: Result<Links, String>,
    /// Why there may be links that are not seen, where that is so.
    pub hidden: Option<String>,
    /// The store has had links in this run.
    had_links: bool,
    mark: Option<Mark>,
    tracked: Option<Tracked>,
    /// The files of this batch, whose folders a new snapshot is read for.
    wanted: Vec<PathBuf>,
    /// The server's rows by SHA-1 as they were last read, as far as this batch needs them.
    read: HashMap<String, Vec<Row>>,
    /// Their ids, and those of rows that came since.
    ids: HashMap<String, Vec<i64>>,
    /// Stored files that were hashed in this batch and were at rest by then, so that a change shows.
    hashed: HashMap<PathBuf, (Stamp, String)>,
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
        (store, others): (Store, Others),
        server: Server<'a>,
        acts: bool,
    ) -> Prover<'a> {
        Prover {
            tree,
            library,
            uuid: None,
            store,
            others,
            server,
            links: Err("they were not listed yet".into()),
            hidden: None,
            had_links: false,
            mark: None,
            tracked: None,
            wanted: Vec::new(),
            read: HashMap::new(),
            ids: HashMap::new(),
            hashed: HashMap::new(),
            down: None,
            acts,
            away: None,
            buffer: vec![0; BUFFER],
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
        self.hashed.clear();
        self.read_rows(sha1s);
    }

    /// Reads the server's rows of these hashes.
    pub(crate) fn read_rows(&mut self, sha1s: &[&str]) {
        self.read.clear();
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
                    let ids = self.ids.entry(row.sha1.clone()).or_default();
                    ids.push(row.id);
                    self.read.entry(row.sha1.clone()).or_default().push(row);
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
        match calibre::look(&self.library) {
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
        let entry = &*proven.entry.insert(entry?);
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

        self.ask_server(case, facts, entry, &sha1, Reading::Anew)
    }

    /// Has the server the bytes, and does no link of it lead here?
    fn ask_server(
        &mut self,
        case: &Case<'_>,
        facts: &mut Facts,
        entry: &Entry,
        sha1: &str,
        reading: Reading,
    ) -> Option<()> {
        let rows = match self.rows(sha1) {
            Ok(rows) => rows,
            Err(why) => {
                for question in [Question::Server, Question::Stored, Question::NoLink] {
                    facts.note(question, Told::Unknown(why.clone()));
                }
                return None;
            }
        };
        let stamp = entry.stamp();
        self.ask_copy(case, facts, &rows, &stamp, sha1, reading)?;
        let folders = self.folder_ids(case.relative);
        let told = match self.may_be_linked(case.class, &rows) {
            Some(why) => Told::Unknown(why),
            None => self.no_link(folders.as_deref(), &stamp, &entry.name, &rows),
        };
        facts.note(Question::NoLink, told).then_some(())
    }
}
