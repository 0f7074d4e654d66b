//! The whole run: input in, files uploaded by several workers, a record for each file out.

mod feed;
pub mod report;
pub mod session;
mod worker;

use std::{
    io::{self, BufRead},
    sync::{
        Mutex, PoisonError,
        mpsc::{channel, sync_channel},
    },
    thread,
};

use wire::{Exit, Fatal, OrFatal, Writer, records::Summary};

use crate::{
    input::links::Links,
    known::Known,
    queue::work_queue::WorkQueue,
    rate::Monitor,
    resume::Journal,
    steps::tools::{Memory, Tools},
};
use feed::read;
use report::Report;
use session::Session;

/// What is said where not even one can be started.
const NO_THREAD: &str = "threads: start one";

/// Jobs looked ahead over. A book's formats stand side by side in the input, so a few hundred are
/// enough to keep all workers busy while some wait for their turn.
const ROOM: usize = 1024;

/// How a run is to go.
#[derive(Clone, Copy, Debug)]
pub struct Mode {
    /// Files in flight at a time.
    pub jobs: u8,
    /// Ask, but send nothing.
    pub dry_run: bool,
    /// Keep Calibre books of equal names apart.
    pub separate: bool,
    /// No larger file is sent.
    pub max_size: Option<u64>,
}

struct Run<'a> {
    with: Tools<'a>,
    separate: bool,
    out: &'a Writer,
    report: Report<'a>,
    monitor: &'a Monitor,
    broken: Mutex<Option<io::Error>>,
}

/// Does all that `input` asks for.
///
/// # Errors
/// The input cannot be read, stdout is closed, or the server is gone.
pub fn run(
    session: &Session,
    journal: &Journal,
    known: Known,
    mode: Mode,
    monitor: &Monitor,
    input: impl BufRead + Send + 'static,
    out: Writer,
) -> Result<Exit, anyhow::Error> {
    let (queue, memory) = (WorkQueue::new(ROOM, known), Memory::default());
    memory.newest.saw(journal.newest_upload);
    let run = Run {
        with: Tools {
            api: &session.api,
            catalog: &session.catalog,
            retry: &session.retry,
            journal,
            links: session.links.as_ref(),
            locks: session.locks.as_ref(),
            memory: &memory,
            queue: &queue,
            max_size: mode.max_size,
            dry_run: mode.dry_run,
        },
        separate: mode.separate,
        out: &out,
        report: Report::new(monitor),
        monitor,
        broken: Mutex::default(),
    };
    let (sender, feed) = sync_channel(64);
    let reader_end = sender.clone();
    // Not waited for: it may sit in a read that ends with nobody knows what.
    thread::Builder::new()
        .name("input".into())
        .spawn(move || read(input, &reader_end))
        .or_fatal(Exit::GaveUp, NO_THREAD)?;
    session.retry.shutdown.begin();
    let (at_work, over) = channel();
    let completeness = thread::scope(|scope| {
        let run = &run;
        let tell = move || monitor.keep_telling(&over, run.out);
        let telling = thread::Builder::new().spawn_scoped(scope, tell);
        telling.or_fatal(Exit::GaveUp, NO_THREAD)?;
        for started in 0..mode.jobs {
            let (abort, at_work) = (sender.clone(), at_work.clone());
            let work = move || {
                run.work(&abort);
                drop(at_work);
            };
            let thread = thread::Builder::new().spawn_scoped(scope, work);
            // Fewer do it, too.
            if let (Err(error), 0) = (thread.map(drop), started) {
                return Err(error).or_fatal(Exit::GaveUp, NO_THREAD)?;
            }
        }
        drop((sender, at_work));
        run.feed(&feed)
    });
    let Run { report, broken, .. } = run;
    if let Some(error) = broken.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error.into());
    }
    let read = completeness?;
    let verdict = read.as_ref().map(|completeness| completeness.report());
    if let Some(why) = verdict.as_ref().and_then(|verdict| verdict.why.as_deref()) {
        out.warn("stdin", "read", why);
    }
    let summary = report.counted(verdict.map(|verdict| verdict.summary()).unwrap_or_default());
    let Some((why, waiting)) = queue.aborted() else {
        return Ok(out.finish(summary)?);
    };
    let rest = match (&read, waiting) {
        (Some(_), 0) => "all files were tried".into(),
        (Some(_), n) => format!("{n} files of the input were not tried"),
        (None, n) => format!("{n} files were read and not tried, and the rest was not read"),
    };
    let rest = match report.unfinished() {
        0 => rest,
        1 => format!("1 file was under way, which the next run settles; {rest}"),
        n => format!("{n} files were under way, which the next run settles; {rest}"),
    };
    let exit = out.finish(Summary {
        complete: false,
        ..summary
    })?;
    if wire::stop::requested() {
        return Err(Fatal::new(exit, format!("input: {why}: {rest}")).into());
    }
    let message = match journal.trouble() {
        Some(trouble) => format!("{trouble}; {rest}"),
        None => format!("{}: {why}; {rest}", session.culprit()),
    };
    let refused = session.links.as_ref().and_then(Links::refused);
    let exit = refused.map_or(Exit::GaveUp, |(_, exit)| exit);
    Err(Fatal::new(exit, message).into())
}
