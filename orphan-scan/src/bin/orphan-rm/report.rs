//! What became of each file: its record, and the counts of the summary.

use std::{io, path::Path};

use wire::{
    Line, Record, Writer,
    records::{Removal, Summary},
};

use crate::journal::fields;

/// What became of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is in the quarantine.
    Removed,
    /// It stayed.
    Kept,
    /// It could be moved neither there nor back.
    Failed,
    /// It would go.
    WouldRemove,
    /// All is proven.
    Verified,
    /// It is in its place again.
    Restored,
    /// It is gone for good.
    Purged,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Outcome::Removed => "removed",
            Outcome::Kept => "kept",
            Outcome::Failed => "failed",
            Outcome::WouldRemove => "would_remove",
            Outcome::Verified => "verified",
            Outcome::Restored => "restored",
            Outcome::Purged => "purged",
        }
    }
}

/// Counts of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts([(u64, u64); 7]);

impl Counts {
    /// Files and bytes of an outcome.
    pub(crate) fn of(&self, outcome: Outcome) -> (u64, u64) {
        self.0[outcome as usize]
    }

    fn count(&mut self, outcome: Outcome, bytes: u64) {
        let (files, all) = &mut self.0[outcome as usize];
        *files += 1;
        *all += bytes;
    }

    /// Puts those that there are into a summary.
    pub(crate) fn fill(&self, summary: &mut Summary) {
        let files = |outcome| Some(self.of(outcome).0).filter(|&files| files > 0);
        let bytes = |outcome| files(outcome).map(|_| self.of(outcome).1);
        summary.removed = files(Outcome::Removed);
        summary.removed_bytes = bytes(Outcome::Removed);
        summary.kept = files(Outcome::Kept);
        summary.removal_failed = files(Outcome::Failed);
        summary.would_remove = files(Outcome::WouldRemove);
        summary.would_remove_bytes = bytes(Outcome::WouldRemove);
        summary.verified = files(Outcome::Verified);
        summary.restored = files(Outcome::Restored);
        summary.purged = files(Outcome::Purged);
        summary.purged_bytes = bytes(Outcome::Purged);
    }
}

/// One file's end.
#[derive(Debug)]
pub(crate) struct End<'e> {
    /// What became of it.
    pub outcome: Outcome,
    /// Its path in the library.
    pub path: &'e Path,
    /// Why.
    pub why: String,
    /// What was asked and answered.
    pub proof: Vec<String>,
    /// Where it is in the quarantine.
    pub trash: Option<&'e Path>,
    /// The journal.
    pub journal: Option<&'e Path>,
    /// Bytes.
    pub size: u64,
    /// The finding.
    pub input: Option<&'e Record>,
}

impl End<'_> {
    /// Writes the record and counts.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub(crate) fn write(self, out: &Writer, counts: &mut Counts) -> io::Result<()> {
        let (path, path_b64) = fields(self.path);
        let twin = |path: Option<&Path>| path.map(fields).unzip();
        let (trash, trash_b64) = twin(self.trash);
        let (journal, journal_b64) = twin(self.journal);
        let removal = Removal {
            path,
            path_b64,
            outcome: self.outcome.name().into(),
            why: self.why,
            proof: self.proof,
            trash,
            trash_b64: trash_b64.flatten(),
            journal,
            journal_b64: journal_b64.flatten(),
            ebook_id: None,
        };
        counts.count(self.outcome, self.size);
        let mut line = Line::of(&removal);
        if let Some(input) = self.input {
            line.inherit(input);
        }
        match self.outcome {
            Outcome::Failed => out.fail_as(&line, &removal.path, "move", &removal.why),
            _ => out.write(&line),
        }
    }
}
