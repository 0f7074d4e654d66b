//! The quarantine of one run with its journal, and the move of one file into it or back.

use std::path::Path;

use hash_files::{Stamp, stamp::time_text};
use rustix::{fs::fstat, io::Errno};
use wire::{
    Exit, Fatal,
    records::{JournalMove, JournalRun},
};

use orphan_scan::removal::{
    journal::{Journal, Step, fields, now},
    outcome::Outcome,
    proof::{Answers, Case, Decision, Prover, Reason},
    quarantine::{Quarantine, move_file},
    tree::{OpenFile, look},
};

use super::{Moved, OWN_JOURNAL};

/// The quarantine of this run and its journal.
pub(crate) struct Mover {
    pub trash: Quarantine,
    pub journal: Journal,
    /// The number of the last file.
    pub(super) seq: u64,
    /// Was anything ever moved here?
    pub(super) used: bool,
}

fn refuse(why: String) -> Fatal {
    Fatal::new(Exit::Refused, format_args!("quarantine: {why}"))
}

/// What came of moving a file.
pub(super) enum Taken {
    /// It is in the quarantine: its number in the journal, and the folders that it was in.
    Moved(u64, Vec<(u64, u64)>),
    /// It is not.
    Not(Outcome, Reason),
}

const LAST_MOMENT: &str = "changed in the last moment";

impl Mover {
    /// Makes both.
    ///
    /// # Errors
    /// The quarantine is no safe place (3), or the journal cannot be made.
    pub(crate) fn make(
        base: &Path,
        journal: Option<&Path>,
        prover: &Prover<'_>,
    ) -> Result<Mover, Fatal> {
        let at = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        let run = format!("{at}-{}", std::process::id());
        let trash = Quarantine::make(base, Path::new(&run), &prover.tree).map_err(refuse)?;
        let moving = trash.try_moving().map_err(refuse);
        // Refused is unchanged.
        moving.inspect_err(|_| trash.remove(None))?;
        let own = trash.folder.join(OWN_JOURNAL);
        let (root, root_b64) = fields(&prover.tree.path);
        let (folder, folder_b64) = fields(&trash.folder);
        let database = &prover.library.database;
        let elsewhere = *database != prover.library.root.join("metadata.db");
        let (metadata_db, metadata_db_b64) = elsewhere.then(|| fields(database)).unzip();
        let head = JournalRun {
            tool: "orphan-rm".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            at: now(),
            root,
            root_b64,
            library: prover.uuid.clone(),
            metadata_db,
            metadata_db_b64: metadata_db_b64.flatten(),
            trash: folder,
            trash_b64: folder_b64,
        };
        let journal = Journal::create(journal.unwrap_or(&own), &head);
        let journal = journal.inspect_err(|_| trash.remove(None))?;
        Ok(Mover {
            trash,
            journal,
            seq: 0,
            used: false,
        })
    }

    /// Was anything ever moved here?
    pub(crate) fn is_used(&self) -> bool {
        self.used
    }

    /// At the end: a quarantine that nothing was ever moved to goes. Says whether it stays.
    pub(crate) fn leave(&self) -> bool {
        if !self.used {
            self.trash.remove(Some(&self.journal.path));
        }
        self.used
    }

