//! The journal: what was done, line by line, so that a run that was killed at any moment can be
//! gone on with, and nothing is lost, doubled, or asked about again.
//!
//! A file of NDJSON that is only appended to. It begins with a `journal` record, which tells the
//! server from another one. Each file's way leaves a few `journal_step` records and ends with a
//! `journal_end`, which is on the disk before the outcome is printed. Journals can be joined with
//! `cat`; lines of unknown types, unknown fields and torn lines are passed by.
//!
//! | module | what |
//! | --- | --- |
//! | [`log`] | the file: locked, appended to, synced |
//! | [`past`] | what it tells of earlier runs |
//! | [`terms`] | on what terms a refusal holds |
//! | [`identity`] | is this the server that it is about? |
//! | [`doubt`] | ebooks that may have been made unheard |
//! | [`settle`] | what a killed run has left on the server |

pub mod doubt;
pub mod identity;
pub mod log;
pub mod past;
pub mod settle;
pub mod terms;

use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, File},
    io::{self, BufReader},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{Timestamp, Unit};
use wire::{
    Exit, Fatal, Line, OrFatal, Writer,
    records::{JournalEnd, JournalStep},
};

use crate::{
    input::job::Job,
    known::Content,
    run::{
        outcome::{Kind, Outcome},
        patiently,
    },
    server::{
        Server,
        check::{self, Question, Verdict},
        failure::Failure,
    },
};
use doubt::Doubt;
use log::Log;
use past::{Half, NO_JOURNAL, Past};
use terms::Terms;

/// Formats that are asked about at the start. Names of more are no formats.
const FORMATS: usize = 100;

/// A journal that is being written, or none: then what is told to it is forgotten with the run.
#[derive(Debug, Default)]
pub struct Journal {
    log: Option<Log>,
    past: Past,
    /// The server refuses still what was too big then.
    sizes_hold: bool,
    /// Formats that it refuses still.
    formats_hold: BTreeSet<String>,
    /// Formats that the engine turned out to lack in this run.
    engine_lacks: Mutex<BTreeSet<String>>,
    /// Ebooks that may have been made unheard, by this run or an earlier one.
    doubts: Mutex<HashMap<Content, Vec<Doubt>>>,
    /// Files whose way a killed run has begun.
    halves: HashMap<Content, Half>,
}

/// A journal's file and what it tells, before the server was asked whether it is the right one.
#[derive(Debug)]
pub struct Opened {
    /// Its name for people.
    shown: String,
    /// Nothing in a dry run, which writes nothing.
    log: Option<Log>,
    past: Past,
}

/// Opens a journal, locks it and reads it; a dry run only reads it, if it is there.
///
/// # Errors
/// The file cannot be opened or read, is locked, or is no journal.
pub fn open(path: &Path, dry_run: bool) -> Result<Opened, Fatal> {
    let shown = path.display();
    let wrong = |error: io::Error| {
        let exit = match error.kind() {
            io::ErrorKind::InvalidData => Exit::Usage,
            _ => Exit::GaveUp,
        };
        Fatal::new(exit, format!("{shown}: read: {error}"))
    };
    let read = |file: &File| Past::read(BufReader::with_capacity(1 << 18, file)).map_err(wrong);
    if dry_run {
        let past = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Past::default(),
            Ok(metadata) if !metadata.is_file() => {
                return Err(wrong(io::Error::new(
                    io::ErrorKind::InvalidData,
                    NO_JOURNAL,
                )));
            }
            _ => read(&File::open(path).or_fatal(Exit::Usage, format_args!("{shown}: open"))?)?,
        };
        return Ok(Opened {
            shown: shown.to_string(),
            log: None,
            past,
        });
    }
    let log = Log::open(path)?;
    let past = read(log.reader())?;
    if past.torn {
        log.mark_torn();
    }
    Ok(Opened {
        shown: shown.to_string(),
        log: Some(log),
        past,
    })
}

/// Holds an opened journal against the server, settles what a killed run has left half done there,
/// and is ready for what follows. `new_server`: what the journal tells is about another one.
///
/// # Errors
/// Refused when the server is not the journal's; gave up when it does not answer or nothing can be
/// written.
pub fn begin(
    opened: Opened,
    new_server: bool,
    server: &Server,
    out: &Writer,
) -> Result<Journal, Fatal> {
    let Opened { shown, log, past } = opened;
    let mut journal = Journal {
        log,
        past,
        ..Journal::default()
    };
    if journal.past.unusable > 0 {
        let lines = journal.past.unusable;
        out.verbose(&shown, "read", &format!("{lines} lines are torn"));
    }
    let begun = !journal.past.parts.is_empty();
    if new_server {
        journal.past = Past::default();
    }
    identity::verify(&journal.past, server).map_err(|why| why.fatal(&shown))?;
    if !begun || new_server {
        let head = identity::head(server, begun).map_err(|why| why.fatal(&shown))?;
        journal.write_head(&head)?;
    }
    journal.find_what_holds(server).map_err(|failure| {
        Fatal::new(
            Exit::GaveUp,
            format!("{}: check: {failure}", server.api.base()),
        )
    })?;
    let message = format!("{} contents are done", journal.past.count());
    out.verbose(&shown, "read", &message);
    let halves = std::mem::take(&mut journal.past.halves);
    server.newest_upload.fetch_max(
        journal.past.newest_upload,
        std::sync::atomic::Ordering::Relaxed,
    );
    if journal.log.is_some() {
        journal.doubts = std::mem::take(&mut journal.past.doubts).into();
        journal.halves = settle::settle(&mut journal, halves, server)?;
    }
    Ok(journal)
}

