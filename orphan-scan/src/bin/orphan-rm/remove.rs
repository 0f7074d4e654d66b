//! Moving files into the quarantine, batch by batch.

mod moving;
mod resume;
mod second_look;

use hash_files::Stamp;
use orphan_scan::removal::{
    candidate::Candidate,
    outcome::{FileOutcome, Outcome},
    proof::{Answer, Case, Class, Decision, Prover, Reason, may_remove},
    stats::Stats,
    tree::Tree,
};
use wire::{Record, Writer};

use crate::findings::Found;
pub(crate) use moving::Mover;
use moving::Taken;

/// The default journal of a run, in the run's folder.
pub(crate) const OWN_JOURNAL: &str = "journal.ndjson";

/// What to do with a file of which all is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
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
    file: Candidate,
    stamp: Stamp,
    /// The folder that it was in, and those above, where they can be looked at.
    folders: Option<Vec<(u64, u64)>>,
    why: String,
    proof: Vec<String>,
}

impl Moved {
    /// The question whether it was right to move it to this quarantine.
    fn case<'c>(&'c self, trash: &'c Tree) -> Case<'c> {
        Case {
            file: &self.file,
            trash: Some(trash),
        }
    }
}

/// One run over all candidates.
pub(crate) struct Run<'r, 'a> {
    pub out: &'r Writer,
    pub prover: Prover<'a>,
    pub mode: Mode,
    pub mover: Option<Mover>,
    pub wait: bool,
    pub stats: Stats,
}

impl Run<'_, '_> {
    /// Takes one batch of findings. Says whether to go on.
    ///
    /// # Errors
    /// The journal cannot be written, or stdout is closed; what was moved by then is in the journal.
    pub(crate) fn batch(&mut self, batch: Vec<Found>) -> anyhow::Result<bool> {
        let files = batch.iter().map(|found| &found.file);
        self.prover.begin(files.clone());
        self.prover.read_rows(files);
        let seq = self.mover.as_ref().map_or(0, |to| to.seq);
        let mut moved = Vec::new();
        let mut ended = Ok(());
        for found in batch {
            if wire::stop::requested() {
                break;
            }
            ended = self.one(found, &mut moved);
            if ended.is_err() {
                break;
            }
        }
        // What was moved is looked at again whatever happened.
        let settled = self.look_again(moved, seq);
        ended.and(settled)?;
        Ok(!wire::stop::requested())
    }

    fn one(&mut self, Found { record, file }: Found, moved: &mut Vec<Moved>) -> anyhow::Result<()> {
        let (outcome, reason, proof) = match self.go(&file)? {
            Gone::Stays(outcome, reason, proof) => (outcome, reason, proof),
            Gone::Moved(seq, stamp, folders, proof) => {
                moved.push(Moved {
                    seq,
                    record: Some(record),
                    stamp,
                    folders: Some(folders),
                    why: proven(file.class),
                    file,
                    proof,
                });
                return Ok(());
            }
        };
        let end = FileOutcome {
            file: &file,
            outcome,
            reason,
            proof,
            trash: None,
            journal: None,
            input: Some(&record),
        };
        Ok(end.write(self.out, &mut self.stats)?)
    }

    /// Proves one file, and moves it where that is asked for.
    fn go(&mut self, file: &Candidate) -> anyhow::Result<Gone> {
        let case = Case { file, trash: None };
        self.wait_for_calibre();
        let mut found = self.prover.prove(&case);
        let proof = found.answers.proof();
        let decision = may_remove(file.class, &found.answers);
        let (open, sha1) = match (decision, found.open, found.sha1) {
            (Decision::Remove, Some(open), Some(sha1)) => (open, sha1),
            (Decision::Keep(reason), ..) => return Ok(Gone::Stays(Outcome::Kept, reason, proof)),
            (Decision::Remove, ..) => {
                let why = "not known: it was not read";
                return Ok(Gone::Stays(Outcome::Kept, Reason::new(why, why), proof));
            }
        };
        let outcome = match self.mode {
            Mode::DryRun => Outcome::WouldRemove,
            Mode::Verify => Outcome::Verified,
            Mode::Apply => {
                let Some(mover) = &mut self.mover else {
                    let why = "there is no quarantine";
                    return Ok(Gone::Stays(Outcome::Kept, Reason::new(why, why), proof));
                };
                let (prover, answers) = (&mut self.prover, &mut found.answers);
                let taken = mover.take(prover, &case, &open, &sha1, answers)?;
                return Ok(match taken {
                    Taken::Moved(seq, folders) => {
                        Gone::Moved(seq, open.stamp(), folders, found.answers.proof())
                    }
                    Taken::Not(outcome, reason) => Gone::Stays(outcome, reason, proof),
                });
            }
        };
        let reason = Reason::new("", proven(file.class));
        Ok(Gone::Stays(outcome, reason, proof))
    }

    /// With `--wait-for-calibre`, until it has gone.
    fn wait_for_calibre(&mut self) {
        if !self.wait {
            return;
        }
        let mut said = false;
        while let Answer::No(who) = self.prover.calibre() {
            if !said {
                self.out.warn("library", "wait", &who);
                said = true;
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
