//! Freeing the space: what lies in the quarantine is proven all over again, file by file, and only what
//! the server has for certain is deleted.

use std::time::Duration;

use hash_files::Stamp;
use rustix::fs::AtFlags;
use wire::{Fatal, Writer, records::JournalMove};

use orphan_scan::removal::{
    candidate::{Candidate, Identity},
    journal::{Journal, JournalFile, Step, Where, come_to},
    outcome::{FileOutcome, Outcome},
    proof::{Case, Class, Decision, Prover, Reason, may_remove},
    quarantine::Quarantine,
    stats::Stats,
};

/// Can this file be purged at all? Why not, where not.
pub(crate) fn may_be_purged(file: &JournalFile, older_than: Duration) -> Result<(), Reason> {
    if file.step.is_settled() {
        let why = "it is not in the quarantine any more";
        return Err(Reason::new(why, why));
    }
    if file.file.class == Class::Untracked {
        let why = "nobody has it on record, so it may be the only copy: it is never purged";
        return Err(Reason::new("it may be the only copy", why));
    }
    let age = file.at.parse::<jiff::Timestamp>().ok().map(|at| {
        let age = jiff::Timestamp::now().duration_since(at);
        Duration::try_from(age).unwrap_or_default()
    });
    match age {
        Some(age) if age >= older_than => Ok(()),
        Some(_) => {
            let days = older_than.as_secs_f64() / 86_400.0;
            let why = format!("it was removed less than {days} days ago (--older-than)");
            Err(Reason::new("removed too short a time ago", why))
        }
        None => {
            let why = "when it was removed is not known";
            Err(Reason::new(why, why))
        }
    }
}

/// One run over the files of a journal.
pub(crate) struct Purge<'p, 'a> {
    pub out: &'p Writer,
    pub prover: Prover<'a>,
    pub trash: Quarantine,
    pub journal: Journal,
    pub verify_only: bool,
    pub stats: Stats,
}

impl Purge<'_, '_> {
    /// Takes one batch. Says whether to go on.
    ///
    /// # Errors
    /// The journal cannot be written, or stdout is closed.
    pub(crate) fn batch(
        &mut self,
        files: &[JournalFile],
        older_than: Duration,
    ) -> anyhow::Result<bool> {
        let candidates = files.iter().map(|file| &file.file);
        self.prover.begin(candidates.clone());
        self.prover.read_rows(candidates);
        for file in files {
            if wire::stop::requested() {
                return Ok(false);
            }
            let (outcome, reason, proof) = self.one(file, older_than)?;
            let trash = self.trash.path_of(&file.file.relative);
            let end = FileOutcome {
                file: &file.file,
                outcome,
                reason,
                proof,
                trash: Some(&trash),
                journal: Some(&self.journal.path),
                input: None,
            };
            end.write(self.out, &mut self.stats)?;
        }
        Ok(true)
    }

    fn one(
        &mut self,
        file: &JournalFile,
        older_than: Duration,
    ) -> Result<(Outcome, Reason, Vec<String>), Fatal> {
        if let Err(reason) = may_be_purged(file, older_than) {
            return Ok((Outcome::Kept, reason, Vec::new()));
        }
        let stamp = match self.settle(file)? {
            Ok(stamp) => stamp,
            Err((outcome, reason)) => return Ok((outcome, reason, Vec::new())),
        };
        let seq = file.seq;
        // A copy of it has a number and times of its own; its bytes are read in any case.
        let candidate = Candidate {
            identity: Identity {
                dev: Some(stamp.dev),
                inode: Some(stamp.inode),
                mtime: Some(stamp.mtime_text()),
                ..file.file.identity.clone()
            },
            ..file.file.clone()
        };
        let case = Case {
            file: &candidate,
            trash: Some(&self.trash.tree),
        };
        let proven = self.prover.prove(&case);
        let mut answers = proven.answers;
        let proof = answers.proof();
        let (open, sha1) = match (
            may_remove(candidate.class, &answers),
            proven.open,
            proven.sha1,
        ) {
            (Decision::Remove, Some(open), Some(sha1)) => (open, sha1),
            (Decision::Remove, ..) => {
                let why = "not known: it was not read";
                return Ok((Outcome::Kept, Reason::new(why, why), proof));
            }
            (Decision::Keep(reason), ..) => return Ok((Outcome::Kept, reason, proof)),
        };
        if self.verify_only {
            return Ok((Outcome::Verified, Reason::new("", "all is proven"), proof));
        }
        let step = || JournalMove {
            seq,
            proof: Some(proof.clone()),
            ..JournalMove::default()
        };
        self.journal.note(Step::Purging, step())?;
        let last = match self.prover.once_more(&case, &open, &sha1, &mut answers) {
            Decision::Remove if !open.unchanged() => {
                let why = "it was changed in the last moment";
                Decision::Keep(Reason::new(why, why))
            }
            decision => decision,
        };
        if let Decision::Keep(reason) = last {
            let line = JournalMove {
                seq,
                why: Some(reason.why.clone()),
                ..JournalMove::default()
            };
            // The announcement is taken back.
            self.journal.note(Step::Removed, line)?;
            return Ok((Outcome::Kept, reason, proof));
        }
        match rustix::fs::unlinkat(&open.folder, &open.name, AtFlags::empty()) {
            Ok(()) => {}
            Err(errno) => {
                let reason = Reason::new("delete", format!("delete: {errno}"));
                return Ok((Outcome::Failed, reason, proof));
            }
        }
        let line = JournalMove {
            seq,
            ..JournalMove::default()
        };
        self.journal.note(Step::Purged, line)?;
        self.trash.tidy(&file.file.relative);
        let why = "the server has its bytes, and its space is free";
        Ok((Outcome::Purged, Reason::new("", why), proof))
    }

