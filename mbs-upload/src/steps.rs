//! One file's upload, step by step. Each step can be taken again after a failure; the steps that
//! must not be done twice first ask what became of the earlier try.
//!
//! | module | what |
//! | --- | --- |
//! | `check`, `send`, `extract`, `describe`, `create`, `add` | the steps, in order |
//! | `step`, `tries` | the step that is next, and what is done about its failures |
//! | `confirm`, `note` | what others did meanwhile; each step written down before it is taken |
//! | `link` | the stored file as a link |
//! | [`tools`], `recent` | what the steps of all files work with, and share |

mod add;
mod check;
mod confirm;
mod create;
mod describe;
mod extract;
mod link;
mod note;
mod recent;
mod send;
mod step;
pub mod tools;
mod tries;

use std::{sync::MutexGuard, time::Instant};

use crate::{
    api::{extract::Since, matching},
    input::{bytes, links::Links, unfit::unfit},
    locks::LockGuard,
    metadata::{book::Book, wanted::Wanted},
    model::{
        failure::Failure,
        job::Job,
        outcome::{Kind, Outcome},
    },
    queue::work_queue::Held,
    retry::{
        outage::Gone,
        timeout::{Clock, Late, spell},
    },
};
use create::Names;
use describe::{Described, Rows};
use extract::Extracted;
use send::Sent;
use step::Step;
use tools::Tools;
use tries::{AfterFailure, Tries, UnconfirmedSteps};

/// Additions that fail before the file that the server keeps for them is taken for lost.
const UNADDED: u32 = 2;

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
    /// The server's rows for what the book names.
    rows: Rows,
    /// Names that its ebook may be the first to need, while that is made.
    names: Option<Names<'a>>,
    failures: u32,
    /// Of the try that is under way.
    clock: Clock,
    late: Option<Held<'a>>,
    /// Steps of which one try may have been done unheard.
    unconfirmed: UnconfirmedSteps,
    /// Additions from this upload that failed unconfirmed.
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
    /// The upload of `job`, off which `guard` keeps other uploaders; `sent` gets the bytes as they go.
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
            rows: Rows::default(),
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
            Err(Gone(gone)) => {
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
    fn go(&mut self) -> Result<Outcome, Gone> {
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
                        AfterFailure::Gone(why) => return Err(Gone(why)),
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
            // The step that waits was not begun: it is not unconfirmed.
            return Err(Failure::NotReached(format!(
                "not done within --max-time {limit}: it still waited for {next}"
            )));
        }
        match self.step.clone() {
            Step::Check => self.check(),
            Step::Send => self.send(),
            Step::Extract { file, since } => self.extract(&file, since),
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

    fn check(&mut self) -> Stepped {
        bytes::look(&self.job.origin, &self.job.content)?;
        if let Some(outcome) = self.there_by_now("check")? {
            return Ok(Some(outcome));
        }
        let first = self.failures == 0;
        if let Some(outcome) = check::check(self.with, self.job, &self.book, first)? {
            return Ok(Some(outcome));
        }
        let link = self.link()?;
        if self.with.dry_run {
            return Ok(Some(Outcome {
                link,
                ..Outcome::new(Kind::WouldUpload)
            }));
        }
        match self.take_turn() {
            Some(outcome) => Ok(Some(outcome)),
            None => self.set_out(),
        }
    }

    fn send(&mut self) -> Stepped {
        // A second try asks before it sends: the first may have broken on a refusal.
        let how = (self.is_unconfirmed, self.clock.left(Instant::now()));
        match send::send(self.with, self.job, how, self.sent)? {
            Sent::Stored(file) => {
                let since = self.with.memory.newest.now();
                self.uploaded = Some((file.clone(), since));
                self.then(Step::Extract { file, since })
            }
            Sent::Ended(outcome) => {
                if outcome.kind == Kind::Duplicate && !self.unconfirmed.add {
                    self.with.memory.concurrent.overtaken();
                }
                Ok(Some(outcome))
            }
        }
    }

    fn extract(&mut self, file: &str, since: Since) -> Stepped {
        let (at, clock) = ((file, since), &mut self.clock);
        match extract::extract(self.with, &self.book, at, self.is_unconfirmed, clock)? {
            Extracted::Row(upload) => self.then(Step::Describe { upload }),
            Extracted::Ended(outcome) => Ok(Some(outcome)),
            Extracted::FileGone(failure) => {
                self.step = Step::Send;
                Err(failure)
            }
        }
    }

    fn describe(&mut self, upload: i64) -> Stepped {
        match describe::describe(self.with, self.job, &mut self.book, upload)? {
            Described::Whole(language, rows) => {
                self.rows = rows;
                self.clock.waits(Instant::now());
                self.hold_book()?;
                self.clock.moves(Instant::now());
                let wanted = Wanted::new(&self.book, language);
                self.then(Step::Place { upload, wanted })
            }
            Described::Ended(outcome) => Ok(Some(outcome)),
            Described::RowGone => self.extract_again("its row of metadata is gone"),
            Described::OtherBytes => {
                self.step = Step::Send;
                let why = "the server stored other bytes than were sent";
                Err(Failure::Server(why.into()))
            }
        }
    }

    fn extract_again(&mut self, why: &str) -> Stepped {
        self.step = match self.uploaded.clone() {
            Some((file, since)) => Step::Extract { file, since },
            None => Step::Send,
        };
        Err(Failure::Task(why.into()))
    }

    fn place(&mut self, upload: i64, wanted: Wanted) -> Stepped {
        let there = match self.with.memory.recent.get(&wanted) {
            Some(ebook) => Some(ebook),
            None => matching::find(self.with.api, &wanted)?,
        };
        self.then(match there {
            Some(ebook) => Step::Add {
                upload,
                wanted,
                ebook,
            },
            None => Step::Create { upload, wanted },
        })
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
    fn give_up(&mut self, failure: Failure) -> Result<Outcome, Gone> {
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
                return Err(Gone(gone));
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
