//! The whole run: input in, errands by several workers, a record for each file out.
//!
//! | module | what |
//! | --- | --- |
//! | [`plan`], [`floor`] | what may be worked on at the same time |
//! | [`errand`] | one file's way to the server, step by step |
//! | [`stage`] | what a file under way waits for |
//! | [`outcome`], [`report`] | the record of each file's end, and the summary |

pub mod errand;
pub mod floor;
pub mod outcome;
pub mod plan;
pub mod report;
pub mod stage;

use std::{
    io::{self, BufRead},
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, channel, sync_channel},
    },
    thread,
    time::Instant,
};

use wire::{Custody, Exit, Fatal, Item, Reader, Record, Writer, records::Summary, write::Trouble};

use crate::{
    claims::{self, Turn},
    input::job::Job,
    known::Known,
    pace::Pace,
    patience::{
        attempt::{Next, Policy, chance},
        halt::STOPPED,
    },
    run::{
        errand::{End, Errand},
        floor::Floor,
        outcome::{Kind, Outcome},
        report::Report,
    },
    server::{Server, check, failure::Failure},
};

/// Jobs looked ahead over. A book's formats stand side by side in the input, so a few hundred are
/// enough to keep all workers busy while some wait for their turn.
const ROOM: usize = 1024;

/// How a run is to go.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Files in flight at a time.
    pub jobs: u8,
    /// Ask, but send nothing.
    pub dry_run: bool,
}

/// Asks again while it may help, as long as nothing depends on what became of the earlier tries.
///
/// # Errors
/// The last failure.
pub fn patiently<T>(
    policy: Policy,
    mut ask: impl FnMut() -> Result<T, Failure>,
) -> Result<T, Failure> {
    for failed in 1.. {
        let failure = match ask() {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        match policy.next(&failure, failed, chance()) {
            Next::Wait(pause) if !wire::stop::sleep(pause) => {}
            _ => return Err(failure),
        }
    }
    unreachable!("the policy gives up in the end")
}

/// What the reader of the input hands over.
enum Feed {
    Item(Item),
    End(io::Result<Box<Custody>>),
    /// A worker or a signal has aborted the run.
    Abort,
}

struct Run<'a> {
    server: &'a Server,
    floor: Floor,
    manner: Manner,
    out: &'a Writer,
    report: Report<'a>,
    pace: &'a Pace,
    broken: Mutex<Option<io::Error>>,
}

/// Does all that `input` asks for.
///
/// # Errors
/// The input cannot be read, stdout is closed, or the server is gone.
pub fn run(
    server: &Server,
    known: Known,
    manner: Manner,
    pace: &Pace,
    input: impl BufRead + Send + 'static,
    out: Writer,
) -> Result<Exit, anyhow::Error> {
    let run = Run {
        server,
        floor: Floor::new(ROOM, known),
        manner,
        out: &out,
        report: Report::new(pace),
        pace,
        broken: Mutex::default(),
    };
    let (sender, feed) = sync_channel(64);
    let reader_end = sender.clone();
    // Not waited for: it may sit in a read that ends with nobody knows what.
    thread::Builder::new()
        .name("input".into())
        .spawn(move || read(input, &reader_end))?;
    server.halt.begin();
    let (at_work, over) = channel();
    let custody = thread::scope(|scope| {
        let run = &run;
        scope.spawn(move || pace.keep_telling(&over, run.out));
        for _ in 0..manner.jobs {
            let (abort, at_work) = (sender.clone(), at_work.clone());
            scope.spawn(move || {
                run.work(&abort);
                drop(at_work);
            });
        }
        drop((sender, at_work));
        run.feed(&feed)
    });
    let Run {
        floor,
        report,
        broken,
        ..
    } = run;
    if let Some(error) = broken.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error.into());
    }
    let read = custody?;
    let verdict = read.as_ref().map(|custody| custody.verdict());
    if let Some(why) = verdict.as_ref().and_then(|verdict| verdict.why.as_deref()) {
        out.warn("stdin", "read", why);
    }
    let summary = report.counted(verdict.map(|verdict| verdict.summary()).unwrap_or_default());
    let Some((why, waiting)) = floor.aborted() else {
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
    let message = match server.journal.trouble() {
        Some(trouble) => format!("{trouble}; {rest}"),
        None => format!("{}: {why}; {rest}", server.api.base()),
    };
    Err(Fatal::new(Exit::GaveUp, message).into())
}

fn read(input: impl BufRead, feed: &SyncSender<Feed>) {
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
            Ok(None) => break Ok(Box::new(reader.custody())),
            Err(error) => break Err(error),
        }
    };
    // Nobody listens any more after an abort.
    let _ = feed.send(Feed::End(end));
}

