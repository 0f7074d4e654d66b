//! The journal: what was done, line by line, so that a run that was killed at any moment can be
//! continued, and nothing is lost, doubled, or asked about again.
//!
//! A file of NDJSON that is only appended to. It begins with a `journal` record, which tells the
//! server from another one. Each upload leaves a few `journal_step` records and ends with a
//! `journal_end`, which is on the disk before the outcome is printed. Journals can be joined with
//! `cat`; lines of unknown types, unknown fields and torn lines are passed by.
//!
//! | module | what |
//! | --- | --- |
//! | [`past`], [`interrupted`] | earlier runs, and their uploads that were cut short |
//! | [`done`] | finished files, as far as that is believed |
//! | [`server`] | what the journal asks of the server that it is about |
//! | [`identity`] | is this that server, and has it still what it had? |
//! | `refusal_rule`, `refusals` | by which rules a file was refused, and whether they hold |
//! | `ending` | how an upload ended |
//! | `settle` | interrupted uploads, reconciled with the server |

pub mod done;
pub mod ending;
mod entry;
pub mod identity;
pub mod interrupted;
mod open;
pub mod past;
pub mod refusal_rule;
mod refusals;
pub mod server;
mod settle;

use std::{collections::HashMap, fs::File, time::Duration};

use jiff::{Timestamp, Unit};
use wire::{
    Exit, Fatal, Line, OrFatal, Writer,
    journal::{Journal as Log, WriteError},
    records::JournalStep,
};

use crate::{
    known::Content,
    model::{outcome::Outcome, owners},
};
use ending::read_outcome;
use interrupted::Interrupted;
pub use open::{Opened, open};
use past::Past;
use refusals::Refusals;
use server::Server;

/// A journal that is being written, or none: then what it is given is forgotten with the run.
#[derive(Debug, Default)]
pub struct Journal {
    log: Option<Log>,
    /// The same file, to be read.
    file: Option<File>,
    past: Past,
    refusals: Refusals,
    /// Uploads that a killed run began.
    interrupted: HashMap<Content, Interrupted>,
    /// Which book each ebook was first filled by.
    pub owners: owners::Shared,
    /// The newest row of the server's table `upload` that earlier runs heard of; 0 for none.
    pub newest_upload: i64,
}

/// Compares an opened journal with the server, settles what a killed run left unfinished there, and
/// is ready for what follows. `new_server`: the journal is about another one. `pause` is how long
/// requests of a killed run may take to come to their end.
///
/// # Errors
/// Refused when the server is not the journal's; gave up when it does not answer or nothing can be
/// written.
pub fn begin(
    opened: Opened,
    new_server: bool,
    server: &dyn Server,
    pause: Duration,
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
        journal.owners.begin(owners);
    }
    journal.past.done.doubt(compared.doubtful);
    if !begun || new_server {
        let head = identity::head(server, begun).map_err(|why| why.fatal(&shown))?;
        journal.write_head(&head)?;
    }
    journal.refusals = Refusals::ask(&mut journal.past, server)
        .or_fatal(Exit::GaveUp, format_args!("{}: check", server.address()))?;
    let (done, doubtful) = journal.past.done.count();
    out.verbose(&shown, "read", &format!("{done} contents are done"));
    match compared.missing {
        0 => journal.newest_upload = journal.past.newest_upload,
        missing if doubtful > 0 => {
            let message = format!(
                "of {} files that it must have, {missing} are not there: it was set back to a backup, or \
                 ebooks were removed; {doubtful} files that were done are asked about again",
                compared.asked
            );
            out.warn(&shown, "compare with the server", &message);
        }
        _ => {}
    }
    let interrupted = std::mem::take(&mut journal.past.interrupted);
    if journal.log.is_some() {
        journal.interrupted = settle::settle(&mut journal, interrupted, server, pause)?;
    }
    Ok(journal)
}

impl Journal {
    /// The duplicate that this content is, where the server has it, as earlier runs found; with the
    /// ids and notes of its upload.
    pub fn done(&self, content: &Content) -> Option<Outcome> {
        let done = &self.past.done;
        let file = self.file.as_ref();
        done.has(content).then(|| {
            let ends = done.ends(content);
            file.and_then(|file| read_outcome(file, ends))
                .unwrap_or_else(|| Outcome::duplicate("journal"))
        })
    }

    /// How far a killed run got with this content.
    pub fn interrupted(&self, content: &Content) -> Option<&Interrupted> {
        self.interrupted.get(content)
    }

    /// Writes a step; type, content and time are added to it.
    ///
    /// # Errors
    /// The run cannot go on.
    pub fn step(&self, content: &Content, step: JournalStep) -> Result<(), WriteError> {
        let Some(log) = &self.log else {
            return Ok(());
        };
        let step = JournalStep {
            sha1: content.sha1(),
            size: content.size(),
            at: now(),
            ..step
        };
        log.append(&Line::of(&step)).map(drop)
    }

    /// Writes that no request for this file is at work any more.
    pub fn cleared(&self, content: &Content) -> Result<(), WriteError> {
        let step = JournalStep {
            step: "cleared".into(),
            ..JournalStep::default()
        };
        self.step(content, step)
    }

    /// Why nothing can be written any more.
    pub fn trouble(&self) -> Option<WriteError> {
        self.log.as_ref().and_then(Log::failure)
    }

    fn write_head(&self, head: &Line) -> Result<(), Fatal> {
        let Some(log) = &self.log else {
            return Ok(());
        };
        let written = log.append_synced(head);
        written.map_err(|error| Fatal::new(Exit::GaveUp, error.to_string()))
    }
}

fn now() -> String {
    let now = Timestamp::now();
    now.round(Unit::Millisecond).unwrap_or(now).to_string()
}
