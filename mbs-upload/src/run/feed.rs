//! The reader of the input: a job of each record that names a file, the others passed on.

use std::{
    io::{self, BufRead},
    sync::mpsc::{Receiver, SyncSender},
    time::Instant,
};

use wire::{Completeness, Exit, Fatal, Item, Reader, Record, write::ItemError};

use crate::{
    model::{job::Job, outcome::Outcome},
    queue::separate::Separate,
    retry::shutdown::STOPPED,
    run::Run,
};

/// What the reader of the input hands over.
pub(super) enum Feed {
    Item(Item),
    End(io::Result<Box<Completeness>>),
    /// A worker or a signal has aborted the run.
    Abort,
}

/// Reads the input to its end, on a thread of its own.
pub(super) fn read(input: impl BufRead, feed: &SyncSender<Feed>) {
    let mut reader = Reader::new(input);
    let end = loop {
        let next = reader.next_item();
        // A stop ends the input anywhere, so that its last line may be half a line and its end none.
        if wire::stop::requested() {
            let _ = feed.send(Feed::Abort);
            return;
        }
        match next {
            Ok(Some(item)) => {
                if feed.send(Feed::Item(item)).is_err() {
                    return;
                }
            }
            Ok(None) => break Ok(Box::new(reader.completeness())),
            Err(error) => break Err(error),
        }
    };
    // Nobody listens any more after an abort.
    let _ = feed.send(Feed::End(end));
}

impl Run<'_> {
    /// Makes jobs of the input; returns what was counted, or nothing after an abort.
    pub(super) fn feed(
        &self,
        feed: &Receiver<Feed>,
    ) -> Result<Option<Box<Completeness>>, anyhow::Error> {
        let fed = self.feed_all(feed);
        match &fed {
            Ok(Some(_)) => {
                self.monitor.input_ended();
                self.with.queue.end();
            }
            Ok(None) if wire::stop::requested() => self.with.queue.abort(STOPPED),
            Ok(None) => self.with.queue.abort("the run was aborted"),
            Err(error) => self.with.queue.abort(&error.to_string()),
        }
        fed
    }

    fn feed_all(&self, feed: &Receiver<Feed>) -> Result<Option<Box<Completeness>>, anyhow::Error> {
        let mut separate = self.separate.then(Separate::default);
        while let Ok(next) = feed.recv() {
            // Also what is known already must not be read on and on after an abort.
            if self.with.queue.aborted().is_some() {
                return Ok(None);
            }
            let went_on = match next {
                Feed::Item(Item::Record(record)) => self.take_in(record, separate.as_mut())?,
                Feed::Item(Item::Unusable(line, reason)) => {
                    let item_error = ItemError {
                        op: "read",
                        message: &reason,
                        retry: false,
                    };
                    self.out
                        .fail_new(None, &format!("stdin:{line}"), item_error, |_| ())?;
                    true
                }
                Feed::End(completeness) => {
                    return completeness.map(Some).map_err(|error| {
                        Fatal::new(Exit::GaveUp, format!("stdin: read: {error}")).into()
                    });
                }
                Feed::Abort => false,
            };
            if !went_on {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Says whether the run goes on.
    fn take_in(&self, record: Record, separate: Option<&mut Separate>) -> io::Result<bool> {
        // Of what carries no hash, book_file is a step left out; all else is none of our business.
        if !matches!(record.kind(), "file_hash" | "finding" | "book_file") {
            self.out.pass(&record)?;
            return Ok(true);
        }
        let mut job = match Job::named(record.clone()) {
            Ok(job) => job,
            Err(error) => {
                let message = error.to_string();
                let shown = record.path().map(|path| path.display().to_string());
                let item_error = ItemError {
                    op: "input",
                    message: &message,
                    retry: false,
                };
                self.out.fail(
                    &record,
                    &shown.unwrap_or_else(|_| "stdin".into()),
                    item_error,
                )?;
                return Ok(true);
            }
        };
        self.monitor.read(&job);
        let book_is_read = separate.is_some();
        if let Some(separate) = separate {
            // Also what was sent before counts, so that a run that goes on decides alike.
            job.read_book();
            separate.tell_apart(&mut job);
        }
        if self.with.queue.is_known(&job.content) {
            let outcome = Outcome::duplicate("known");
            self.report.end(self.out, &job, &outcome, Instant::now())?;
            return Ok(true);
        }
        let journal = self.with.journal;
        if let Some(outcome) = journal.done(&job.content) {
            self.report.end(self.out, &job, &outcome, Instant::now())?;
            return Ok(true);
        }
        if !book_is_read {
            job.read_book();
        }
        if let Some(outcome) = journal.refusal(&job, &self.with.catalog.languages) {
            self.report.end(self.out, &job, &outcome, Instant::now())?;
            return Ok(true);
        }
        Ok(self.with.queue.push(job))
    }
}