impl Journal {
    /// Has the server this content, as earlier runs found?
    pub fn is_done(&self, content: &Content) -> bool {
        self.past.is_done(content)
    }

    /// The refusal that earlier runs heard for this file, where it still holds: nothing is asked.
    pub fn refusal(&self, job: &Job, server: &Server) -> Option<Outcome> {
        if self.past.refused.is_empty() {
            return None;
        }
        let refused = |terms: &Terms| self.past.refused.contains(&terms.number(&job.content));
        let because = |kind, why: &str| {
            Some(Outcome {
                by: Some("journal"),
                ..Outcome::because(kind, why)
            })
        };
        if self.sizes_hold && refused(&Terms::Size(job.content.size())) {
            return because(Kind::TooBig, "larger than the server takes");
        }
        if self.formats_hold.contains(&job.extension)
            && refused(&Terms::Format(job.extension.clone()))
        {
            let why = format!("the server does not take {}", job.extension);
            return because(Kind::Unsupported, &why);
        }
        if refused(&language_terms(job, server)) {
            return because(Kind::Unsupported, "in no language that the server has");
        }
        None
    }

    /// The engine's refusal that earlier runs heard for this file, once another of its format has been
    /// refused in this run: only trying tells what the engine has, but one try is enough.
    pub fn engine_refusal(&self, job: &Job) -> Option<Outcome> {
        let lacks = self.engine_lacks().contains(&job.extension);
        let terms = || Terms::Engine(job.extension.clone());
        if !lacks || !self.past.refused.contains(&terms().number(&job.content)) {
            return None;
        }
        Some(Outcome {
            by: Some("journal"),
            ..Outcome::because(
                Kind::Unsupported,
                format!("the engine cannot deal with {}", job.extension),
            )
        })
    }

