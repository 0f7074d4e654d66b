//! Moving files into the quarantine, batch by batch.

mod go_on;
mod quarantine;
mod second_look;

use std::path::{Path, PathBuf};

use hash_files::Stamp;
use wire::{Record, Writer};

use crate::{
    candidate::{Candidate, Seen, relative},
    place::Tree,
    proof::{Class, Reason, Told, Verdict, may_remove},
    prover::{Case, Prover},
    report::{End, Outcome},
    tally::Tally,
};
pub(crate) use quarantine::Quarantine;
use quarantine::Taken;

/// The journal of a run where none is asked for, in the run's folder.
pub(crate) const OWN_JOURNAL: &str = "journal.ndjson";

/// What to do with a file of which all is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Say so.
    DryRun,
    /// Say so, for `--verify-only`.
    Verify,
    /// Move it.
    Apply,
}

/// A file that was moved, until all links were listed again.
struct Moved {
    seq: u64,
    /// The finding.
    record: Option<Record>,
    class: Class,
    relative: PathBuf,
    stamp: Stamp,
    /// What was found of it, and its SHA-1 where that is known.
    seen: Seen,
    /// The folder that it was in, and those above, where they can be looked at.
    folders: Option<Vec<(u64, u64)>>,
    tracked: Option<(i64, String)>,
    path: PathBuf,
    why: String,
    proof: Vec<String>,
}

impl Moved {
    /// The question whether it was right to move it to this quarantine.
    fn case<'c>(&'c self, trash: &'c Tree) -> Case<'c> {
        let (book_id, format) = self
            .tracked
            .as_ref()
            .map(|(id, format)| (*id, &**format))
            .unzip();
        Case {
            relative: &self.relative,
            class: self.class,
            seen: &self.seen,
            book_id,
            format,
            trash: Some(trash),
        }
    }
}

/// One run over all candidates.
pub(crate) struct Run<'r, 'a> {
    pub out: &'r Writer,
    pub prover: Prover<'a>,
    pub manner: Manner,
    pub quarantine: Option<Quarantine>,
    pub wait: bool,
    pub tally: Tally,
}

impl Run<'_, '_> {
    /// Takes one batch of findings, each a line. Says whether to go on.
    ///
    /// # Errors
    /// The journal cannot be written, or stdout is closed; what was moved by then is in the journal.
    pub(crate) fn batch(&mut self, lines: &[Box<[u8]>]) -> anyhow::Result<bool> {
        let mut candidates = Vec::with_capacity(lines.len());
        for line in lines {
            let record = Record::parse(line.to_vec()).map_err(anyhow::Error::msg)?;
            let candidate = Candidate::read(&record).map_err(anyhow::Error::msg)?;
            let roots = [&*self.prover.tree.path, &*self.prover.tree.real];
            let relative = relative(&candidate.path, &roots);
            candidates.push((record, candidate, relative));
        }
        let files = candidates
            .iter()
            .filter_map(|(.., file)| file.clone())
            .collect();
        let sha1s: Vec<&str> = candidates
            .iter()
            .filter_map(|(_, candidate, _)| candidate.seen.sha1.as_deref())
            .collect();
        self.prover.begin(files, &sha1s);
        let seq = self.quarantine.as_ref().map_or(0, |to| to.seq);
        let mut moved = Vec::new();
        let mut ended = Ok(());
        for (record, candidate, file) in candidates {
            if wire::stop::requested() {
                break;
            }
            ended = self.one(record, candidate, file, &mut moved);
            if ended.is_err() {
                break;
            }
        }
        // What was moved is looked at again whatever happened.
        let settled = self.look_again(moved, seq);
        ended.and(settled)?;
        Ok(!wire::stop::requested())
    }

