//! One file's way to the server, step by step. Each step can be taken again after a failure; the
//! steps that must not be done twice first ask what became of the earlier try.

mod claiming;
mod describing;
mod journaling;
mod linking;
mod making;
mod placing;
mod recent;
mod sending;
mod step;
mod tries;

use std::{sync::MutexGuard, time::Instant};

use crate::{
    api::{
        Api,
        catalog::Catalog,
        extract::{Extractor, NewestRow, Since},
        upload_check::Batch,
    },
    input::{links::Links, unfit::unfit},
    locks::{LockGuard, Locks, concurrent::ConcurrentUploaders},
    metadata::book::Book,
    model::{
        failure::Failure,
        job::Job,
        outcome::{Kind, Outcome},
    },
    queue::work_queue::{Held, WorkQueue},
    resume::Journal,
    retry::{
        Retry,
        timeout::{Clock, Late, spell},
    },
};
use making::Names;
use recent::RecentEbooks;
use step::Step;
use tries::{AfterFailure, Tries, UnconfirmedSteps};

/// Additions that fail before the file that the server keeps for them is taken for lost.
const UNADDED: u32 = 2;

/// What the steps of all files work with.
#[derive(Clone, Copy, Debug)]
pub struct Tools<'a> {
    /// The server.
    pub api: &'a dyn Api,
    /// What it has.
    pub catalog: &'a Catalog,
    /// How failures are dealt with.
    pub retry: &'a Retry,
    /// What is written down.
    pub journal: &'a Journal,
    /// How links are made in place of copies, if they are.
    pub links: Option<&'a Links>,
    /// What keeps other uploaders off, if they are kept off.
    pub locks: Option<&'a Locks>,
    /// What this run has learned.
    pub memory: &'a Memory,
    /// What else is under way.
    pub queue: &'a WorkQueue,
    /// No larger file is sent.
    pub max_size: Option<u64>,
    /// Ask, but send nothing.
    pub dry_run: bool,
}

impl<'a> Tools<'a> {
    /// The metadata task.
    fn extractor(&self) -> Extractor<'a> {
        Extractor {
            api: self.api,
            retry: self.retry,
            newest: &self.memory.newest,
        }
    }
}

/// What a run learns of the server, shared by all files.
#[derive(Debug, Default)]
pub struct Memory {
    /// Whether it answers many checks at once.
    pub batch: Batch,
    /// The newest row of its table `upload`.
    pub newest: NewestRow,
    /// The ebooks that the last files went to.
    pub recent: RecentEbooks,
    /// Signs of other uploaders.
    pub concurrent: ConcurrentUploaders,
}

/// A file under way.
pub struct UploadTask<'a> {
    with: &'a Tools<'a>,
    job: &'a Job,
    /// Its claims among all uploaders.
    guard: Option<LockGuard<'a>>,
    sent: &'a dyn Fn(u64),
    book: Book,
    step: Step,
    /// The last try of this step may have been done by the server.
    is_unconfirmed: bool,
    /// The file's name on the server, to find its row by.
    uploaded: Option<(String, Since)>,
    /// The ebook that this task made and that is still empty.
    made: Option<i64>,
    genres: Vec<i64>,
    series: Option<i64>,
    /// Names that its ebook may be the first to need, while that is made.
    names: Option<Names<'a>>,
    failures: u32,
    /// Of the try that is under way.
    clock: Clock,
    late: Option<Held<'a>>,
    /// Steps of which one try may have been done unheard.
    unconfirmed: UnconfirmedSteps,
    /// Additions from this upload that failed in doubt.
    unadded: u32,
    /// The bytes were sent once more because of that.
    sent_again: bool,
    /// Keeps others from sending while nobody knows what the server makes of it.
    turn: Option<MutexGuard<'a, ()>>,
    put_off: bool,
}

/// How an upload task ended.
#[derive(Debug)]
pub struct TaskEnd {
    /// For the record.
    pub outcome: Outcome,
    /// Why no other file need be tried, if so.
    pub gone: Option<String>,
    /// Nothing was done: it is to be tried again after the first link.
    pub put_off: bool,
}

type Stepped = Result<Option<Outcome>, Failure>;

impl TaskEnd {
    /// One that failed before its first step.
    pub fn failed(failure: Failure) -> TaskEnd {
        let why = failure.to_string();
        match failure {
            Failure::NoDatabase(_) => TaskEnd {
                outcome: Outcome::because(Kind::Unfinished, why.as_str()),
                gone: Some(why),
                put_off: false,
            },
            _ => TaskEnd {
                outcome: Outcome::because(Kind::Failed, why),
                gone: None,
                put_off: false,
            },
        }
    }
}