    /// The file as it is in the quarantine. Where it is not, what a run that was killed left open is
    /// written down, and what became of the file is the inner error.
    ///
    /// # Errors
    /// The journal cannot be written.
    fn settle(&mut self, file: &JournalFile) -> Result<Result<Stamp, (Outcome, Reason)>, Fatal> {
        let kept = |kind: &'static str, why: &str| Ok(Err((Outcome::Kept, Reason::new(kind, why))));
        let place = match file.whereabouts(&self.prover.tree, &self.trash.tree) {
            Ok(Where::Away(stamp)) => return Ok(Ok(stamp)),
            Ok(place) => place,
            Err(why) => return kept("not known: where it is", &why),
        };
        let step = come_to(file.step, &place);
        if let Some(step) = step.filter(|_| !self.verify_only) {
            let line = JournalMove {
                seq: file.seq,
                why: Some("found so after the run was killed".into()),
                ..JournalMove::default()
            };
            self.journal.note(step, line)?;
        }
        match place {
            Where::Nowhere if step == Some(Step::Purged) => {
                let why = "it was deleted by a run that was killed before it could say so";
                Ok(Err((Outcome::Purged, Reason::new("", why))))
            }
            Where::Home => kept("it is in its place", "it is in its place in the library"),
            Where::Both => kept(
                "it is in its place as well",
                "a move was cut short, so it is in its place as well; orphan-restore settles that",
            ),
            Where::Another(why) => kept("another file of its name is there", &why),
            _ => {
                let why = "it is neither in the quarantine nor in its place";
                kept(why, why)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use orphan_scan::removal::candidate::Identity;

    use super::*;

    fn file(class: Class, step: Step, at: &str) -> JournalFile {
        JournalFile {
            seq: 1,
            file: Candidate {
                path: "/l/x".into(),
                relative: "x".into(),
                class,
                identity: Identity::default(),
                book_id: None,
                format: None,
            },
            proof: Vec::new(),
            step,
            folder_before: None,
            folder_after: None,
            folder_restored: None,
            at: at.into(),
        }
    }

    #[test]
    fn only_what_is_old_enough_and_has_a_copy_may_be_purged() {
        const DAY: Duration = Duration::from_secs(86_400);
        let ago = |age: Duration| (jiff::Timestamp::now() - age).to_string();
        let may = |class, step, at: &str| may_be_purged(&file(class, step, at), DAY).is_ok();
        let (orphan, old) = (Class::UntrackedOnServer, ago(DAY));
        assert!(may(orphan, Step::Removed, &old));
        assert!(may(Class::DuplicateOfServer, Step::Purging, &old));
        assert!(!may(Class::Untracked, Step::Removed, &old));
        for step in [
            Step::NotRemoved,
            Step::Returned,
            Step::Restored,
            Step::Purged,
        ] {
            assert!(!may(orphan, step, &old), "{step:?}");
        }
        let young = ago(DAY - Duration::from_secs(60));
        // A clock that was set back makes nothing old.
        let future = (jiff::Timestamp::now() + 10 * DAY).to_string();
        for at in [&*young, &*future, "", "some day"] {
            assert!(!may(orphan, Step::Removed, at), "{at}");
        }
    }
}