    fn one(
        &mut self,
        record: Record,
        candidate: Candidate,
        file: Option<PathBuf>,
        moved: &mut Vec<Moved>,
    ) -> anyhow::Result<()> {
        let (outcome, reason, proof) = match &file {
            None => {
                let why = "its path is not below the library";
                (Outcome::Kept, Reason::new(why, why), Vec::new())
            }
            Some(relative) => match self.go(&candidate, relative)? {
                Gone::Stays(outcome, reason, proof) => (outcome, reason, proof),
                Gone::Moved(seq, stamp, folders, proof) => {
                    moved.push(Moved {
                        seq,
                        record: Some(record),
                        class: candidate.class,
                        relative: relative.clone(),
                        stamp,
                        seen: candidate.seen,
                        folders: Some(folders),
                        tracked: candidate.book_id.zip(candidate.format),
                        path: candidate.path,
                        why: proven(candidate.class),
                        proof,
                    });
                    return Ok(());
                }
            },
        };
        let end = End {
            outcome,
            path: &candidate.path,
            class: Some(candidate.class),
            reason,
            proof,
            trash: None,
            journal: None,
            size: candidate.seen.size.unwrap_or(0),
            input: Some(&record),
        };
        Ok(end.write(self.out, &mut self.tally)?)
    }

    /// Proves one file, and moves it where that is asked for.
    fn go(&mut self, candidate: &Candidate, relative: &Path) -> anyhow::Result<Gone> {
        let case = Case {
            relative,
            class: candidate.class,
            seen: &candidate.seen,
            book_id: candidate.book_id,
            format: candidate.format.as_deref(),
            trash: None,
        };
        self.wait_for_calibre();
        let mut found = self.prover.prove(&case);
        let proof = found.facts.proof();
        let verdict = may_remove(candidate.class, &found.facts);
        let (entry, sha1) = match (verdict, found.entry, found.sha1) {
            (Verdict::Remove, Some(entry), Some(sha1)) => (entry, sha1),
            (Verdict::Keep(reason), ..) => return Ok(Gone::Stays(Outcome::Kept, reason, proof)),
            (Verdict::Remove, ..) => {
                let why = "not known: it was not read";
                return Ok(Gone::Stays(Outcome::Kept, Reason::new(why, why), proof));
            }
        };
        let outcome = match self.manner {
            Manner::DryRun => Outcome::WouldRemove,
            Manner::Verify => Outcome::Verified,
            Manner::Apply => {
                let Some(quarantine) = &mut self.quarantine else {
                    let why = "there is no quarantine";
                    return Ok(Gone::Stays(Outcome::Kept, Reason::new(why, why), proof));
                };
                let (prover, facts) = (&mut self.prover, &mut found.facts);
                let taken = quarantine.take(prover, candidate, &case, &entry, &sha1, facts)?;
                return Ok(match taken {
                    Taken::Moved(seq, folders) => {
                        Gone::Moved(seq, entry.stamp(), folders, found.facts.proof())
                    }
                    Taken::Not(outcome, reason) => Gone::Stays(outcome, reason, proof),
                });
            }
        };
        let reason = Reason::new("", proven(candidate.class));
        Ok(Gone::Stays(outcome, reason, proof))
    }

    /// With `--wait-for-calibre`, until it has gone.
    fn wait_for_calibre(&mut self) {
        if !self.wait {
            return;
        }
        let mut told = false;
        while let Told::No(who) = self.prover.calibre() {
            if !told {
                self.out.warn("library", "wait", &who);
                told = true;
            }
            // Until a person closes it; whoever watches us knows how long that may take.
            let _waiting = wire::waiting::announce(&who, std::time::Duration::MAX);
            if wire::stop::sleep(std::time::Duration::from_millis(500)) {
                return;
            }
        }
    }
}

/// What came of one file.
enum Gone {
    /// It is where it was.
    Stays(Outcome, Reason, Vec<String>),
    /// It is in the quarantine: number, what it was, the folders that it was in, proof.
    Moved(u64, Stamp, Vec<(u64, u64)>, Vec<String>),
}

fn proven(class: Class) -> String {
    format!("{}: all is proven", class.name())
}
