//! What earlier runs were refused, and whether that still holds.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    metadata::language::Languages,
    model::{
        failure::Failure,
        job::Job,
        outcome::{Kind, Outcome},
    },
    resume::{Journal, past::Past, refusal_rule::RefusalRule, server::Server},
};

/// Formats that are asked about at the start. Names of more are no formats.
const FORMATS: usize = 100;

/// What the server refuses still.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// What was too big then.
    sizes_hold: bool,
    /// Formats.
    formats_hold: BTreeSet<String>,
    /// Formats that the engine turned out to lack in this run.
    engine_lacks: Mutex<BTreeSet<String>>,
}

impl Refusals {
    /// Asks whether the server still refuses what it refused: one question for all sizes, one for
    /// each format.
    pub(super) fn ask(past: &mut Past, server: &dyn Server) -> Result<Refusals, Failure> {
        let mut holding = Refusals::default();
        if let Some(smallest) = past.smallest {
            holding.sizes_hold = server.refuses(smallest, "epub")?;
        }
        for format in std::mem::take(&mut past.formats) {
            if holding.formats_hold.len() < FORMATS && server.refuses(1, &format)? {
                holding.formats_hold.insert(format);
            }
        }
        Ok(holding)
    }

    /// The engine has just refused a file of this format.
    pub(super) fn engine_lacks(&self, format: &str) {
        self.lock().insert(format.into());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<String>> {
        let formats = self.engine_lacks.lock();
        formats.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal {
    /// The refusal that earlier runs heard for this file, where it still holds: nothing is asked.
    pub fn refusal(&self, job: &Job, languages: &Languages) -> Option<Outcome> {
        if self.past.refused.is_empty() {
            return None;
        }
        let refused = |terms: &RefusalRule| self.past.refused.contains(&terms.number(&job.content));
        let because = |kind, why: &str| {
            Some(Outcome {
                by: Some("journal"),
                ..Outcome::because(kind, why)
            })
        };
        if self.refusals.sizes_hold && refused(&RefusalRule::Size(job.content.size())) {
            return because(Kind::TooBig, "larger than the server takes");
        }
        if self.refusals.formats_hold.contains(&job.extension)
            && refused(&RefusalRule::Format(job.extension.clone()))
        {
            let why = format!("the server does not take {}", job.extension);
            return because(Kind::Unsupported, &why);
        }
        if refused(&RefusalRule::of_language(job, languages)) {
            return because(Kind::Unsupported, "in no language that the server has");
        }
        None
    }

    /// The engine's refusal that earlier runs heard for this file, once another of its format has been
    /// refused in this run: only trying tells what the engine has, but one try is enough.
    pub fn engine_refusal(&self, job: &Job) -> Option<Outcome> {
        let lacks = self.refusals.lock().contains(&job.extension);
        let terms = || RefusalRule::Engine(job.extension.clone());
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
}
