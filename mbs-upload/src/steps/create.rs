//! The ebook is made. Authors and series that the server lacks it makes along with it: it looks for them
//! first, but not in one move, so of two creations at a time each would make its own.

use std::time::Instant;

use crate::{
    api::{ebook, matching},
    locks::LockGuard,
    metadata::wanted::Wanted,
    model::{claim, failure::Failure},
    queue::work_queue::Held,
    steps::{LEFT, Step, Stepped, UploadTask, confirm::Sure},
};

/// Names that nobody else makes meanwhile, among all uploaders and in this run. Held after book and
/// content, and by nobody who waits for those.
pub(super) struct Names<'a> {
    among_all: Option<LockGuard<'a>>,
    _here: Held<'a>,
}

impl<'a> UploadTask<'a> {
    pub(super) fn create(&mut self, upload: i64, wanted: Wanted) -> Stepped {
        if self.is_unconfirmed {
            if let Some(ebook) = self.created(&wanted)? {
                return self.then(Step::Add {
                    upload,
                    wanted,
                    ebook,
                });
            }
            // The earlier request may still be at work.
            if !self.book.notes.iter().any(|note| note == LEFT) {
                self.book.notes.push(LEFT.into());
            }
        }
        if self.guard.is_some() {
            // What follows may wait for book and content, should their claims be lost.
            self.names = None;
        }
        loop {
            match self.made_by_now(upload, &wanted)? {
                Sure::Yes => {}
                Sure::Elsewhere => return Ok(None),
                Sure::Ended(outcome) => return Ok(Some(outcome)),
            }
            if self.hold_names(&wanted)? {
                break;
            }
        }
        self.find_series(&wanted)?;
        // From here on it may be done without our hearing of it.
        self.note_making();
        match ebook::create(self.with.api, &wanted, self.rows.series, &self.rows.genres) {
            Ok(ebook) => {
                self.made = Some(ebook);
                self.then(Step::Add {
                    upload,
                    wanted,
                    ebook,
                })
            }
            Err(failure) => {
                if let (Some(series), true) = (&wanted.series, failure.is_unconfirmed()) {
                    // A series that was merged away in the meantime makes the server answer 500.
                    self.with.catalog.forget_series(&series.title);
                    self.rows.series = None;
                }
                Err(failure)
            }
        }
    }

    /// The ebook that an earlier try made without our hearing of it. Before that try there was none.
    pub(super) fn created(&mut self, wanted: &Wanted) -> Result<Option<i64>, Failure> {
        let Some(ebook) = matching::find(self.with.api, wanted)? else {
            return Ok(None);
        };
        let Some(found) = ebook::get(self.with.api, ebook)? else {
            return Ok(None);
        };
        let ours = found.created_by.is_some() && found.created_by == self.with.api.user_id();
        if ours && found.sources.is_empty() {
            self.made = Some(ebook);
        }
        Ok(Some(ebook))
    }

    /// Holds the names that this ebook may be the first to need. They stay held over tries that fail,
    /// whose requests may still be at work on the server. Says whether the claims on book and content
    /// are held still.
    pub(super) fn hold_names(&mut self, wanted: &Wanted) -> Result<bool, Failure> {
        let names = claim::names(wanted);
        if self.names.is_none() && !names.is_empty() {
            self.clock.waits(Instant::now());
            let _here = self.with.queue.hold(names.clone());
            let claims = self.with.locks.filter(|_| self.guard.is_some());
            let among_all = claims.map(|claims| claims.wait_for(&names)).transpose()?;
            self.clock.moves(Instant::now());
            self.names = Some(Names { among_all, _here });
        }
        let among_all = self
            .names
            .as_ref()
            .and_then(|names| names.among_all.as_ref());
        let held = match (among_all, &self.guard) {
            (Some(names), Some(guard)) => guard.is_with(names),
            _ => true,
        };
        if !held {
            self.names = None;
        }
        Ok(held)
    }

    /// Looks once more for a series that was not there, now that nobody else makes it. The server itself
    /// does so for authors, by their exact names, but takes a series in other letters for another one.
    pub(super) fn find_series(&mut self, wanted: &Wanted) -> Result<(), Failure> {
        if let (Some(series), None) = (&wanted.series, self.rows.series) {
            self.rows.series = matching::series(self.with.api, &series.title)?;
            if let Some(id) = self.rows.series {
                self.with.catalog.learn_series(&series.title, id);
            }
        }
        Ok(())
    }
}
