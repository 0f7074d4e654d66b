//! Freeing the space: what lies in the quarantine is proven all over again, file by file, and only what
//! the server has for certain is deleted.

use std::{path::PathBuf, time::Duration};

use hash_files::Stamp;
use rustix::fs::AtFlags;
use wire::{Fatal, Writer, records::JournalMove};

use crate::{
    candidate::Seen,
    journal::{Entry, Journal, Step, Where, come_to},
    proof::{Class, Reason, Verdict, may_remove},
    prover::{Case, Prover},
    report::{End, Outcome},
    tally::Tally,
    trash::Trash,
};

/// Can this file be purged at all? Why not, where not.
pub(crate) fn may_be_purged(entry: &Entry, older_than: Duration) -> Result<Class, Reason> {
    if entry.step.is_settled() {
        let why = "it is not in the quarantine any more";
        return Err(Reason::new(why, why));
    }
    let class = entry.class().ok_or_else(|| {
        let why = "its class is not known";
        Reason::new(why, why)
    })?;
    if class == Class::Untracked {
        let why = "nobody has it on record, so it may be the only copy: it is never purged";
        return Err(Reason::new("it may be the only copy", why));
    }
    let age = entry.at.parse::<jiff::Timestamp>().ok().map(|at| {
        let age = jiff::Timestamp::now().duration_since(at);
        Duration::try_from(age).unwrap_or_default()
    });
    match age {
        Some(age) if age >= older_than => Ok(class),
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
    pub trash: Trash,
    pub journal: Journal,
    pub verify_only: bool,
    pub tally: Tally,
}

impl Purge<'_, '_> {
    /// Takes one batch. Says whether to go on.
    ///
    /// # Errors
    /// The journal cannot be written, or stdout is closed.
    pub(crate) fn batch(
        &mut self,
        entries: &[Entry],
        older_than: Duration,
    ) -> anyhow::Result<bool> {
        let files: Vec<PathBuf> = entries.iter().map(|entry| entry.relative.clone()).collect();
        let sha1s: Vec<&str> = entries
            .iter()
            .filter_map(|entry| entry.intent.sha1.as_deref())
            .collect();
        self.prover.begin(files, &sha1s);
        for entry in entries {
            if wire::stop::requested() {
                return Ok(false);
            }
            let (outcome, reason, proof) = self.one(entry, older_than)?;
            let path = self.prover.tree.path.join(&entry.relative);
            let trash = self.trash.path_of(&entry.relative);
            let end = End {
                outcome,
                path: &path,
                class: entry.class(),
                reason,
                proof,
                trash: Some(&trash),
                journal: Some(&self.journal.path),
                size: entry.intent.size.unwrap_or(0),
                input: None,
            };
            end.write(self.out, &mut self.tally)?;
        }
        Ok(true)
    }

    fn one(
        &mut self,
        entry: &Entry,
        older_than: Duration,
    ) -> Result<(Outcome, Reason, Vec<String>), Fatal> {
        let class = match may_be_purged(entry, older_than) {
            Ok(class) => class,
            Err(reason) => return Ok((Outcome::Kept, reason, Vec::new())),
        };
        let stamp = match self.settle(entry)? {
            Ok(stamp) => stamp,
            Err((outcome, reason)) => return Ok((outcome, reason, Vec::new())),
        };
        let intent = &entry.intent;
        // A copy of it has a number and times of its own; its bytes are read in any case.
        let seen = Seen {
            dev: Some(stamp.dev),
            inode: Some(stamp.inode),
            mtime: Some(stamp.mtime_text()),
            ..entry.seen()
        };
        let case = Case {
            relative: &entry.relative,
            class,
            seen: &seen,
            book_id: intent.book_id,
            format: intent.format.as_deref(),
            trash: Some(&self.trash.tree),
        };
        let proven = self.prover.prove(&case);
        let mut facts = proven.facts;
        let proof = facts.proof();
        let (file, sha1) = match (may_remove(class, &facts), proven.entry, proven.sha1) {
            (Verdict::Remove, Some(file), Some(sha1)) => (file, sha1),
            (Verdict::Remove, ..) => {
                let why = "not known: it was not read";
                return Ok((Outcome::Kept, Reason::new(why, why), proof));
            }
            (Verdict::Keep(reason), ..) => return Ok((Outcome::Kept, reason, proof)),
        };
        if self.verify_only {
            return Ok((Outcome::Verified, Reason::new("", "all is proven"), proof));
        }
        let step = || JournalMove {
            seq: intent.seq,
            proof: Some(proof.clone()),
            ..JournalMove::default()
        };
        self.journal.note(Step::Purging, step())?;
        let last = match self.prover.once_more(&case, &file, &sha1, &mut facts) {
            Verdict::Remove if !file.unchanged() => {
                let why = "it was changed in the last moment";
                Verdict::Keep(Reason::new(why, why))
            }
            verdict => verdict,
        };
        if let Verdict::Keep(reason) = last {
            let line = JournalMove {
                seq: intent.seq,
                why: Some(reason.why.clone()),
                ..JournalMove::default()
            };
            // The announcement is taken back.
            self.journal.note(Step::Removed, line)?;
            return Ok((Outcome::Kept, reason, proof));
        }
        match rustix::fs::unlinkat(&file.folder, &file.name, AtFlags::empty()) {
            Ok(()) => {}
            Err(errno) => {
                let reason = Reason::new("delete", format!("delete: {errno}"));
                return Ok((Outcome::Failed, reason, proof));
            }
        }
        let seq = JournalMove {
            seq: intent.seq,
            ..JournalMove::default()
        };
        self.journal.note(Step::Purged, seq)?;
        self.trash.tidy(&entry.relative);
        let why = "the server has its bytes, and its space is free";
        Ok((Outcome::Purged, Reason::new("", why), proof))
    }

    /// The file as it is in the quarantine. Where it is not, what a run that was killed left open is
    /// written down, and what became of the file is the inner error.
    ///
    /// # Errors
    /// The journal cannot be written.
    fn settle(&mut self, entry: &Entry) -> Result<Result<Stamp, (Outcome, Reason)>, Fatal> {
        let kept = |kind: &'static str, why: &str| Ok(Err((Outcome::Kept, Reason::new(kind, why))));
        let place = match entry.whereabouts(&self.prover.tree, &self.trash.tree) {
            Ok(Where::Away(stamp)) => return Ok(Ok(stamp)),
            Ok(place) => place,
            Err(why) => return kept("not known: where it is", &why),
        };
        let step = come_to(entry.step, &place);
        if let Some(step) = step.filter(|_| !self.verify_only) {
            let line = JournalMove {
                seq: entry.intent.seq,
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
                "a move was cut short, so it is in its place as well; --restore settles that",
            ),
            Where::Another(why) => kept("another file of its name is there", &why),
            _ => {
                let why = "it is neither in the quarantine nor in its place";
                kept(why, why)
            }
        }
    }
}
