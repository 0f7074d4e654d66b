//! What became of one file, as a record.

use std::time::Duration;

use wire::Line;

use crate::model::job::Job;

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is on the server now and was not before.
    Uploaded,
    /// The server had it.
    Duplicate,
    /// The server takes none as large.
    TooBig,
    /// The server lacks its format or language, or it is empty.
    Unsupported,
    /// It did not get there.
    Failed,
    /// It would be sent, were this no dry run.
    WouldUpload,
    /// Nobody knows yet: the run ended before. It gets no record; the next run settles it.
    Unfinished,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 7] = [
        Kind::Uploaded,
        Kind::Duplicate,
        Kind::TooBig,
        Kind::Unsupported,
        Kind::Failed,
        Kind::WouldUpload,
        Kind::Unfinished,
    ];

    /// As it stands in the record.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Uploaded => "uploaded",
            Kind::Duplicate => "duplicate",
            Kind::TooBig => "too_big",
            Kind::Unsupported => "unsupported",
            Kind::Failed => "failed",
            Kind::WouldUpload => "would_upload",
            Kind::Unfinished => "unfinished",
        }
    }
}

/// What a file was refused for, where that may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Its size; the server was asked about so many bytes.
    Size(u64),
    /// Its format.
    Format,
    /// Its format, by the engine.
    Engine,
    /// Its language, or that it has none.
    Language,
}

/// The end of one file's way.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// How it ended.
    pub kind: Kind,
    /// Who knew it for a duplicate: known, journal, check, upload or add. What this run has sent itself is
    /// known from then on.
    pub by: Option<&'static str>,
    /// The server's ebook.
    pub ebook: Option<i64>,
    /// The server's file.
    pub source: Option<i64>,
    /// What it is a link to on the server, where it was to be one.
    pub link: Option<String>,
    /// Why it is not simply uploaded.
    pub reason: Option<String>,
    /// What was changed in the metadata on the way.
    pub notes: Vec<String>,
    /// Tries; 0 when the server was not asked.
    pub attempts: u32,
    /// What it was refused for, where that may change.
    pub refused: Option<Refused>,
}

impl Outcome {
    /// Who may know a file for a duplicate, from the cheapest to the dearest.
    pub const BY: [&str; 5] = ["known", "journal", "check", "upload", "add"];

    /// An outcome of this kind, all else to be filled in.
    pub fn new(kind: Kind) -> Outcome {
        Outcome {
            kind,
            by: None,
            ebook: None,
            source: None,
            link: None,
            reason: None,
            notes: Vec::new(),
            attempts: 0,
            refused: None,
        }
    }

    /// One with a reason.
    pub fn because(kind: Kind, reason: impl Into<String>) -> Outcome {
        Outcome {
            reason: Some(reason.into()),
            ..Outcome::new(kind)
        }
    }

    /// One with a reason that may change: for the journal.
    pub fn refused(kind: Kind, reason: impl Into<String>, refused: Refused) -> Outcome {
        Outcome {
            refused: Some(refused),
            ..Outcome::because(kind, reason)
        }
    }

    /// A duplicate that was known by `by`.
    pub fn duplicate(by: &'static str) -> Outcome {
        Outcome {
            by: Some(by),
            ..Outcome::new(Kind::Duplicate)
        }
    }

    /// The record, with all that the input's record says.
    pub fn line(&self, job: &Job, took: Duration) -> Line {
        let mut line = Line::new("upload");
        line.path(&job.path)
            .text("sha1", &job.content.sha1())
            .int("size", job.content.size())
            .text("outcome", self.kind.name())
            .opt_text("by", self.by);
        if let Some(ebook) = self.ebook {
            line.int("ebook_id", ebook);
        }
        if let Some(source) = self.source {
            line.int("source_id", source);
        }
        line.opt_text("link", self.link.as_deref());
        line.int("attempts", self.attempts)
            .float("seconds", (took.as_secs_f64() * 1000.0).round() / 1000.0)
            .opt_text("reason", self.short_reason())
            .list("notes", short(&self.notes))
            .inherit(&job.record);
        line
    }

    /// The reason, short enough for a record.
    pub fn short_reason(&self) -> Option<&str> {
        self.reason.as_deref().map(|text| head(text, REASON))
    }
}

/// Bytes of a reason and of all notes that a record holds at most, so that its line stays within
/// what a pipe takes in one piece.
const REASON: usize = 240;
const NOTES: usize = 360;

fn head(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// Notes, each once, short enough for a record.
pub fn short(notes: &[String]) -> Vec<&str> {
    let mut left = NOTES;
    let mut kept: Vec<&str> = Vec::new();
    for note in notes.iter().map(|note| head(note, NOTES / 2)) {
        if kept.contains(&note) {
            continue;
        }
        if note.len() > left {
            kept.push("…");
            break;
        }
        left -= note.len();
        kept.push(note);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_said_once_and_within_bounds() {
        let notes = vec![
            "a".to_string(),
            "a".into(),
            "é".repeat(300),
            "x".repeat(350),
        ];
        let kept = short(&notes);
        assert_eq!(kept.len(), 3);
        assert_eq!((kept[0], kept[1].len(), kept[2]), ("a", 180, "…"));
    }
}
