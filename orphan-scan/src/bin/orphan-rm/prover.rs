//! Asks all that must be known of one file, in the moment in which it may go, and stops at the first
//! answer that keeps it.

mod copy;
mod links;
mod shelf;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use calibre_list::Library;
use hash_files::digest::BUFFER;
use mbs_hashes::Failure;
use orphan_scan::{
    links::Links,
    store::{Others, Store},
};

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
    /// Those whose bytes are no proof: the library itself, and what was put aside from it.
    others: Others,
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
}