impl Run<'_> {
    /// Makes jobs of the input; gives its custody, or nothing after an abort.
    fn feed(&self, feed: &Receiver<Feed>) -> Result<Option<Box<Custody>>, anyhow::Error> {
        let fed = self.feed_all(feed);
        match &fed {
            Ok(Some(_)) => {
                self.pace.input_ended();
                self.floor.end();
            }
            Ok(None) if wire::stop::requested() => self.floor.abort(STOPPED),
            Ok(None) => self.floor.abort("the run was aborted"),
            Err(error) => self.floor.abort(&error.to_string()),
        }
        fed
    }

    fn feed_all(&self, feed: &Receiver<Feed>) -> Result<Option<Box<Custody>>, anyhow::Error> {
        while let Ok(next) = feed.recv() {
            // Also what is known already must not be read on and on after an abort.
            if self.floor.aborted().is_some() {
                return Ok(None);
            }
            let went_on = match next {
                Feed::Item(Item::Record(record)) => self.take_in(record)?,
                Feed::Item(Item::Unusable(line, reason)) => {
                    let trouble = Trouble {
                        op: "read",
                        message: &reason,
                        retry: false,
                    };
                    self.out
                        .fail_new(None, &format!("stdin:{line}"), trouble, |_| ())?;
                    true
                }
                Feed::End(custody) => {
                    return custody.map(Some).map_err(|error| {
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
    fn take_in(&self, record: Record) -> io::Result<bool> {
        // Of what carries no hash, book_file is a step left out; all else is none of our business.
        if !matches!(record.kind(), "file_hash" | "finding" | "book_file") {
            self.out.pass(&record)?;
            return Ok(true);
        }
        let mut job = match Job::named(record.clone()) {
            Ok(job) => job,
            Err(message) => {
                let shown = record.path().map(|path| path.display().to_string());
                let trouble = Trouble {
                    op: "input",
                    message: &message,
                    retry: false,
                };
                self.out
                    .fail(&record, &shown.unwrap_or_else(|_| "stdin".into()), trouble)?;
                return Ok(true);
            }
        };
        self.pace.read(&job);
        if self.floor.is_known(&job.content) {
            let outcome = Outcome::duplicate("known");
            self.report.end(self.out, &job, &outcome, Instant::now())?;
            return Ok(true);
        }
        let journal = &self.server.journal;
        if journal.is_done(&job.content) {
            let outcome = Outcome::duplicate("journal");
            self.report.end(self.out, &job, &outcome, Instant::now())?;
            return Ok(true);
        }
        job.read_book();
        if let Some(outcome) = journal.refusal(&job, self.server) {
            self.report.end(self.out, &job, &outcome, Instant::now())?;
            return Ok(true);
        }
        Ok(self.floor.push(job))
    }

    fn work(&self, abort: &SyncSender<Feed>) {
        while let (permit, Some((mut job, held))) = (self.pace.enter(), self.floor.take()) {
            let started = Instant::now();
            let mut end = match self.turn(&job) {
                Ok(Turn::Ours(grip)) => {
                    self.check_ahead(&mut job);
                    let _begun = self.pace.begin(&job);
                    let sent = |bytes| self.pace.sent(bytes);
                    let dry_run = self.manner.dry_run;
                    Errand::new(self.server, &self.floor, &job, dry_run, grip, &sent).run()
                }
                Ok(Turn::Theirs) => {
                    self.floor.put_off(job, claims::AGAIN);
                    continue;
                }
                // Not begun, and nobody tries on: it is one of those that were not tried.
                Err(_) if wire::stop::requested() => {
                    self.floor.put_off(job, claims::AGAIN);
                    continue;
                }
                Err(failure) => End::failed(failure),
            };
            drop((permit, held));
            self.write_down(&job, &mut end.outcome, started);
            if let Err(error) = self.report.end(self.out, &job, &end.outcome, started) {
                self.floor.abort("standard output is closed");
                self.broken
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get_or_insert(error);
            }
            if let Some(why) = end.gone {
                self.floor.abort(&why);
            }
            if self.server.claims.is_none()
                && let Some(sign) = self.server.rivals.tell()
            {
                self.out.warn(self.server.api.base(), "upload", &sign);
            }
        }
        // Wakes the feeder, should it wait for input that nobody will work on. When its queue is
        // full it is awake.
        if self.floor.aborted().is_some() {
            let _ = abort.try_send(Feed::Abort);
        }
    }

    /// Journals an outcome. One that cannot be is reported as a failure, since the next run will know
    /// nothing of it, and no more is begun.
    fn write_down(&self, job: &Job, outcome: &mut Outcome, started: Instant) {
        let journal = &self.server.journal;
        if self.manner.dry_run {
            return;
        }
        if let Err(why) = journal.end(job, outcome, started.elapsed(), self.server) {
            if outcome.kind != Kind::Failed {
                let reason = format!(
                    "{}, but that cannot be written down: {why}",
                    outcome.kind.name()
                );
                outcome.reason = Some(reason);
                outcome.kind = Kind::Failed;
            }
            self.floor.abort(&why);
        }
    }

    /// Keeps other uploaders off a file, where that is asked for and worth it.
    fn turn(&self, job: &Job) -> Result<Turn<'_>, Failure> {
        match &self.server.claims {
            Some(claims) if !self.floor.is_known(&job.content) => {
                claims.turn(job, self.server.policy)
            }
            _ => Ok(Turn::Ours(None)),
        }
    }

    /// Where the server can be asked about many files at once, asks about those that wait, too.
    fn check_ahead(&self, job: &mut Job) {
        if job.asked || !self.server.batch.may_help() || self.floor.is_known(&job.content) {
            return;
        }
        let mut questions = vec![job.question()];
        questions.extend(self.floor.unasked(check::BATCH - 1));
        questions.retain(|q| q.content.size() > 0 && !q.extension.is_empty());
        // A failure here costs nothing: each file is asked about again by itself.
        if let Ok(Some(verdicts)) = self.server.batch.ask(&self.server.api, &questions) {
            let mut answers = questions.into_iter().zip(verdicts).peekable();
            let ours = job.question();
            if answers.peek().is_some_and(|(asked, _)| *asked == ours) {
                job.checked = answers.next().map(|(_, verdict)| verdict);
            }
            self.floor.answer(answers);
        }
    }
}
