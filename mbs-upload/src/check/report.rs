//! What was found, as records.

use std::io;

use wire::{Diagnostics, Line, Writer};

use crate::model::{job::Job, outcome::Outcome};

const WARNING: &str = "warning";
const FAILED: &str = "failed";

/// One thing that was looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Finding {
    check: &'static str,
    object: String,
    result: &'static str,
    pub(super) message: Option<String>,
    pub(super) max_size: Option<u64>,
    pub(super) free: Option<u64>,
    pub(super) languages: Option<Vec<String>>,
    pub(super) formats: Option<Vec<String>>,
    pub(super) statement: Option<String>,
}

impl Finding {
    /// All is well.
    pub(super) fn ok(check: &'static str, object: impl Into<String>) -> Finding {
        Finding {
            check,
            object: object.into(),
            result: "ok",
            ..Finding::default()
        }
    }

    /// It works, but.
    pub(super) fn warning(check: &'static str, object: impl Into<String>, why: &str) -> Finding {
        Finding {
            result: WARNING,
            message: Some(why.into()),
            ..Finding::ok(check, object)
        }
    }

    /// It does not work.
    pub(super) fn failed(check: &'static str, object: impl Into<String>, why: &str) -> Finding {
        Finding {
            result: FAILED,
            ..Finding::warning(check, object, why)
        }
    }

    /// Does it not work?
    pub(super) fn is_failed(&self) -> bool {
        self.result == FAILED
    }

    fn line(&self) -> Line {
        let mut line = Line::new("preflight");
        line.text("check", self.check)
            .text("object", &self.object)
            .text("result", self.result)
            .opt_text("message", self.message.as_deref());
        for (name, value) in [("max_size", self.max_size), ("free", self.free)] {
            if let Some(value) = value {
                line.int(name, value);
            }
        }
        for (name, list) in [("languages", &self.languages), ("formats", &self.formats)] {
            if let Some(list) = list {
                line.list(name, list);
            }
        }
        line.opt_text("statement", self.statement.as_deref());
        line
    }
}

/// Writes findings.
pub(super) struct Report<'a>(&'a Writer);

impl<'a> Report<'a> {
    pub(super) fn new(out: &'a Writer) -> Report<'a> {
        Report(out)
    }

    pub(super) fn out(&self) -> &Writer {
        self.0
    }

    pub(super) fn diagnostics(&self) -> Diagnostics {
        self.0.diagnostics()
    }

    /// A record, and a line on standard error for what is not well.
    pub(super) fn say(&self, finding: &Finding) -> io::Result<()> {
        let (line, object) = (finding.line(), &finding.object);
        let why = finding.message.as_deref().unwrap_or_default();
        if finding.is_failed() {
            return self.0.fail_as(&line, object, finding.check, why);
        }
        if finding.result == WARNING {
            self.0.warn(object, finding.check, why);
        }
        self.0.write(&line)
    }

    /// A file that can never get there, with all that its record says. What is no failure of a run
    /// is none here.
    pub(super) fn hopeless(&self, job: &Job, outcome: &Outcome) -> io::Result<()> {
        use crate::model::outcome::Kind;
        let reason = outcome.reason.as_deref().unwrap_or_default();
        let failed = outcome.kind == Kind::Failed;
        let result = if failed { FAILED } else { WARNING };
        let mut line = about("input", result, reason, job);
        line.text("outcome", outcome.kind.name())
            .inherit(&job.record);
        match failed {
            true => self.0.fail_as(&line, &job.shown(), "check", reason),
            false => self.0.write(&line),
        }
    }

    /// A file of which the server will have less than its record tells, if it is one.
    pub(super) fn changed(&self, job: &Job) -> io::Result<()> {
        if job.book.notes.is_empty() {
            return Ok(());
        }
        let notes = job.book.notes.join("; ");
        let mut line = about("metadata", WARNING, &notes, job);
        self.0.write(line.inherit(&job.record))
    }
}

/// A record about a file, without what its own record tells.
fn about(check: &str, result: &str, message: &str, job: &Job) -> Line {
    let mut line = Line::new("preflight");
    line.text("check", check)
        .text("result", result)
        .text("message", message)
        .path(&job.path)
        .text("sha1", &job.content.sha1())
        .int("size", job.content.size());
    line
}
