//! One file's way to the server, step by step. Each step can be taken again after a failure; the
//! steps that must not be done twice first ask what became of the earlier try.

mod claiming;
mod describing;
mod journaling;
mod linking;
mod placing;
mod sending;

use std::{sync::MutexGuard, time::Instant};

use crate::{
    claims::Grip,
    input::{job::Job, links::Links, unfit::unfit},
    metadata::{book::Book, wanted::Wanted},
    patience::{
        attempt::{Next, chance},
        halt::STOPPED,
        outage::Standing,
        stall::{Clock, Late, spell},
    },
    run::{
        floor::{Floor, Held},
        outcome::{Kind, Outcome},
    },
    server::{Server, extract::Since, failure::Failure},
};

/// Failures of one file in all its steps, as a multiple of those that one step may have.
const IN_ALL: u32 = 4;

/// Additions that fail before the file that the server keeps for them is taken for lost.
const UNADDED: u32 = 2;

/// Absences of the server in a row during one step. A file that takes the server down each time
/// must come to an end like others that fail.
const ABSENCES: u32 = 8;

/// The step that is next.
#[derive(Clone, Debug)]
enum Step {
    Check,
    Send,
    Extract {
        file: String,
        since: Since,
    },
    Describe {
        upload: i64,
    },
    Place {
        upload: i64,
        wanted: Wanted,
    },
    Create {
        upload: i64,
        wanted: Wanted,
    },
    Add {
        upload: i64,
        wanted: Wanted,
        ebook: i64,
    },
}

impl Step {
    fn waits_for(&self) -> &'static str {
        match self {
            Step::Check => "the answer to the check",
            Step::Send => "its bytes to be sent",
            Step::Extract { .. } => "the engine's metadata task",
            Step::Describe { .. } => "what the engine found",
            Step::Place { .. } => "the search for its ebook",
            Step::Create { .. } => "its ebook to be made",
            Step::Add { .. } => "the file to be added to its ebook",
        }
    }
}

/// A file under way.
pub struct Errand<'a> {
    server: &'a Server,
    floor: &'a Floor,
    job: &'a Job,
    dry_run: bool,
    /// Its claims among all uploaders.
    grip: Option<Grip<'a>>,
    sent: &'a dyn Fn(u64),
    book: Book,
    step: Step,
    /// The last try of this step may have been done by the server.
    in_doubt: bool,
    /// The file's name on the server, to find its row by.
    uploaded: Option<(String, Since)>,
    /// The ebook that this errand made and that is still empty.
    made: Option<i64>,
    genres: Vec<i64>,
    series: Option<i64>,
    failures: u32,
    /// Of the try that is under way.
    clock: Clock,
    late: Option<Held<'a>>,
    /// Steps of which one try may have been done unheard.
    doubted: Doubted,
    /// Additions from this upload that failed in doubt.
    unadded: u32,
    /// The bytes were sent once more because of that.
    sent_again: bool,
    /// Keeps others from adding while nobody knows what the server makes of it.
    turn: Option<MutexGuard<'a, ()>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Doubted {
    create: bool,
    add: bool,
}

/// How an errand ended.
#[derive(Debug)]
pub struct End {
    /// For the record.
    pub outcome: Outcome,
    /// Why no other file need be tried, if so.
    pub gone: Option<String>,
}

/// What to do about a failure.
enum Verdict {
    Again,
    Failed,
    /// The server is gone; nobody knows how this file ends.
    Gone(String),
}

/// Tries of one step that failed.
#[derive(Clone, Copy, Debug, Default)]
struct Tries {
    failed: u32,
    absences: u32,
}

type Stepped = Result<Option<Outcome>, Failure>;

impl End {
    /// One that failed before its first step.
    pub fn failed(failure: Failure) -> End {
        let why = failure.to_string();
        match failure {
            Failure::NoDatabase(_) => End {
                outcome: Outcome::because(Kind::Unfinished, why.as_str()),
                gone: Some(why),
            },
            _ => End {
                outcome: Outcome::because(Kind::Failed, why),
                gone: None,
            },
        }
    }
}

