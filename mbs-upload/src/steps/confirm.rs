//! What other uploaders may have done meanwhile, asked before each step that must not be taken twice.

use crate::{
    locks::{LockGuard, LockState, There},
    metadata::wanted::Wanted,
    model::{claim, failure::Failure, outcome::Outcome},
    steps::{Step, Stepped, UploadTask},
};

impl UploadTask<'_> {
    /// Is the content there by now, brought by somebody else? Says so as `by`.
    pub(super) fn there_by_now(&mut self, by: &'static str) -> Stepped {
        Ok(match self.confirm()? {
            Some(LockState::There(There { source, ebook })) => Some(Outcome {
                source,
                ebook,
                ..Outcome::duplicate(by)
            }),
            _ => None,
        })
    }

    /// The same just before an ebook is made. When our claims were lost meanwhile, others may have
    /// made it: then it is looked for again.
    pub(super) fn made_by_now(&mut self, upload: i64, wanted: &Wanted) -> Result<Sure, Failure> {
        Ok(match self.confirm()? {
            Some(LockState::There(There { source, ebook })) => Sure::Ended(Outcome {
                source,
                ebook,
                ..Outcome::duplicate("add")
            }),
            Some(LockState::Regained) => {
                self.with.memory.recent.forget(wanted);
                let wanted = wanted.clone();
                self.then(Step::Place { upload, wanted })?;
                Sure::Elsewhere
            }
            Some(LockState::Held) | None => Sure::Yes,
        })
    }

    fn confirm(&mut self) -> Result<Option<LockState>, Failure> {
        let guard = self.guard.as_mut();
        guard
            .map(|guard| guard.confirm(&self.job.content))
            .transpose()
    }

    /// Is nobody else at work on the book at this moment?
    pub(super) fn is_alone(&mut self) -> Result<bool, Failure> {
        self.guard.as_mut().map_or(Ok(true), LockGuard::is_held)
    }

    /// Holds the book that only the engine could name. Whoever has to wait for it gives up the
    /// content first: it is only ever waited for after the book.
    pub(super) fn hold_book(&mut self) -> Result<(), Failure> {
        if self.job.knows_its_book() || self.late.is_some() {
            return Ok(());
        }
        let title = self.book.title.as_deref().unwrap_or_default();
        let books = claim::of_book(title, &self.book.authors);
        self.late = self.with.queue.try_hold(&books);
        if self.late.is_none() {
            if let Some(guard) = &mut self.guard {
                guard.give_back();
            }
            self.late = Some(self.with.queue.hold(books.clone()));
        }
        match &mut self.guard {
            Some(guard) => guard.extend_by(&books),
            None => Ok(()),
        }
    }
}

/// May the ebook be made?
pub(super) enum Sure {
    Yes,
    /// Another step comes first.
    Elsewhere,
    /// There is no need for it.
    Ended(Outcome),
}
