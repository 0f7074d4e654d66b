//! The end of a file's way, written down, and read again.

use std::{fs::File, io, os::unix::fs::FileExt, time::Duration};

use wire::{Line, journal::WriteError, records::JournalEnd};

use crate::{
    known::Content,
    metadata::language::Languages,
    model::{
        job::Job,
        outcome::{Kind, Outcome, Refused, short},
    },
    resume::{
        Journal, done::Place, entry::JournalLine, now, past::LONGEST_LINE,
        refusal_rule::RefusalRule,
    },
};

impl Journal {
    /// Writes how a file's way ended, and returns when that is on the disk. What was only looked up
    /// is not written: a known set that was wrong must not live on here. Nor is one that nobody
    /// knows, which the next run settles.
    pub fn end(
        &self,
        job: &Job,
        outcome: &Outcome,
        took: Duration,
        languages: &Languages,
    ) -> Result<(), WriteError> {
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
                if let RefusalRule::Language {
                    book,
                    server,
                    default,
                } = RefusalRule::of_language(job, languages)
                {
                    end.refused = Some("language".into());
                    (end.languages, end.server_languages) = (Some(book), Some(server));
                    end.default_language = default;
                }
            }
            None => {}
        }
        log.append_synced(&Line::of(&end))
    }

    /// An earlier run's file turned out to be on the server.
    pub(super) fn arrived(
        &mut self,
        content: &Content,
        outcome: &Outcome,
    ) -> Result<(), WriteError> {
        if let Some(log) = &self.log {
            let line = Line::of(&ended(content, outcome));
            let length = log.append(&line)?;
            log.sync(length)?;
            self.past.done.add(*content, length - line.len() as Place);
        }
        Ok(())
    }
}

/// Notes as a line of the journal holds them; nothing where there are none.
pub fn listed(notes: &[String]) -> Option<Vec<String>> {
    let notes: Vec<String> = short(notes).into_iter().map(String::from).collect();
    (!notes.is_empty()).then_some(notes)
}

/// What the journal says at these places of the ends of one content: of its upload, where it has one,
/// else of the first.
pub(super) fn read_outcome(file: &File, ends: impl Iterator<Item = Place>) -> Option<Outcome> {
    let mut first = None;
    for place in ends {
        let line = line_at(file, place).ok()?;
        let entry = serde_json::from_slice::<JournalLine<'_>>(&line).ok()?;
        let uploaded = entry.outcome.as_ref().is_some_and(|o| o.0 == "uploaded");
        let outcome = Outcome {
            ebook: entry.ebook_id,
            source: entry.source_id,
            notes: entry.notes.unwrap_or_default(),
            ..Outcome::duplicate("journal")
        };
        if uploaded {
            return Some(outcome);
        }
        first.get_or_insert(outcome);
    }
    first
}

/// A line without its end.
fn line_at(file: &File, place: Place) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut part = [0; 2048];
    loop {
        let read = file.read_at(&mut part, place + line.len() as Place)?;
        let part = &part[..read];
        let end = part.iter().position(|&byte| byte == b'\n');
        line.extend_from_slice(&part[..end.unwrap_or(read)]);
        if end.is_some() || read == 0 || line.len() > LONGEST_LINE {
            return Ok(line);
        }
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
        notes: listed(&outcome.notes),
        ..JournalEnd::default()
    }
}