impl<'a> Errand<'a> {
    /// The way of `job`, off which `grip` keeps other uploaders; `sent` is told the bytes as they go.
    pub fn new(
        server: &'a Server,
        floor: &'a Floor,
        job: &'a Job,
        dry_run: bool,
        grip: Option<Grip<'a>>,
        sent: &'a dyn Fn(u64),
    ) -> Errand<'a> {
        Errand {
            server,
            floor,
            job,
            dry_run,
            grip,
            sent,
            book: job.book.clone(),
            step: Step::Check,
            in_doubt: false,
            uploaded: None,
            made: None,
            genres: Vec::new(),
            series: None,
            failures: 0,
            clock: Clock::new(server.limits, Instant::now()),
            late: None,
            doubted: Doubted::default(),
            unadded: 0,
            sent_again: false,
            turn: None,
        }
    }

    /// Goes the whole way.
    pub fn run(mut self) -> End {
        let mut outcome = match self.go() {
            Ok(outcome) => outcome,
            Err(gone) => {
                return End {
                    outcome: Outcome::because(Kind::Unfinished, gone.as_str()),
                    gone: Some(gone),
                };
            }
        };
        if self.made.is_some() && outcome.kind != Kind::Uploaded {
            self.clear_away(&mut outcome);
        }
        if self.doubted.create {
            self.clear_twins(&mut outcome);
        }
        outcome
            .notes
            .splice(0..0, std::mem::take(&mut self.book.notes));
        outcome.attempts += self.failures;
        if matches!(outcome.kind, Kind::Uploaded | Kind::Duplicate) {
            self.floor.now_known(self.job.content);
        }
        End {
            outcome,
            // A server that makes copies in place of links is to make no more of them.
            gone: self.server.links.as_ref().and_then(Links::refused),
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
                        Verdict::Again => {
                            self.clock = Clock::new(self.server.limits, Instant::now());
                        }
                        Verdict::Failed => return self.give_up(failure),
                        Verdict::Gone(why) => return Err(why),
                    }
                }
            }
        }
    }

    /// What is to be done after a failure; when it is to be tried again, the time has come.
    fn judge(&mut self, failure: &Failure, tries: &mut Tries) -> Verdict {
        let server = self.server;
        match server.outage.standing(failure, || server.is_there()) {
            Standing::Gone(why) => return Verdict::Gone(why),
            Standing::Back if tries.absences < ABSENCES => {
                tries.absences += 1;
                return Verdict::Again;
            }
            Standing::Back | Standing::There => tries.failed += 1,
        }
        let in_all = self.failures >= server.policy.retries.saturating_mul(IN_ALL);
        match server.policy.next(failure, tries.failed, chance()) {
            Next::Wait(pause) if !in_all => {
                self.failures += 1;
                match server.halt.sleep(pause) {
                    false => Verdict::Again,
                    true => {
                        // Who only insisted on an answer must see that the run is over, too.
                        server.outage.give_up(STOPPED);
                        Verdict::Gone(STOPPED.into())
                    }
                }
            }
            _ => Verdict::Failed,
        }
    }

    /// Asks the server until it answers, as often as a step may be tried.
    fn insist<T>(
        &mut self,
        mut ask: impl FnMut(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        // These are no tries of the file's.
        let failures = std::mem::take(&mut self.failures);
        let mut tries = Tries::default();
        let end = loop {
            match ask(self) {
                Ok(answer) => break Ok(answer),
                Err(failure) => match self.judge(&failure, &mut tries) {
                    Verdict::Again => {}
                    Verdict::Failed => break Err(failure),
                    Verdict::Gone(why) => break Err(Failure::NotReached(why)),
                },
            }
        };
        self.failures = failures;
        end
    }

    fn note_doubt(&mut self, failure: &Failure) {
        if failure.is_strain() {
            self.job.stage.strained();
        }
        if failure.in_doubt() {
            self.in_doubt = true;
            if let Step::Create { wanted, .. } = &self.step {
                self.doubted.create = true;
                self.note_doubtful(wanted.clone());
            }
            if let Step::Add { .. } = self.step {
                self.doubted.add = true;
                self.unadded += u32::from(matches!(failure, Failure::Server(_)));
            }
        }
    }

    fn without_asking(&self) -> Option<Outcome> {
        if self.floor.is_known(&self.job.content) {
            return Some(Outcome::duplicate("known"));
        }
        if let Some(outcome) = self.server.journal.engine_refusal(self.job) {
            return Some(outcome);
        }
        unfit(self.job, self.server.max_size)
    }

    /// Takes the next step; an outcome ends the errand.
    fn advance(&mut self) -> Stepped {
        self.job.stage.set(self.step.waits_for());
        let now = Instant::now();
        self.clock.moves(now);
        if let Some(Late::Over) = self.clock.late(now) {
            let limit = spell(self.server.limits.max_time);
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
            return Ok(Some(Outcome::because(Kind::Failed, why)));
        }
        self.step = step;
        self.in_doubt = false;
        Ok(None)
    }

    /// No more tries: says so, unless the last one was a success after all.
    fn give_up(&mut self, failure: Failure) -> Result<Outcome, String> {
        if self.in_doubt {
            match self.step.clone() {
                Step::Add { wanted, ebook, .. } => {
                    let added = self.insist(|errand| errand.added(&wanted, ebook));
                    if let Ok(Some(outcome)) = added {
                        return Ok(Outcome {
                            attempts: 1,
                            ..outcome
                        });
                    }
                }
                // Only to know what is to be cleared away.
                Step::Create { wanted, .. } => {
                    drop(self.insist(|errand| errand.created(&wanted)));
                }
                _ => {}
            }
            // It went away over the question.
            if let Some(gone) = self.server.outage.gone() {
                return Err(gone);
            }
        }
        let mut outcome = Outcome::because(Kind::Failed, failure.to_string());
        outcome.attempts = 1;
        if self.made.is_none() && self.in_doubt && matches!(self.step, Step::Create { .. }) {
            outcome.notes.push(LEFT.into());
        }
        Ok(outcome)
    }
}

/// What is said when an ebook was perhaps made and is not to be found.
const LEFT: &str = "an ebook without a file may have been left";
