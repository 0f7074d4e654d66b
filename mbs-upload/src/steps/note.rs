//! The task and the journal: each step written down before it is taken, and gone on from where a
//! killed run was.

use serde_json::Value;
use wire::{journal::WriteError, records::JournalStep};

use crate::{
    api::extract::{self, Since},
    model::failure::Failure,
    resume::ending::listed,
    steps::{Step, Stepped, UploadTask},
};

/// Rows of the table `upload` that may have been made since a call, for its own to be looked for.
const NEAR: i64 = 200;

/// Bytes of a uuid that is written down; the input may hold anything, the journal's lines stay short.
const UUID: usize = 64;

impl UploadTask<'_> {
    /// Writes down the step that is next.
    pub(super) fn note(&self, next: &Step) -> Result<(), WriteError> {
        let mut line = JournalStep::default();
        line.step = match next {
            // What is made is written down for each try by itself.
            Step::Check | Step::Place { .. } | Step::Create { .. } => return Ok(()),
            Step::Send => {
                let (path, exact) = wire::path::encode(&self.job.path);
                (line.path, line.path_b64) = (Some(path.into_owned()), exact);
                line.format = Some(self.job.extension.clone());
                "claimed"
            }
            Step::Extract { file, since } => {
                (line.file, line.since) = (Some(file.clone()), Some(since.0));
                "sent"
            }
            Step::Describe { upload } => {
                line.upload_id = Some(*upload);
                "row"
            }
            Step::Add { wanted, ebook, .. } => {
                line.ebook_id = Some(*ebook);
                line.made = Some(self.made == Some(*ebook));
                let joins = self.joins(wanted, *ebook).into_iter();
                let notes: Vec<_> = joins.chain(self.book.notes.iter().cloned()).collect();
                line.notes = listed(&notes);
                line.book_id = self.job.record.get("book_id");
                let uuid = self.job.record.text("uuid");
                line.uuid = uuid.filter(|uuid| uuid.len() <= UUID).map(Into::into);
                "adding"
            }
        }
        .into();
        self.with.journal.step(&self.job.content, line)
    }

    /// Its ebook is about to be made.
    pub(super) fn note_making(&self) {
        let line = JournalStep {
            step: "making".into(),
            ..JournalStep::default()
        };
        // With what is under way already, the run ends.
        let _ = self.with.journal.step(&self.job.content, line);
    }

    /// The ebook that was made for this file is gone, or not empty.
    pub(super) fn note_cleared(&self) {
        // A journal that is broken ends the run; the next one will look at the ebook once more.
        let _ = self.with.journal.cleared(&self.job.content);
    }

    /// Goes on after the check: what a killed run has sent is not sent again.
    pub(super) fn set_out(&mut self) -> Stepped {
        let Some(interrupted) = self.with.journal.interrupted(&self.job.content) else {
            return self.then(Step::Send);
        };
        if let Some((file, since)) = &interrupted.file {
            self.uploaded = Some((file.clone(), Since(*since)));
        }
        if let Some(upload) = interrupted.upload {
            let row = match extract::read(self.with.api, upload) {
                Err(Failure::NotFound(_)) => Value::Null,
                other => other?,
            };
            let hash = row.get("hash").and_then(Value::as_str);
            if hash == Some(&self.job.content.sha1()) {
                return self.then(Step::Describe { upload });
            }
        }
        let Some((file, since)) = self.uploaded.clone() else {
            return self.then(Step::Send);
        };
        let stepped = self.then(Step::Extract { file, since });
        // The engine may have heard the call for it, and made its row.
        let Since(newest) = self.with.memory.newest.now();
        self.is_unconfirmed = since.0 > 0 && newest - since.0 <= NEAR;
        stepped
    }
}