    fn engine_lacks(&self) -> MutexGuard<'_, BTreeSet<String>> {
        let formats = self.engine_lacks.lock();
        formats.unwrap_or_else(PoisonError::into_inner)
    }

    /// How far a killed run got with this content.
    pub fn half(&self, content: &Content) -> Option<&Half> {
        self.halves.get(content)
    }

    /// Writes a step; type and content are put to it, and the time if it has none.
    ///
    /// # Errors
    /// One line that names the file; the run cannot go on.
    pub fn step(&self, content: &Content, step: JournalStep) -> Result<(), String> {
        let Some(log) = &self.log else {
            return Ok(());
        };
        let at = match step.at.is_empty() {
            true => now(),
            false => step.at,
        };
        let step = JournalStep {
            sha1: content.sha1(),
            size: content.size(),
            at,
            ..step
        };
        log.append(&Line::of(&step)).map(drop)
    }

    /// Writes that no empty ebook is left of this file's way.
    ///
    /// # Errors
    /// As [`Journal::step`].
    pub fn cleared(&self, content: &Content) -> Result<(), String> {
        self.bare("cleared", content)
    }

    fn bare(&self, step: &str, content: &Content) -> Result<(), String> {
        let step = JournalStep {
            step: step.into(),
            ..JournalStep::default()
        };
        self.step(content, step)
    }

    /// Writes that an ebook may have been made for this content unheard, to be looked for until that is
    /// [settled](settle::look_back), whatever becomes of the file.
    ///
    /// # Errors
    /// As [`Journal::step`].
    pub fn doubt(&self, content: &Content, doubt: Doubt) -> Result<(), String> {
        let written = self.step(content, doubt.line());
        self.lock_doubts().entry(*content).or_default().push(doubt);
        written
    }

    /// What may have been made for this content unheard.
    pub fn doubts(&self, content: &Content) -> Vec<Doubt> {
        self.lock_doubts().get(content).cloned().unwrap_or_default()
    }

    fn settled(&self, content: &Content) -> Result<(), String> {
        self.lock_doubts().remove(content);
        self.bare("settled", content)
    }

    fn lock_doubts(&self) -> MutexGuard<'_, HashMap<Content, Vec<Doubt>>> {
        self.doubts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes how a file's way ended, and returns when that is on the disk. What was only looked up
    /// is not written: a known set that was wrong must not live on here. Nor is one that nobody
    /// knows, which the next run settles.
    ///
    /// # Errors
    /// As [`Journal::step`].
    pub fn end(
        &self,
        job: &Job,
        outcome: &Outcome,
        took: Duration,
        server: &Server,
    ) -> Result<(), String> {
        let looked_up = matches!(outcome.by, Some("known" | "journal"));
        let is_end = !looked_up && outcome.kind != Kind::Unfinished;
        let Some(log) = self.log.as_ref().filter(|_| is_end) else {
            return Ok(());
        };
        let (path, path_b64) = wire::path::encode(&job.path);
        let mut end = JournalEnd {
            path: Some(path.into_owned()),
            path_b64,
            seconds: (took.as_secs_f64() * 1000.0).round() / 1000.0,
            ..ended(&job.content, outcome)
        };
        match &outcome.refused {
            Some(Refused::Size(asked)) => {
                end.refused = Some("size".into());
                end.refused_size = Some(*asked);
            }
            Some(Refused::Format) => {
                end.refused = Some("format".into());
                end.format = Some(job.extension.clone());
            }
            Some(Refused::Engine) => {
                end.refused = Some("engine".into());
                end.format = Some(job.extension.clone());
                self.engine_lacks().insert(job.extension.clone());
            }
            Some(Refused::Language) => {
                if let Terms::Language {
                    book,
                    server,
                    default,
                } = language_terms(job, server)
                {
                    end.refused = Some("language".into());
                    (end.languages, end.server_languages) = (Some(book), Some(server));
                    end.default_language = default;
                }
            }
            None => {}
        }
        log.sync(log.append(&Line::of(&end))?)
    }

    /// Asks whether the server still refuses what it refused: one question for all sizes, one for
    /// each format.
    fn find_what_holds(&mut self, server: &Server) -> Result<(), Failure> {
        let refuses = |size, extension: &str| {
            let nobody_s = Content::new(&"0".repeat(40), size);
            let Some(content) = nobody_s else {
                return Ok(false);
            };
            let question = Question {
                content,
                extension: extension.into(),
            };
            let verdict = patiently(server.policy, || check::one(&server.api, &question))?;
            Ok(matches!(
                verdict,
                Verdict::TooBig(_) | Verdict::Unsupported(_)
            ))
        };
        if let Some(smallest) = self.past.smallest {
            self.sizes_hold = refuses(smallest, "epub")?;
        }
        for format in std::mem::take(&mut self.past.formats) {
            if self.formats_hold.len() < FORMATS && refuses(1, &format)? {
                self.formats_hold.insert(format);
            }
        }
        Ok(())
    }

    /// Why nothing can be written any more.
    pub fn trouble(&self) -> Option<String> {
        self.log.as_ref().and_then(Log::trouble)
    }

    fn write_head(&self, head: &Line) -> Result<(), Fatal> {
        let Some(log) = &self.log else {
            return Ok(());
        };
        let written = log.append(head).and_then(|length| log.sync(length));
        written.map_err(|why| Fatal::new(Exit::GaveUp, why))
    }

    /// An earlier run's file turned out to be on the server.
    fn arrived(&mut self, content: &Content, outcome: &Outcome) -> Result<(), String> {
        if let Some(log) = &self.log {
            log.sync(log.append(&Line::of(&ended(content, outcome)))?)?;
        }
        self.past.now_done(*content);
        Ok(())
    }
}

/// What a file was refused for, where that may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Its size; the server was asked about so many bytes.
    Size(u64),
    /// Its format.
    Format,
    /// Its format, by the engine.
    Engine,
    /// Its language, or that it has none.
    Language,
}

fn ended(content: &Content, outcome: &Outcome) -> JournalEnd {
    JournalEnd {
        outcome: outcome.kind.name().into(),
        sha1: content.sha1(),
        size: content.size(),
        at: now(),
        by: outcome.by.map(String::from),
        ebook_id: outcome.ebook,
        source_id: outcome.source,
        attempts: outcome.attempts.into(),
        reason: outcome.short_reason().map(String::from),
        ..JournalEnd::default()
    }
}

fn language_terms(job: &Job, server: &Server) -> Terms {
    let codes = server.offer.languages.iter().map(|l| l.code.clone());
    let mut codes: Vec<String> = codes.collect();
    codes.sort_unstable();
    Terms::Language {
        book: job.book.languages.clone(),
        server: codes,
        default: server.default_language.as_ref().map(|l| l.code.clone()),
    }
}

fn now() -> String {
    let now = Timestamp::now();
    now.round(Unit::Millisecond).unwrap_or(now).to_string()
}
