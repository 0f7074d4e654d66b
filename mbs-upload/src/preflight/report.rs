//! What was found, as records.

use std::io;

use wire::{Line, Voice, Writer};

use crate::{input::job::Job, run::outcome::Outcome};

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
            result: "warning",
            message: Some(why.into()),
            ..Finding::ok(check, object)
        }
    }

    /// It does not work.
    pub(super) fn failed(check: &'static str, object: impl Into<String>, why: &str) -> Finding {
        Finding {
            result: "failed",
            ..Finding::warning(check, object, why)
        }
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

    pub(super) fn voice(&self) -> Voice {
        self.0.voice()
    }

    /// A record, and a line on standard error for what is not well.
    pub(super) fn say(&self, finding: &Finding) -> io::Result<()> {
        let (line, object) = (finding.line(), &finding.object);
        let why = finding.message.as_deref().unwrap_or_default();
        if finding.result == "failed" {
            return self.0.fail_as(&line, object, finding.check, why);
        }
        if finding.result == "warning" {
            self.0.warn(object, finding.check, why);
        }
        self.0.write(&line)
    }

    /// A file that can never get there, with all that its record says. What is no failure of a run
    /// is none here.
    pub(super) fn hopeless(&self, job: &Job, outcome: &Outcome) -> io::Result<()> {
        use crate::run::outcome::Kind;
        let reason = outcome.reason.as_deref().unwrap_or_default();
        let failed = outcome.kind == Kind::Failed;
        let mut line = Line::new("preflight");
        line.text("check", "input")
            .text("result", if failed { "failed" } else { "warning" })
            .text("message", reason)
            .path(&job.path)
            .text("sha1", &job.content.sha1())
            .int("size", job.content.size())
            .text("outcome", outcome.kind.name())
            .inherit(&job.record);
        match failed {
            true => self.0.fail_as(&line, &job.shown(), "check", reason),
            false => self.0.write(&line),
        }
    }
}