impl<'a> UploadTask<'a> {
    /// The way of `job`, off which `guard` keeps other uploaders; `sent` is told the bytes as they go.
    pub fn new(
        with: &'a Tools<'a>,
        job: &'a Job,
        guard: Option<LockGuard<'a>>,
        sent: &'a dyn Fn(u64),
    ) -> UploadTask<'a> {
        UploadTask {
            with,
            job,
            guard,
            sent,
            book: job.book.clone(),
            step: Step::Check,
            is_unconfirmed: false,
            uploaded: None,
            made: None,
            genres: Vec::new(),
            series: None,
            names: None,
            failures: 0,
            clock: Clock::new(with.retry.limits, Instant::now()),
            late: None,
            unconfirmed: UnconfirmedSteps::default(),
            unadded: 0,
            sent_again: false,
            turn: None,
            put_off: false,
        }
    }

    /// Goes the whole way.
    pub fn run(mut self) -> TaskEnd {
        let mut outcome = match self.go() {
            Ok(outcome) => outcome,
            Err(gone) => {
                return TaskEnd {
                    outcome: Outcome::because(Kind::Unfinished, gone.as_str()),
                    gone: Some(gone),
                    put_off: false,
                };
            }
        };
        if self.made.is_some() && outcome.kind != Kind::Uploaded {
            self.clear_away(&mut outcome);
        }
        outcome
            .notes
            .splice(0..0, std::mem::take(&mut self.book.notes));
        outcome.attempts += self.failures;
        if matches!(outcome.kind, Kind::Uploaded | Kind::Duplicate) {
            self.with.queue.now_known(self.job.content);
        }
        TaskEnd {
            outcome,
            // A server that makes copies in place of links is to make no more of them.
            gone: (self.with.links.and_then(Links::refused)).map(|(why, _)| why),
            put_off: self.put_off,
        }
    }

    /// The outcome, or why the whole run is over before there is one.
    fn go(&mut self) -> Result<Outcome, String> {
        if let Some(outcome) = self.without_asking() {
            return Ok(outcome);
        }
        let mut tries = Tries::default();
        loop {
            match self.advance() {
                Ok(Some(outcome)) => {
                    return Ok(Outcome {
                        attempts: 1,
                        ..outcome
                    });
                }
                Ok(None) => tries = Tries::default(),
                Err(failure) => {
                    self.note_doubt(&failure);
                    match self.judge(&failure, &mut tries) {
                        AfterFailure::Again => {
                            self.clock = Clock::new(self.with.retry.limits, Instant::now());
                        }
                        AfterFailure::Failed => return self.give_up(failure),
                        AfterFailure::Gone(why) => return Err(why),
                    }
                }
            }
        }
    }

    fn without_asking(&self) -> Option<Outcome> {
        if self.with.queue.is_known(&self.job.content) {
            return Some(Outcome::duplicate("known"));
        }
        if let Some(outcome) = self.with.journal.engine_refusal(self.job) {
            return Some(outcome);
        }
        unfit(self.job, self.with.max_size)
    }

    /// Takes the next step; an outcome ends the task.
    fn advance(&mut self) -> Stepped {
        self.job.stage.set(self.step.waits_for());
        let now = Instant::now();
        self.clock.moves(now);
        if let Some(Late::Over) = self.clock.late(now) {
            let limit = spell(self.with.retry.limits.max_time);
            let next = self.step.waits_for();
            // The step that waits was not begun: there is nothing to doubt about it.
            return Err(Failure::NotReached(format!(
                "not done within --max-time {limit}: it still waited for {next}"
            )));
        }
        match self.step.clone() {
            Step::Check => self.check(),
            Step::Send => self.send(),
            Step::Extract { file, since } => self.extract(file, since),
            Step::Describe { upload } => self.describe(upload),
            Step::Place { upload, wanted } => self.place(upload, wanted),
            Step::Create { upload, wanted } => self.create(upload, wanted),
            Step::Add {
                upload,
                wanted,
                ebook,
            } => self.add(upload, wanted, ebook),
        }
    }

    fn then(&mut self, step: Step) -> Stepped {
        // With what is under way already, the run ends; nothing new is begun unwritten.
        if let Err(why) = self.note(&step)
            && matches!(step, Step::Send)
        {
            return Ok(Some(Outcome::because(Kind::Failed, why.to_string())));
        }
        self.step = step;
        self.is_unconfirmed = false;
        self.names = None;
        Ok(None)
    }

    /// No more tries: says so, unless the last one was a success after all.
    fn give_up(&mut self, failure: Failure) -> Result<Outcome, String> {
        if self.is_unconfirmed {
            match self.step.clone() {
                Step::Add { wanted, ebook, .. } => {
                    let added = self.insist(|task| task.added(&wanted, ebook));
                    if let Ok(Some(outcome)) = added {
                        return Ok(Outcome {
                            attempts: 1,
                            ..outcome
                        });
                    }
                }
                // Only to know what is to be cleared away.
                Step::Create { wanted, .. } => {
                    drop(self.insist(|task| task.created(&wanted)));
                }
                _ => {}
            }
            // It went away over the question.
            if let Some(gone) = self.with.retry.outage.gone() {
                return Err(gone);
            }
        }
        let astray = match self.step {
            Step::Add { .. } => self.is_astray(&failure, true),
            _ => None,
        };
        let failed = || Outcome::because(Kind::Failed, failure.to_string());
        let mut outcome = astray.unwrap_or_else(failed);
        outcome.attempts = 1;
        if self.made.is_none() && self.is_unconfirmed && matches!(self.step, Step::Create { .. }) {
            outcome.notes.push(LEFT.into());
        }
        Ok(outcome)
    }
}

/// What is said when an ebook was perhaps made and is not to be found.
const LEFT: &str = "an ebook without a file may have been left";
