//! The way of the bytes: asked about, sent, looked into by the engine.

use std::time::Instant;

use serde_json::{Value, json};

use crate::{
    api::{ebook, extract::Since, upload::Form, upload_check},
    input::bytes,
    metadata::language::{self, Choice, Languages},
    model::{
        check::CheckAnswer,
        failure::Failure,
        outcome::{Kind, Outcome, Refused},
    },
    retry::attempt::chance,
    steps::{Step, Stepped, UploadTask},
};

/// A file from this size on is asked about a second time with the form around it: the server's
/// limit is one for the whole request, and its refusal may be lost with the connection.
const LARGE: u64 = 32 << 20;

/// Does the engine lack what it needs for this file: a format of that extension, or LibreOffice to
/// convert a `.doc`?
fn lacks_for_good(why: &str) -> bool {
    why.contains("format_id") || why.contains("soffice")
}

impl UploadTask<'_> {
    pub(super) fn check(&mut self) -> Stepped {
        bytes::look(&self.job.origin, &self.job.content)?;
        if let Some(outcome) = self.there_by_now("check")? {
            return Ok(Some(outcome));
        }
        let question = self.job.question();
        let verdict = match &self.job.checked {
            Some(verdict) if self.failures == 0 => verdict.clone(),
            _ => upload_check::one(self.with.api, &question)?,
        };
        match verdict {
            CheckAnswer::Wanted => {}
            CheckAnswer::Exists => return Ok(Some(Outcome::duplicate("check"))),
            CheckAnswer::TooBig(why) => {
                let refused = Refused::Size(question.content.size());
                return Ok(Some(Outcome::refused(Kind::TooBig, why, refused)));
            }
            CheckAnswer::Unsupported(why) => {
                let refused = Refused::Format;
                return Ok(Some(Outcome::refused(Kind::Unsupported, why, refused)));
            }
        }
        if self.job.content.size() >= LARGE {
            let length = self.form().length(self.job.content.size());
            if !upload_check::body_fits(self.with.api, &question, length)? {
                let why = format!("with the form around it, {length} bytes, too big");
                let refused = Refused::Size(length);
                return Ok(Some(Outcome::refused(Kind::TooBig, why, refused)));
            }
        }
        if let Choice::Lacking =
            language::choose(&self.book.languages, &self.with.catalog.languages.offered)
        {
            return Ok(Some(self.lacking_language()));
        }
        let link = self.link()?;
        if self.with.dry_run {
            return Ok(Some(Outcome {
                link,
                ..Outcome::new(Kind::WouldUpload)
            }));
        }
        if let Some(outcome) = self.take_turn() {
            return Ok(Some(outcome));
        }
        self.set_out()
    }

    pub(super) fn form(&self) -> Form {
        Form::new(
            &self.job.content,
            &self.job.extension,
            &format!("{:016x}", chance()),
        )
    }

    pub(super) fn lacking_language(&self) -> Outcome {
        let named = self.book.languages.join(", ");
        let offered = self.with.catalog.languages.offered.iter();
        let has: Vec<_> = offered.map(|l| l.code.as_str()).collect();
        let why = format!("language {named}: the server has {}", has.join(", "));
        Outcome::refused(Kind::Unsupported, why, Refused::Language)
    }

    pub(super) fn send(&mut self) -> Stepped {
        let form = self.form();
        let (api, job) = (self.with.api, self.job);
        // A second try asks before it sends: the first may have broken on a refusal.
        let mode = (self.is_unconfirmed, self.clock.left(Instant::now()));
        match form.send(api, &job.origin, &job.content, mode, self.sent) {
            Ok(file) => {
                let since = self.with.memory.newest.now();
                self.uploaded = Some((file.clone(), since));
                self.then(Step::Extract { file, since })
            }
            Err(Failure::Said { error, .. }) => Ok(Some(match error.as_str() {
                "file already exists" => {
                    if !self.unconfirmed.add {
                        self.with.memory.concurrent.overtaken();
                    }
                    Outcome::duplicate("upload")
                }
                "file too big" => Outcome::because(Kind::TooBig, error),
                other if other.starts_with("unsupported") => {
                    Outcome::because(Kind::Unsupported, other)
                }
                other => return Err(Failure::Refused(other.into())),
            })),
            Err(Failure::TooLarge(why)) => Ok(Some(Outcome::because(Kind::TooBig, why))),
            Err(other) => Err(other),
        }
    }

    pub(super) fn extract(&mut self, file: String, since: Since) -> Stepped {
        let found = match self.is_unconfirmed {
            true => self.with.extractor().find(&file, since)?,
            false => None,
        };
        let upload = match found {
            Some(upload) => Ok(upload),
            None => {
                let meta = self.proposal();
                let task = self.with.memory.concurrent.task();
                let (extractor, clock) = (self.with.extractor(), &mut self.clock);
                let made = extractor.extract(&file, &meta, since, clock);
                made.inspect(|&row| task.made(row))
            }
        };
        match upload {
            Ok(upload) => self.then(Step::Describe { upload }),
            Err(Failure::Task(why)) if lacks_for_good(&why) => Ok(Some(Outcome::refused(
                Kind::Unsupported,
                format!("metadata task: {why}"),
                Refused::Engine,
            ))),
            Err(Failure::Task(why)) if why.contains("does not exist") => {
                // The uploaded file is gone: somebody cleaned up. Send it again.
                self.step = Step::Send;
                Err(Failure::Task(why))
            }
            Err(other) => Err(other),
        }
    }

    /// The metadata that the engine is to take instead of what it finds in the file.
    pub(super) fn proposal(&self) -> Value {
        let mut meta = json!({});
        if let Some(title) = &self.book.title {
            meta["title"] = title.as_str().into();
        }
        if !self.book.authors.is_empty() {
            meta["authors"] = ebook::authors(&self.book.authors);
        }
        let offered = &self.with.catalog.languages.offered;
        if let Choice::Found(language) = language::choose(&self.book.languages, offered) {
            meta["language"] = json!({"code": language.code});
        }
        if let Some(series) = &self.book.series {
            meta["series"] = json!({"title": series.title});
            if let Some(index) = series.index {
                meta["series_index"] = index.into();
            }
        }
        if self.book.stated {
            let names = self.genre_names();
            meta["genres"] = names.map(|name| json!({"name": name})).collect();
        }
        meta
    }

    /// The tags that are genres or may be.
    pub(super) fn genre_names(&self) -> impl Iterator<Item = &str> {
        let catalog = self.with.catalog;
        let tags = self
            .book
            .tags
            .iter()
            .map(|tag| tag.trim())
            .filter(|tag| !tag.is_empty());
        tags.filter(|tag| catalog.genre(tag) != Some(None))
    }

    pub(super) fn language(&self) -> Option<&language::Language> {
        let Languages { offered, default } = &self.with.catalog.languages;
        language::settle(&self.book.languages, offered, default.as_ref())
    }

    pub(super) fn extract_again(&mut self, why: &str) -> Stepped {
        self.step = match self.uploaded.clone() {
            Some((file, since)) => Step::Extract { file, since },
            None => Step::Send,
        };
        Err(Failure::Task(why.into()))
    }
}
