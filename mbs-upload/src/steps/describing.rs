//! The book completed by what the engine found and resolved.

use std::time::Instant;

use serde_json::Value;

use crate::{
    api::{extract, upload},
    metadata::wanted::Wanted,
    model::{
        failure::Failure,
        outcome::{Kind, Outcome, Refused},
    },
    steps::{Step, Stepped, UploadTask},
};

impl UploadTask<'_> {
    /// Completes the book by what the engine found, where something is missing that only it knows.
    pub(super) fn describe(&mut self, upload: i64) -> Stepped {
        let catalog = self.with.catalog;
        let series = self.book.series.as_ref();
        let known = self.book.stated
            && !self.book.authors.is_empty()
            // A language that the file itself states comes before --default-language.
            && self.book.names_a_language()
            && series.is_none_or(|series| catalog.series(&series.title).is_some())
            && self.genre_names().all(|tag| catalog.genre(tag).is_some());
        if !known {
            let row = match extract::read(self.with.api, upload) {
                Ok(row) => row,
                Err(Failure::NotFound(_)) => {
                    return self.extract_again("its row of metadata is gone");
                }
                Err(other) => return Err(other),
            };
            let hash = row.get("hash").and_then(Value::as_str);
            if hash.is_some_and(|hash| hash != self.job.content.sha1()) {
                self.step = Step::Send;
                return Err(Failure::Server(
                    "the server stored other bytes than were sent".into(),
                ));
            }
            self.learn(row.get("meta").unwrap_or(&Value::Null));
        }
        let Some(language) = self.language().map(|language| language.id) else {
            return Ok(Some(match !self.book.names_a_language() {
                true => Outcome::refused(
                    Kind::Unsupported,
                    "no language is known: --default-language",
                    Refused::Language,
                ),
                false => self.lacking_language(),
            }));
        };
        self.resolve();
        self.clock.waits(Instant::now());
        self.hold_book()?;
        self.clock.moves(Instant::now());
        let wanted = Wanted::new(&self.book, language);
        self.then(Step::Place { upload, wanted })
    }

    /// Takes over what the engine found and resolved.
    pub(super) fn learn(&mut self, meta: &Value) {
        let catalog = self.with.catalog;
        let id = |value: &Value| value.get("id").and_then(Value::as_i64);
        let proposed: Vec<String> = self.genre_names().map(String::from).collect();
        let made_up = upload::made_up_name(&self.job.content);
        self.book
            .complete(meta, &made_up, &self.job.stem(), &self.job.extension);
        let found = meta
            .get("genres")
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        let names = if self.book.stated {
            proposed
        } else {
            self.book.tags.clone()
        };
        // The engine answers each name in its place, under its own name for it.
        if names.len() == found.len() {
            for (name, genre) in names.iter().zip(found) {
                catalog.learn_genre(name, id(genre));
            }
        }
        if let (Some(series), Some(found)) = (&self.book.series, meta.get("series"))
            && let Some(id) = id(found)
        {
            catalog.learn_series(&series.title, id);
        }
    }

    /// Looks up genres and series; what is no genre is left out and noted.
    pub(super) fn resolve(&mut self) {
        let catalog = self.with.catalog;
        let mut lacking = Vec::new();
        self.genres.clear();
        for tag in self.book.tags.iter().filter(|tag| !tag.trim().is_empty()) {
            match catalog.genre(tag).flatten() {
                Some(id) if !self.genres.contains(&id) => self.genres.push(id),
                Some(_) => {}
                None => lacking.push(tag.as_str()),
            }
        }
        self.series = self
            .book
            .series
            .as_ref()
            .and_then(|series| catalog.series(&series.title));
        if !lacking.is_empty() {
            let note = format!("tags that are no genres left out: {}", lacking.join(", "));
            self.book.notes.push(note);
        }
    }
}
