//! One file's way to the server, step by step. Each step can be taken again after a failure; the
//! steps that must not be done twice first ask what became of the earlier try.

mod describing;
mod placing;
mod sending;

use std::thread;

use crate::{
    attempt::{Next, chance},
    book::Book,
    extract::Since,
    failure::Failure,
    floor::{Floor, Held},
    job::Job,
    outcome::{Kind, Outcome},
    server::Server,
    wanted::Wanted,
};

/// Failures of one file in all its steps, as a multiple of those that one step may have.
const IN_ALL: u32 = 4;

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

/// A file under way.
pub struct Errand<'a> {
    server: &'a Server,
    floor: &'a Floor,
    job: &'a Job,
    dry_run: bool,
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
    late: Option<Held<'a>>,
    /// Steps of which one try may have been done unheard.
    doubted: Doubted,
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
    /// The last failure, where it failed.
    pub failure: Option<Failure>,
}

type Stepped = Result<Option<Outcome>, Failure>;

impl<'a> Errand<'a> {
    /// The way of `job`; `sent` is told the bytes as they go.
    pub fn new(
        server: &'a Server,
        floor: &'a Floor,
        job: &'a Job,
        dry_run: bool,
        sent: &'a dyn Fn(u64),
    ) -> Errand<'a> {
        Errand {
            server,
            floor,
            job,
            dry_run,
            sent,
            book: job.book.clone(),
            step: Step::Check,
            in_doubt: false,
            uploaded: None,
            made: None,
            genres: Vec::new(),
            series: None,
            failures: 0,
            late: None,
            doubted: Doubted::default(),
        }
    }

    /// Goes the whole way.
    pub fn run(mut self) -> End {
        let (mut outcome, failure) = self.go();
        if self.made.is_some() && outcome.kind != Kind::Uploaded {
            self.clear_away(&mut outcome);
        }
        if self.doubted.create {
            self.clear_twins(&outcome);
        }
        outcome
            .notes
            .splice(0..0, std::mem::take(&mut self.book.notes));
        outcome.attempts += self.failures;
        if matches!(outcome.kind, Kind::Uploaded | Kind::Duplicate) {
            self.floor.now_known(self.job.content);
        }
        End { outcome, failure }
    }

    fn go(&mut self) -> (Outcome, Option<Failure>) {
        if let Some(outcome) = self.without_asking() {
            return (outcome, None);
        }
        let mut failed = 0;
        loop {
            match self.advance() {
                Ok(Some(outcome)) => {
                    return (
                        Outcome {
                            attempts: 1,
                            ..outcome
                        },
                        None,
                    );
                }
                Ok(None) => failed = 0,
                Err(failure) => {
                    failed += 1;
                    self.note_doubt(&failure);
                    let policy = self.server.policy;
                    let in_all = self.failures >= policy.retries.saturating_mul(IN_ALL);
                    match policy.next(&failure, failed, chance()) {
                        Next::Wait(pause) if !in_all => {
                            self.failures += 1;
                            thread::sleep(pause);
                        }
                        _ => return self.give_up(failure),
                    }
                }
            }
        }
    }

    fn note_doubt(&mut self, failure: &Failure) {
        if failure.in_doubt() {
            self.in_doubt = true;
            self.doubted.create |= matches!(self.step, Step::Create { .. });
            self.doubted.add |= matches!(self.step, Step::Add { .. });
        }
    }

    fn without_asking(&self) -> Option<Outcome> {
        if self.floor.is_known(&self.job.content) {
            return Some(Outcome::duplicate("known"));
        }
        if self.job.content.size() == 0 {
            return Some(Outcome::because(Kind::Unsupported, "the file is empty"));
        }
        if self.job.extension.is_empty() {
            let why = "the file has no extension";
            return Some(Outcome::because(Kind::Unsupported, why));
        }
        if !self
            .job
            .extension
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_')
        {
            let why = format!("no format is called {:?}", self.job.extension);
            return Some(Outcome::because(Kind::Unsupported, why));
        }
        let most = self
            .server
            .max_size
            .filter(|_| self.server.is_over(&self.job.content));
        most.map(|most| Outcome::because(Kind::TooBig, format!("larger than --max-size {most}")))
    }

    /// Takes the next step; an outcome ends the errand.
    fn advance(&mut self) -> Stepped {
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
        self.step = step;
        self.in_doubt = false;
        Ok(None)
    }

    /// No more tries: says so, unless the last one was a success after all.
    fn give_up(&mut self, failure: Failure) -> (Outcome, Option<Failure>) {
        if self.in_doubt {
            match self.step.clone() {
                Step::Add { wanted, ebook, .. } => {
                    if let Ok(Some(outcome)) = self.added(&wanted, ebook) {
                        return (
                            Outcome {
                                attempts: 1,
                                ..outcome
                            },
                            None,
                        );
                    }
                }
                // Only to know what is to be cleared away.
                Step::Create { wanted, .. } => drop(self.created(&wanted)),
                _ => {}
            }
        }
        let mut outcome = Outcome::because(Kind::Failed, failure.to_string());
        outcome.attempts = 1;
        if self.made.is_none() && self.in_doubt && matches!(self.step, Step::Create { .. }) {
            outcome
                .notes
                .push("an ebook without a file may have been left".into());
        }
        (outcome, Some(failure))
    }
}
