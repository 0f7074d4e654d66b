//! Asks all that must be known of one file, in the moment in which it may go, and stops at the first
//! answer that keeps it.

mod again;
mod copy;
mod decision;
mod library;
mod links;

use std::{
    collections::HashMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{
    calibre::{self, Calibre},
    candidate::{Candidate, Identity},
    records::Records,
    server::{Mark, Server, SourceRow},
    tree::{OpenFile, Tree},
};
use crate::{
    links::Links,
    store::{Others, Store},
};
pub use again::Away;
use calibre_list::Library;
pub use decision::{Answer, Answers, Class, Decision, Question, Reason, may_remove, was_right};
use hash_files::{Stamp, digest::BUFFER};
use mbs_hashes::Failure;

/// How long it holds that Calibre is away. It takes longer to start.
const CALIBRE_HOLDS: Duration = Duration::from_secs(1);

/// One file about to be proven.
#[derive(Clone, Copy, Debug)]
pub struct Case<'c> {
    /// The file as it was found.
    pub file: &'c Candidate,
    /// The quarantine, where it is there.
    pub trash: Option<&'c Tree>,
}

/// What was found out.
#[derive(Debug)]
pub struct Proven {
    /// The answers.
    pub answers: Answers,
    /// The file, held open, where it could be.
    pub open: Option<OpenFile>,
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
pub struct Prover<'a> {
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
    records: Option<Records>,
    /// The files of this batch, whose folders a new snapshot is read for.
    wanted: Vec<PathBuf>,
    /// The server's rows by SHA-1 as they were last read, as far as this batch needs them.
    read: HashMap<String, Vec<SourceRow>>,
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
    pub(super) fn new(
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
            records: None,
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

    /// Begins a batch of these files: Calibre's records are read anew for them.
    pub fn begin<'f>(&mut self, files: impl Iterator<Item = &'f Candidate>) {
        self.wanted = files.map(|file| file.relative.clone()).collect();
        self.records = None;
        self.hashed.clear();
    }

    /// Reads the server's rows with the hashes of these files.
    pub fn read_rows<'f>(&mut self, files: impl Iterator<Item = &'f Candidate>) {
        self.read.clear();
        self.ids.clear();
        if self.down.is_some() {
            return;
        }
        let sha1s: Vec<&str> = files
            .filter_map(|file| file.identity.sha1.as_deref())
            .collect();
        match self.server.of_hashes(&sha1s) {
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
    pub fn calibre(&mut self) -> Answer {
        if !self.acts {
            return Answer::Yes("Calibre was not looked for, for nothing is moved".into());
        }
        if self.away.is_some_and(|at| at.elapsed() < CALIBRE_HOLDS) {
            return Answer::Yes("Calibre does not have the library open".into());
        }
        match calibre::look(&self.library) {
            Calibre::Away => {
                self.away = Some(Instant::now());
                Answer::Yes("Calibre does not have the library open".into())
            }
            Calibre::Here(who) => {
                self.away = None;
                Answer::No(format!("the library is open in Calibre: {who}"))
            }
        }
    }

    /// Asks everything about one file.
    pub fn prove(&mut self, case: &Case<'_>) -> Proven {
        let mut proven = Proven {
            answers: Answers::default(),
            open: None,
            sha1: None,
        };
        self.ask(case, &mut proven);
        proven
    }

    /// Comes back at the first answer that is no yes.
    fn ask(&mut self, case: &Case<'_>, proven: &mut Proven) -> Option<()> {
        let answers = &mut proven.answers;
        let go_on = |yes: bool| yes.then_some(());
        // What keeps every file needs no reading of each.
        let hopeless = match (&self.down, &self.links) {
            (Some(why), _) => Some(why.clone()),
            (None, Err(why)) => Some(format!("the store's links could not be listed: {why}")),
            (None, Ok(_)) => None,
        };
        if let Some(why) = hopeless {
            answers.note(Question::NoLink, Answer::Unknown(why));
            return None;
        }
        go_on(answers.note(Question::CalibreAway, self.calibre()))?;

        let reached = self.reach(case);
        let (entry, answer) = match reached {
            Ok(entry) => (
                Some(entry),
                Answer::Yes("a file below the library, no link followed".into()),
            ),
            Err(answer) => (None, answer),
        };
        go_on(answers.note(Question::Place, answer))?;
        let open = &*proven.open.insert(entry?);
        let stamp = open.stamp();
        let expected = match case.trash {
            // Devices are numbered anew at each start; this one is known to be the quarantine's.
            Some(_) => &Identity {
                dev: Some(stamp.dev),
                ..case.file.identity.clone()
            },
            None => &case.file.identity,
        };
        go_on(answers.note(Question::Same, expected.same(&stamp)))?;

        go_on(answers.note(Question::Row, self.row(case)))?;
        go_on(answers.note(Question::NoHeal, self.heal(case)))?;

        let sha1 = match open.digest(&mut self.buffer) {
            Ok(digest) if digest.stamp == stamp => digest.hex(),
            Ok(_) => {
                answers.note(
                    Question::Bytes,
                    Answer::No("it was changed while it was read".into()),
                );
                return None;
            }
            Err(why) => {
                answers.note(
                    Question::Bytes,
                    Answer::Unknown(format!("its bytes: {why}")),
                );
                return None;
            }
        };
        let answer = case.file.identity.same_bytes(&sha1, case.file.class);
        proven.sha1 = Some(sha1.clone());
        go_on(answers.note(Question::Bytes, answer))?;

        self.ask_server(case, answers, open, &sha1, Reading::Anew)
    }

    /// Has the server the bytes, and does no link of it lead here?
    fn ask_server(
        &mut self,
        case: &Case<'_>,
        answers: &mut Answers,
        open: &OpenFile,
        sha1: &str,
        reading: Reading,
    ) -> Option<()> {
        let rows = match self.rows(sha1) {
            Ok(rows) => rows,
            Err(why) => {
                for question in [Question::Server, Question::Stored, Question::NoLink] {
                    answers.note(question, Answer::Unknown(why.clone()));
                }
                return None;
            }
        };
        let stamp = open.stamp();
        self.ask_copy(case, answers, &rows, &stamp, sha1, reading)?;
        let folders = self.folder_ids(&case.file.relative);
        let answer = match self.may_be_linked(case.file.class, &rows) {
            Some(why) => Answer::Unknown(why),
            None => self.no_link(folders.as_deref(), &stamp, &open.name, &rows),
        };
        answers.note(Question::NoLink, answer).then_some(())
    }
}
