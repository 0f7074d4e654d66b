//! Authors and series that the server makes along with an ebook. It looks for them first, but not in
//! one move: of two creations at a time, each would make its own.

use std::time::Instant;

use crate::{
    api::matching,
    locks::LockGuard,
    metadata::wanted::Wanted,
    model::{claim, failure::Failure},
    queue::work_queue::Held,
    steps::UploadTask,
};

/// Names that nobody else makes meanwhile, among all uploaders and in this run. Held after book and
/// content, and by nobody who waits for those.
pub(super) struct Names<'a> {
    among_all: Option<LockGuard<'a>>,
    _here: Held<'a>,
}

impl<'a> UploadTask<'a> {
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
        if let (Some(series), None) = (&wanted.series, self.series) {
            self.series = matching::series(self.with.api, &series.title)?;
            if let Some(id) = self.series {
                self.with.catalog.learn_series(&series.title, id);
            }
        }
        Ok(())
    }
}
