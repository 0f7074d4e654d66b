//! The end of a file's way, written down.

use std::time::Duration;

use wire::{Line, records::JournalEnd};

use super::{
    Journal, now,
    terms::{Refused, Terms},
};
use crate::{
    input::job::Job,
    known::Content,
    run::outcome::{Kind, Outcome},
    server::Server,
};

impl Journal {
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
                self.refusals.engine_lacks(&job.extension);
            }
            Some(Refused::Language) => {
                if let Terms::Language {
                    book,
                    server,
                    default,
                } = Terms::of_language(job, server)
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

    /// An earlier run's file turned out to be on the server.
    pub(super) fn arrived(&mut self, content: &Content, outcome: &Outcome) -> Result<(), String> {
        if let Some(log) = &self.log {
            log.sync(log.append(&Line::of(&ended(content, outcome)))?)?;
        }
        self.past.now_done(*content);
        Ok(())
    }
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