    /// Moves one file here.
    ///
    /// # Errors
    /// The journal cannot be written, which ends the run.
    pub(super) fn take(
        &mut self,
        prover: &mut Prover<'_>,
        case: &Case<'_>,
        open: &OpenFile,
        sha1: &str,
        answers: &mut Answers,
    ) -> Result<Taken, Fatal> {
        let file = case.file;
        let relative = &file.relative;
        let keep = |kind, why: &str| Ok(Taken::Not(Outcome::Kept, Reason::new(kind, why)));
        let fail = |what: &'static str, errno: Errno| {
            let why = format!("{what}: {errno}; it is in its place");
            Ok(Taken::Not(Outcome::Failed, Reason::new(what, why)))
        };
        let Some(folders) = prover.folder_ids(relative) else {
            let why = "its folder cannot be looked at";
            return keep(why, why);
        };
        let folder = match fstat(&open.folder) {
            Ok(folder) => folder,
            Err(errno) => return fail("look at its folder", errno),
        };
        let to = match self.trash.folder_for(relative) {
            Ok(to) => to,
            Err(errno) => return fail("make its folder in the quarantine", errno),
        };
        let stamp = open.stamp();
        self.seq += 1;
        let seq = self.seq;
        let (path, path_b64) = fields(&file.path);
        let (inside, inside_b64) = fields(relative);
        let stat = &open.stat;
        self.journal.note(
            Step::Removing,
            JournalMove {
                seq,
                path: Some(path),
                path_b64,
                relative: Some(inside),
                relative_b64: inside_b64,
                class: Some(file.class.name().into()),
                sha1: Some(sha1.into()),
                size: Some(stamp.size),
                mtime: Some(stamp.mtime_text()),
                dev: Some(stamp.dev.to_string()),
                inode: Some(stamp.inode.to_string()),
                nlink: Some(stat.st_nlink),
                mode: Some(stat.st_mode.into()),
                uid: Some(stat.st_uid.into()),
                gid: Some(stat.st_gid.into()),
                book_id: file.book_id,
                format: file.format.clone(),
                proof: Some(answers.proof()),
                folder_mtime: Some(time_text(Stamp::of(&folder).mtime)),
                ..JournalMove::default()
            },
        )?;
        let decision = prover.once_more(case, open, sha1, answers);
        let done = |why: Option<&str>| JournalMove {
            seq,
            why: why.map(Into::into),
            folder_mtime: fstat(&open.folder)
                .ok()
                .map(|folder| time_text(Stamp::of(&folder).mtime)),
            ..JournalMove::default()
        };
        if let Decision::Keep(reason) = decision {
            self.journal
                .note(Step::NotRemoved, done(Some(&reason.why)))?;
            return Ok(Taken::Not(Outcome::Kept, reason));
        }
        if !open.unchanged() {
            let why = "it was changed in the last moment";
            self.journal.note(Step::NotRemoved, done(Some(why)))?;
            return keep(LAST_MOMENT, why);
        }
        if let Err(errno) = move_file(&open.folder, &open.name, &to, &open.name) {
            let why = format!("move: {errno}");
            self.journal.note(Step::NotRemoved, done(Some(&why)))?;
            return match errno {
                Errno::NOENT | Errno::AGAIN => {
                    keep(LAST_MOMENT, "it was changed in the last moment")
                }
                errno => fail("move", errno),
            };
        }
        // What was moved must be what was proven, from where its path leads still.
        let identity = |stamp: Stamp| (stamp.dev, stamp.inode, stamp.size, stamp.mtime);
        let same =
            look(&to, &open.name).is_ok_and(|now| identity(Stamp::of(&now)) == identity(stamp));
        let in_place = prover.tree.is_there().is_ok()
            && prover.tree.folder_of(relative).is_ok_and(|there| {
                fstat(there)
                    .is_ok_and(|now| (now.st_dev, now.st_ino) == (folder.st_dev, folder.st_ino))
            });
        self.used = true;
        if same && in_place {
            self.journal.note(Step::Removed, done(None))?;
            return Ok(Taken::Moved(seq, folders));
        }
        let why = "another file or folder was put in its place in the last moment";
        match move_file(&to, &open.name, &open.folder, &open.name) {
            Ok(()) => {
                self.journal.note(Step::NotRemoved, done(Some(why)))?;
                keep(LAST_MOMENT, why)
            }
            Err(errno) => {
                self.journal.note(Step::Removed, done(None))?;
                let why =
                    format!("{why}, and it could not be put back: {errno}; orphan-restore can");
                let reason = Reason::new("moved, and could not be put back", why);
                Ok(Taken::Not(Outcome::Failed, reason))
            }
        }
    }

    /// Writes down that the links were looked at again after all that was moved by now.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(super) fn looked(&mut self) -> Result<(), Fatal> {
        let line = JournalMove {
            seq: self.seq,
            ..JournalMove::default()
        };
        self.journal.note(Step::Looked, line)
    }

    /// Moves one file back into the library. Gives what came of the move, and of its lines in the
    /// journal.
    pub(super) fn put_back(
        &mut self,
        prover: &Prover<'_>,
        moved: &Moved,
        why: &str,
    ) -> (Result<(), Errno>, Result<(), Fatal>) {
        let step = |why: Option<&str>| JournalMove {
            seq: moved.seq,
            why: why.map(Into::into),
            ..JournalMove::default()
        };
        // It is wanted in its place, whether that can be written down or not: where it is tells as much.
        let mut noted = self.journal.note(Step::Returning, step(Some(why)));
        let back = self.trash.give_back(&prover.tree, &moved.file.relative);
        if back.is_ok() {
            noted = noted.and_then(|()| self.journal.note(Step::Returned, step(None)));
            self.trash.tidy(&moved.file.relative);
        }
        (back, noted)
    }
}
