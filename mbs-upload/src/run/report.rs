//! A record for each file's end, and the counts of the summary.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use wire::{Writer, records::Summary};

use crate::{
    model::{
        job::Job,
        outcome::{Kind, Outcome},
    },
    rate::Monitor,
};

/// Writes outcomes and counts them; shared by all workers.
pub struct Report<'a> {
    monitor: &'a Monitor,
    uploaded: AtomicU64,
    duplicate: AtomicU64,
    duplicate_by: [AtomicU64; Outcome::BY.len()],
    too_big: AtomicU64,
    unsupported: AtomicU64,
    would_upload: AtomicU64,
    unfinished: AtomicU64,
}

impl<'a> Report<'a> {
    /// Nothing counted yet; `monitor` gets each end, too.
    pub fn new(monitor: &'a Monitor) -> Report<'a> {
        Report {
            monitor,
            uploaded: AtomicU64::default(),
            duplicate: AtomicU64::default(),
            duplicate_by: Default::default(),
            too_big: AtomicU64::default(),
            unsupported: AtomicU64::default(),
            would_upload: AtomicU64::default(),
            unfinished: AtomicU64::default(),
        }
    }

    /// A file's end.
    pub fn end(
        &self,
        out: &Writer,
        job: &Job,
        outcome: &Outcome,
        started: Instant,
    ) -> io::Result<()> {
        let took = started.elapsed();
        self.monitor.ended(job, outcome, took);
        let line = outcome.line(job, took);
        let reason = outcome.reason.as_deref();
        let count = match outcome.kind {
            Kind::Uploaded => &self.uploaded,
            Kind::Duplicate => &self.duplicate,
            Kind::TooBig => &self.too_big,
            Kind::Unsupported => &self.unsupported,
            Kind::WouldUpload => &self.would_upload,
            Kind::Unfinished => {
                self.unfinished.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            Kind::Failed => {
                return out.fail_as(&line, &job.shown(), "upload", reason.unwrap_or("failed"));
            }
        };
        count.fetch_add(1, Ordering::Relaxed);
        if outcome.kind == Kind::Duplicate
            && let Some(by) = Outcome::BY.iter().position(|&by| outcome.by == Some(by))
        {
            self.duplicate_by[by].fetch_add(1, Ordering::Relaxed);
        }
        if let Some(reason) = reason {
            out.verbose(&job.shown(), outcome.kind.name(), reason);
        }
        out.write(&line)
    }

    /// Files that were under way when the run ended, and whose end nobody knows.
    pub fn unfinished(&self) -> u64 {
        self.unfinished.load(Ordering::Relaxed)
    }

    /// The counts, put into what the input's summaries say.
    pub fn counted(&self, input: Summary) -> Summary {
        let count = |counter: &AtomicU64| Some(counter.load(Ordering::Relaxed));
        Summary {
            uploaded: count(&self.uploaded),
            duplicate: count(&self.duplicate),
            duplicate_known: count(&self.duplicate_by[0]),
            duplicate_journal: count(&self.duplicate_by[1]),
            duplicate_check: count(&self.duplicate_by[2]),
            duplicate_upload: count(&self.duplicate_by[3]),
            duplicate_add: count(&self.duplicate_by[4]),
            too_big: count(&self.too_big),
            unsupported: count(&self.unsupported),
            would_upload: count(&self.would_upload).filter(|&n| n > 0),
            ..input
        }
    }
}
