//! The files of the input that can never get to this server.

use std::{collections::HashMap, io::BufRead};

use wire::{Item, Reader, records::Summary, write::ItemError as Wrong};

use crate::{
    api::upload::Form,
    check::{
        Subject, Trouble,
        asked::{ServerLimits, unknown},
        limits,
        report::Report,
    },
    input::{bytes, unfit::unfit},
    known::Known,
    metadata::language::{self, Choice},
    model::{
        failure::Failure,
        job::Job,
        outcome::{Kind, Outcome},
    },
    resume::Journal,
    retry::attempt::with_retries,
};

/// What the engine needs a converter for.
const DOC: &str = "doc";

/// Judges files one by one; asks the server once for each extension.
pub(super) struct Inputs<'a> {
    server: Subject<'a>,
    journal: &'a Journal,
    known: &'a Known,
    seen: &'a ServerLimits,
    takes: HashMap<String, bool>,
    /// Bytes of the files that may be sent.
    pub(super) needed: u64,
    /// Files among these that the engine must convert, which it may be unable to.
    pub(super) docs: u64,
}

impl<'a> Inputs<'a> {
    /// By what the server said of itself.
    pub(super) fn new(
        server: Subject<'a>,
        journal: &'a Journal,
        known: &'a Known,
        seen: &'a ServerLimits,
    ) -> Inputs<'a> {
        Inputs {
            server,
            journal,
            known,
            seen,
            takes: HashMap::new(),
            needed: 0,
            docs: 0,
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
                Err(error) => {
                    let reason = error.to_string();
                    let shown = record.path().map(|path| path.display().to_string());
                    let shown = shown.unwrap_or_else(|_| "stdin".into());
                    report
                        .out()
                        .fail(&record, &shown, wrong("input", &reason))?;
                    continue;
                }
            };
            let journal = self.journal;
            if self.known.has(&job.content) || journal.done(&job.content).is_some() {
                continue;
            }
            job.read_book();
            match self.judge(&job)? {
                Some(outcome) => report.hopeless(&job, &outcome)?,
                None => {
                    self.needed += job.content.size();
                    self.docs += u64::from(job.extension == DOC);
                    report.changed(&job)?;
                }
            }
        }
        let verdict = reader.completeness().report();
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
        let refused = self.journal.refusal(job, &server.catalog.languages);
        if let Some(outcome) = refused.or_else(|| unfit(job, server.max_size)) {
            return Ok(Some(outcome));
        }
        let length =
            Form::new(&job.content, &job.extension, &"0".repeat(16)).length(job.content.size());
        if length > self.seen.limit {
            let why = format!(
                "with the form around it, {length} bytes, more than {}",
                self.seen.limit
            );
            return Ok(Some(Outcome::because(Kind::TooBig, why)));
        }
        if !self.takes(&job.extension)? {
            let why = format!("format {}: the server does not have it", job.extension);
            return Ok(Some(Outcome::because(Kind::Unsupported, why)));
        }
        if job.extension == DOC && self.seen.lacks_office {
            let why = "format doc: the engine lacks LibreOffice".to_string();
            return Ok(Some(Outcome::because(Kind::Unsupported, why)));
        }
        let languages = &job.book.languages;
        if let Choice::Lacking = language::choose(languages, &server.catalog.languages.offered) {
            let why = format!(
                "language {}: the server does not have it",
                languages.join(", ")
            );
            return Ok(Some(Outcome::because(Kind::Unsupported, why)));
        }
        let failed = |why: String| Ok(Some(Outcome::because(Kind::Failed, why)));
        if let Err(failure) = bytes::look(&job.origin, &job.content) {
            return failed(failure.to_string());
        }
        match server.links.map(|links| links.target(&job.origin)) {
            Some(Err(why)) => failed(why.to_string()),
            _ => Ok(None),
        }
    }

    fn takes(&mut self, extension: &str) -> Result<bool, Failure> {
        if let Some(&takes) = self.takes.get(extension) {
            return Ok(takes);
        }
        let question = unknown(extension);
        let takes = with_retries(self.server.policy, || {
            limits::takes(self.server.api, &question)
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
