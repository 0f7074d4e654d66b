//! The file is added to its ebook; an ebook that stays empty is removed again.

use crate::{
    api::{
        ebook::{self, Added},
        extract, upload_check,
    },
    input::links::Links,
    metadata::wanted::Wanted,
    model::{
        check::CheckAnswer,
        failure::Failure,
        outcome::{Kind, Outcome},
    },
    steps::{Step, Stepped, UNADDED, UploadTask},
};

impl UploadTask<'_> {
    pub(super) fn add(&mut self, upload: i64, wanted: Wanted, ebook: i64) -> Stepped {
        let there = self.there_by_now("add")?;
        if self.unconfirmed.add
            && let Some(outcome) = self.added(&wanted, ebook)?
        {
            return Ok(Some(outcome));
        }
        if there.is_some() {
            return Ok(there);
        }
        if self.unadded >= UNADDED && !self.sent_again {
            // The server removes the uploaded file before it commits: when that fails, the row is left
            // without it, and each further try fails, too.
            (self.sent_again, self.unadded) = (true, 0);
            return self.then(Step::Send);
        }
        if let Some((why, _)) = self.with.links.and_then(Links::refused) {
            return Ok(Some(Outcome::because(Kind::Failed, why)));
        }
        let link = self.link()?;
        match ebook::add(self.with.api, ebook, upload, link.as_deref()) {
            Ok(Added::Source(source)) => Ok(Some(self.arrived(&wanted, ebook, Some(source), true))),
            Ok(Added::Exists {
                source,
                ebook: there,
            }) if self.unconfirmed.add && there == Some(ebook) => {
                Ok(Some(self.arrived(&wanted, ebook, source, false)))
            }
            Ok(Added::Exists { source, ebook }) => {
                if !self.unconfirmed.add {
                    self.with.memory.concurrent.overtaken();
                }
                Ok(Some(Outcome {
                    ebook,
                    source,
                    ..Outcome::duplicate("add")
                }))
            }
            Err(Failure::NotFound(why)) => self.missing(wanted, upload, ebook, why),
            Err(other) => match self.is_astray(&other, false) {
                Some(outcome) => Ok(Some(outcome)),
                None => Err(other),
            },
        }
    }

    /// Did an earlier try add the file without our hearing of it?
    pub(super) fn added(&mut self, wanted: &Wanted, ebook: i64) -> Stepped {
        if upload_check::one(self.with.api, &self.job.question())? != CheckAnswer::Exists {
            return Ok(None);
        }
        let there = ebook::get(self.with.api, ebook)?;
        let source = there.and_then(|e| e.source_like(&self.job.content, &self.job.extension));
        Ok(Some(match source {
            Some(_) => self.arrived(wanted, ebook, source, false),
            None => Outcome::duplicate("add"),
        }))
    }

    /// The file is in that ebook; by our hand for certain, if it is `ours`.
    pub(super) fn arrived(
        &mut self,
        wanted: &Wanted,
        ebook: i64,
        source: Option<i64>,
        ours: bool,
    ) -> Outcome {
        let mut outcome = Outcome {
            ebook: Some(ebook),
            source,
            ..Outcome::new(Kind::Uploaded)
        };
        self.look_at_link(&mut outcome, ours);
        if outcome.kind == Kind::Uploaded {
            self.with.memory.recent.put(wanted, ebook);
            // Before all others: a record does not hold many.
            let joins = self.joins(wanted, ebook);
            self.book.notes.splice(0..0, joins);
            let made = self.made == Some(ebook);
            self.with.journal.owners.put(ebook, self.job.owner(), made);
        }
        outcome
    }

    /// What is said when that ebook is another Calibre book's, too.
    pub(super) fn joins(&self, wanted: &Wanted, ebook: i64) -> Option<String> {
        if self.made == Some(ebook) {
            return None;
        }
        let first = self.with.journal.owners.other(ebook, self.job.owner())?;
        let title = &wanted.title;
        Some(format!(
            "joined the ebook of book {first}, which has the same title, author and language: {title}"
        ))
    }

    /// The ebook or the upload's row is not there: which?
    fn missing(&mut self, wanted: Wanted, upload: i64, ebook: i64, why: String) -> Stepped {
        if ebook::get(self.with.api, ebook)?.is_some() {
            // An addition that was done unheard takes the row with it.
            if self.unconfirmed.add
                && let Some(outcome) = self.added(&wanted, ebook)?
            {
                return Ok(Some(outcome));
            }
            // Both are there: it misses the file that it is to link to.
            if self.with.links.is_some()
                && extract::read(self.with.api, upload).is_ok()
                && let Some(outcome) = self.is_astray(&Failure::NotFound(why), true)
            {
                return Ok(Some(outcome));
            }
            return self.extract_again("its row of metadata is gone");
        }
        self.with.memory.recent.forget(&wanted);
        self.made = None;
        self.step = Step::Place { upload, wanted };
        self.is_unconfirmed = false;
        Err(Failure::Server(format!(
            "ebook {ebook} has been removed meanwhile"
        )))
    }

    /// Removes the ebook that we made and that got no file.
    pub(super) fn clear_away(&mut self, outcome: &mut Outcome) {
        let Some(ebook) = self.made.take() else {
            return;
        };
        let cleared = self.insist(|task| {
            let alone = task.is_alone()?;
            if alone {
                ebook::remove_if_empty(task.with.api, ebook)?;
            }
            Ok(alone)
        });
        let why = match cleared {
            Ok(true) => return self.note_cleared(),
            Ok(false) => "another uploader is at work on its book".into(),
            Err(failure) => failure.to_string(),
        };
        let note = format!("ebook {ebook} may be left without a file: {why}");
        outcome.notes.push(note);
    }
}
