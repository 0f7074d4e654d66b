//! The workers: each takes a job, goes its way and reports its end.

use std::{
    sync::{PoisonError, mpsc::SyncSender},
    time::Instant,
};

use crate::{
    api::upload_check,
    locks::{self, Turn},
    model::{
        failure::Failure,
        job::Job,
        outcome::{Kind, Outcome},
    },
    run::Run,
    run::feed::Feed,
    steps::{TaskEnd, UploadTask},
};

impl Run<'_> {
    /// Works until nothing is left to do.
    pub(super) fn work(&self, abort: &SyncSender<Feed>) {
        while let (permit, Some((mut job, held))) = (self.monitor.enter(), self.with.queue.take()) {
            let started = Instant::now();
            let mut end = match self.turn(&job) {
                Ok(Turn::Ours(guard)) => {
                    self.check_ahead(&mut job);
                    let _begun = self.monitor.begin(&job);
                    let sent = |bytes| self.monitor.sent(bytes);
                    UploadTask::new(&self.with, &job, guard, &sent).run()
                }
                Ok(Turn::Theirs) => {
                    self.with.queue.put_off(job, locks::AGAIN);
                    continue;
                }
                // Not begun, and nobody tries on: it is one of those that were not tried.
                Err(_) if wire::stop::requested() => {
                    self.with.queue.put_off(job, locks::AGAIN);
                    continue;
                }
                Err(failure) => TaskEnd::failed(failure),
            };
            drop((permit, held));
            if end.put_off {
                // It waits for our own first link, and not for another uploader.
                job.put_off = None;
                self.with.queue.put_off(job, locks::AGAIN);
                continue;
            }
            self.write_down(&job, &mut end.outcome, started);
            if let Err(error) = self.report.end(self.out, &job, &end.outcome, started) {
                self.with.queue.abort("standard output is closed");
                self.broken
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get_or_insert(error);
            }
            if let Some(why) = end.gone {
                self.with.queue.abort(&why);
            }
            if self.with.locks.is_none()
                && let Some(sign) = self.with.memory.concurrent.tell()
            {
                self.out.warn(self.with.api.address(), "upload", &sign);
            }
        }
        // Wakes the feeder, should it wait for input that nobody will work on. When its queue is
        // full it is awake.
        if self.with.queue.aborted().is_some() {
            let _ = abort.try_send(Feed::Abort);
        }
    }

    /// Journals an outcome. One that cannot be is reported as a failure, since the next run will know
    /// nothing of it, and no more is begun.
    fn write_down(&self, job: &Job, outcome: &mut Outcome, started: Instant) {
        let journal = self.with.journal;
        if self.with.dry_run {
            return;
        }
        let languages = &self.with.catalog.languages;
        if let Err(why) = journal.end(job, outcome, started.elapsed(), languages) {
            if outcome.kind != Kind::Failed {
                let reason = format!(
                    "{}, but that cannot be written down: {why}",
                    outcome.kind.name()
                );
                outcome.reason = Some(reason);
                outcome.kind = Kind::Failed;
            }
            self.with.queue.abort(&why.to_string());
        }
    }

    /// Keeps other uploaders off a file, where that is asked for and worth it.
    fn turn(&self, job: &Job) -> Result<Turn<'_>, Failure> {
        match self.with.locks {
            Some(locks) if !self.with.queue.is_known(&job.content) => {
                locks.turn(job, self.with.retry.policy)
            }
            _ => Ok(Turn::Ours(None)),
        }
    }

    /// Where the server can be asked about many files at once, asks about those that wait, too.
    fn check_ahead(&self, job: &mut Job) {
        if job.asked || !self.with.memory.batch.may_help() || self.with.queue.is_known(&job.content)
        {
            return;
        }
        let mut questions = vec![job.question()];
        questions.extend(self.with.queue.unasked(upload_check::BATCH - 1));
        questions.retain(|q| q.content.size() > 0 && !q.extension.is_empty());
        // A failure here costs nothing: each file is asked about again by itself.
        if let Ok(Some(verdicts)) = self.with.memory.batch.ask(self.with.api, &questions) {
            let mut answers = questions.into_iter().zip(verdicts).peekable();
            let ours = job.question();
            if answers.peek().is_some_and(|(asked, _)| *asked == ours) {
                job.checked = answers.next().map(|(_, verdict)| verdict);
            }
            self.with.queue.answer(answers);
        }
    }
}
