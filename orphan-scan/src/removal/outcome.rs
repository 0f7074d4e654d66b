//! What became of each file: its record.

use std::{io, path::Path};

use wire::{Line, Record, Writer, records::Removal};

use super::{candidate::Candidate, journal::fields, proof::Reason, stats::Stats};

/// What became of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
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
    /// The word for it in records.
    pub fn name(self) -> &'static str {
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

/// What became of one file, and why.
#[derive(Debug)]
pub struct FileOutcome<'e> {
    /// The file.
    pub file: &'e Candidate,
    /// What became of it.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
    /// What was asked and answered.
    pub proof: Vec<String>,
    /// Where it is in the quarantine.
    pub trash: Option<&'e Path>,
    /// The journal.
    pub journal: Option<&'e Path>,
    /// The finding.
    pub input: Option<&'e Record>,
}

impl FileOutcome<'_> {
    /// Writes the record and counts.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn write(self, out: &Writer, stats: &mut Stats) -> io::Result<()> {
        stats.count(&self);
        let (path, path_b64) = fields(&self.file.path);
        let twin = |path: Option<&Path>| path.map(fields).unzip();
        let (trash, trash_b64) = twin(self.trash);
        let (journal, journal_b64) = twin(self.journal);
        let removal = Removal {
            path,
            path_b64,
            outcome: self.outcome.name().into(),
            why: self.reason.why,
            proof: self.proof,
            trash,
            trash_b64: trash_b64.flatten(),
            journal,
            journal_b64: journal_b64.flatten(),
            ebook_id: None,
        };
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
