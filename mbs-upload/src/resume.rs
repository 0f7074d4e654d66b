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
//! | [`past`], [`interrupted`] | what it tells of earlier runs, and of files whose way was cut short |
//! | [`done`] | what is done, as far as it is believed |
//! | [`identity`] | is this the server that it is about, and has it still what it had? |
//! | [`terms`], `refusals` | on what terms a refusal holds, and whether it does |
//! | `ending` | how a file's way ended |
//! | [`unconfirmed`], [`clock`] | ebooks that may have been made unheard, and by whose clock |
//! | [`settle`] | what a killed run has left on the server |

pub mod clock;
pub mod done;
pub mod ending;
mod entry;
pub mod identity;
pub mod interrupted;
pub mod log;
mod open;
pub mod past;
mod refusals;
pub mod settle;
pub mod terms;
pub mod unconfirmed;

use std::{
    collections::HashMap,
    fs::File,
    sync::{Mutex, MutexGuard, PoisonError, atomic::Ordering},
};

use jiff::{Timestamp, Unit};
use wire::{Exit, Fatal, Line, OrFatal, Writer, records::JournalStep};

use crate::{api::Server, known::Content, model::outcome::Outcome};
use clock::Clock;
use ending::read_outcome;
use interrupted::Interrupted;
use log::Log;
pub use open::{Opened, open};
use past::Past;
use refusals::Refusals;
pub use terms::Refused;
use unconfirmed::Unconfirmed;

/// A journal that is being written, or none: then what is told to it is forgotten with the run.
#[derive(Debug, Default)]
pub struct Journal {
    log: Option<Log>,
    /// The same file, to be read.
    file: Option<File>,
    past: Past,
    refusals: Refusals,
    /// Ebooks that may have been made unheard, by this run or an earlier one.
    unconfirmed: Mutex<HashMap<Content, Vec<Unconfirmed>>>,
    /// What is known of the server's.
    clock: Clock,
    /// Files whose way a killed run has begun.
    interrupted: HashMap<Content, Interrupted>,
}

/// Holds an opened journal against the server, settles what a killed run has left interrupted done there,
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
    let Opened {
        shown,
        log,
        file,
        past,
    } = opened;
    let mut journal = Journal {
        log,
        file,
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
    let compared = identity::compare(&journal.past, server).map_err(|why| why.fatal(&shown))?;
    if compared.doubtful.is_empty() {
        let owners = std::mem::take(&mut journal.past.owners);
        server.owners.begin(owners);
    }
    journal.past.done.unconfirmed(compared.doubtful);
    if !begun || new_server {
        let head = identity::head(server, begun).map_err(|why| why.fatal(&shown))?;
        journal.write_head(&head)?;
    }
    journal.refusals = Refusals::ask(&mut journal.past, server)
        .or_fatal(Exit::GaveUp, format_args!("{}: check", server.api.base()))?;
    let (done, in_doubt) = journal.past.done.count();
    out.verbose(&shown, "read", &format!("{done} contents are done"));
    match compared.missing {
        0 => {
            let newest = journal.past.newest_upload;
            server.newest_upload.fetch_max(newest, Ordering::Relaxed);
        }
        missing => {
            let message = format!(
                "of {} files that it must have, {missing} are not there: it was set back to a backup, or \
                 ebooks were removed; {in_doubt} files that were done are asked about again",
                compared.asked
            );
            if in_doubt > 0 {
                out.warn(&shown, "compare with the server", &message);
            }
        }
    }
    let interrupted = std::mem::take(&mut journal.past.interrupted);
    if journal.log.is_some() {
        journal.unconfirmed = std::mem::take(&mut journal.past.unconfirmed).into();
        journal.interrupted = settle::settle(&mut journal, interrupted, server)?;
    }
    Ok(journal)
}

impl Journal {
    /// The duplicate that this content is, where the server has it, as earlier runs found. What became of
    /// it then is said again.
    pub fn done(&self, content: &Content) -> Option<Outcome> {
        let done = &self.past.done;
        let file = self.file.as_ref();
        done.has(content).then(|| {
            let ends = done.ends(content);
            file.and_then(|file| read_outcome(file, ends))
                .unwrap_or_else(|| Outcome::duplicate("journal"))
        })
    }

    /// What is known of the server's clock.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// How far a killed run got with this content.
    pub fn interrupted(&self, content: &Content) -> Option<&Interrupted> {
        self.interrupted.get(content)
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
    pub fn note_unconfirmed(
        &self,
        content: &Content,
        unconfirmed: Unconfirmed,
    ) -> Result<(), String> {
        let written = self.step(content, unconfirmed.line());
        self.lock_unconfirmed()
            .entry(*content)
            .or_default()
            .push(unconfirmed);
        written
    }

    /// What may have been made for this content unheard.
    pub fn unconfirmed(&self, content: &Content) -> Vec<Unconfirmed> {
        self.lock_unconfirmed()
            .get(content)
            .cloned()
            .unwrap_or_default()
    }

    fn settled(&self, content: &Content) -> Result<(), String> {
        self.lock_unconfirmed().remove(content);
        self.bare("settled", content)
    }

    fn lock_unconfirmed(&self) -> MutexGuard<'_, HashMap<Content, Vec<Unconfirmed>>> {
        self.unconfirmed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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
}

fn now() -> String {
    let now = Timestamp::now();
    now.round(Unit::Millisecond).unwrap_or(now).to_string()
}
