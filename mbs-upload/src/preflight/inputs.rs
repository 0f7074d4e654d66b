//! The files of the input that can never get to this server.

use std::{collections::HashMap, io::BufRead};

use wire::{Item, Reader, records::Summary, write::Trouble as Wrong};

use super::{Trouble, asked::unknown, limits, report::Report};
use crate::{
    input::{job::Job, unfit::unfit},
    known::Known,
    metadata::language::{self, Choice},
    patience::attempt::patiently,
    run::outcome::{Kind, Outcome},
    server::{Server, failure::Failure, upload::Form},
};

/// Judges files one by one; asks the server once for each extension.
pub(super) struct Inputs<'a> {
    server: &'a Server,
    known: &'a Known,
    limit: u64,
    takes: HashMap<String, bool>,
    /// Bytes of the files that may be sent.
    pub(super) needed: u64,
}

impl<'a> Inputs<'a> {
    /// With the limit for a request's body.
    pub(super) fn new(server: &'a Server, known: &'a Known, limit: u64) -> Inputs<'a> {
        Inputs {
            server,
            known,
            limit,
            takes: HashMap::new(),
            needed: 0,
        }
    }

    /// Reads the whole input and reports what has no hope.
    pub(super) fn judge_all(
        &mut self,
        input: impl BufRead,
        report: &Report<'_>,
    ) -> Result<Summary, Trouble> {
        let mut reader = Reader::new(input);
        let mut lines = 0;
        while let Some(item) = reader.next_item()? {
            lines += 1;
            let record = match item {
                Item::Record(record) => record,
                Item::Unusable(line, reason) => {
                    let wrong = wrong("read", &reason);
                    report
                        .out()
                        .fail_new(None, &format!("stdin:{line}"), wrong, |_| ())?;
                    continue;
                }
            };
            if !matches!(record.kind(), "file_hash" | "finding" | "book_file") {
                continue;
            }
            let mut job = match Job::named(record.clone()) {
                Ok(job) => job,
                Err(reason) => {
                    let shown = record.path().map(|path| path.display().to_string());
                    let shown = shown.unwrap_or_else(|_| "stdin".into());
                    report
                        .out()
                        .fail(&record, &shown, wrong("input", &reason))?;
                    continue;
                }
            };
            if self.known.has(&job.content) {
                continue;
            }
            job.read_book();
            match self.judge(&job)? {
                Some(outcome) => report.hopeless(&job, &outcome)?,
                None => self.needed += job.content.size(),
            }
        }
        let verdict = reader.custody().verdict();
        // A preflight without files looks at the server alone.
        if lines == 0 {
            return Ok(Summary {
                complete: true,
                ..Summary::default()
            });
        }
        if let Some(why) = &verdict.why {
            report.out().warn("stdin", "read", why);
        }
        Ok(verdict.summary())
    }

    fn judge(&mut self, job: &Job) -> Result<Option<Outcome>, Failure> {
        let server = self.server;
        if let Some(outcome) = unfit(job, server.max_size) {
            return Ok(Some(outcome));
        }
        let length =
            Form::new(&job.content, &job.extension, &"0".repeat(16)).length(job.content.size());
        if length > self.limit {
            let why = format!(
                "with the form around it, {length} bytes, more than {}",
                self.limit
            );
            return Ok(Some(Outcome::because(Kind::TooBig, why)));
        }
        if !self.takes(&job.extension)? {
            let why = format!("format {}: the server does not have it", job.extension);
            return Ok(Some(Outcome::because(Kind::Unsupported, why)));
        }
        let languages = &job.book.languages;
        if let Choice::Lacking = language::choose(languages, &server.offer.languages) {
            let why = format!(
                "language {}: the server does not have it",
                languages.join(", ")
            );
            return Ok(Some(Outcome::because(Kind::Unsupported, why)));
        }
        Ok(match job.origin.look(&job.content) {
            Err(failure) => Some(Outcome::because(Kind::Failed, failure.to_string())),
            Ok(()) => None,
        })
    }

    fn takes(&mut self, extension: &str) -> Result<bool, Failure> {
        if let Some(&takes) = self.takes.get(extension) {
            return Ok(takes);
        }
        let question = unknown(extension);
        let takes = patiently(self.server.policy, || {
            limits::takes(&self.server.api, &question)
        })?;
        self.takes.insert(extension.into(), takes);
        Ok(takes)
    }
}

fn wrong<'a>(op: &'static str, message: &'a str) -> Wrong<'a> {
    Wrong {
        op,
        message,
        retry: false,
    }
}
