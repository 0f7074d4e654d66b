//! The book is completed by what the engine found, and resolved to the server's rows.

use serde_json::Value;

use crate::{
    api::{catalog::Catalog, extract, upload},
    metadata::{
        book::Book,
        language::{self, Languages},
    },
    model::{
        failure::Failure,
        job::Job,
        outcome::{Kind, Outcome, Refused},
    },
    steps::{Tools, check::lacking_language, extract::genre_names},
};

/// The server's rows for what a book names.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) genres: Vec<i64>,
    /// Where the series is known to be there.
    pub(super) series: Option<i64>,
}

/// What is known of the book now.
pub(super) enum Described {
    /// Its language, and its rows.
    Whole(i64, Rows),
    /// No language of it can be on the server.
    Ended(Outcome),
    /// The row of its metadata is gone.
    RowGone,
    /// The row is that of other bytes.
    OtherBytes,
}

/// Completes `book` by the row `upload`, where something is missing that only the engine knows.
pub(super) fn describe(
    with: &Tools<'_>,
    job: &Job,
    book: &mut Book,
    upload: i64,
) -> Result<Described, Failure> {
    if !is_known(with.catalog, book) {
        let row = match extract::read(with.api, upload) {
            Ok(row) => row,
            Err(Failure::NotFound(_)) => return Ok(Described::RowGone),
            Err(other) => return Err(other),
        };
        let hash = row.get("hash").and_then(Value::as_str);
        if hash.is_some_and(|hash| hash != job.content.sha1()) {
            return Ok(Described::OtherBytes);
        }
        learn(
            with.catalog,
            job,
            book,
            row.get("meta").unwrap_or(&Value::Null),
        );
    }
    let Languages { offered, default } = &with.catalog.languages;
    let language = language::settle(&book.languages, offered, default.as_ref());
    Ok(match language {
        Some(language) => Described::Whole(language.id, resolve(with.catalog, book)),
        None if book.names_a_language() => Described::Ended(lacking_language(with, book)),
        None => Described::Ended(Outcome::refused(
            Kind::Unsupported,
            "no language is known: --default-language",
            Refused::Language,
        )),
    })
}

/// Is nothing missing that only the engine knows? A language that the file itself states comes
/// before --default-language.
fn is_known(catalog: &Catalog, book: &Book) -> bool {
    let series = book.series.as_ref();
    book.stated
        && !book.authors.is_empty()
        && book.names_a_language()
        && series.is_none_or(|series| catalog.series(&series.title).is_some())
        && genre_names(catalog, book).all(|tag| catalog.genre(tag).is_some())
}

/// Takes over what the engine found and resolved.
fn learn(catalog: &Catalog, job: &Job, book: &mut Book, meta: &Value) {
    let id = |value: &Value| value.get("id").and_then(Value::as_i64);
    let proposed: Vec<String> = genre_names(catalog, book).map(String::from).collect();
    let made_up = upload::made_up_name(&job.content);
    book.complete(meta, &made_up, &job.stem(), &job.extension);
    let found = meta.get("genres").and_then(Value::as_array);
    let found = found.map_or(&[][..], Vec::as_slice);
    let names = match book.stated {
        true => proposed,
        false => book.tags.clone(),
    };
    // The engine answers each name in its place, under its own name for it.
    if names.len() == found.len() {
        for (name, genre) in names.iter().zip(found) {
            catalog.learn_genre(name, id(genre));
        }
    }
    if let (Some(series), Some(found)) = (&book.series, meta.get("series"))
        && let Some(id) = id(found)
    {
        catalog.learn_series(&series.title, id);
    }
}

/// Looks up genres and series; a tag that is no genre is left out and noted.
fn resolve(catalog: &Catalog, book: &mut Book) -> Rows {
    let (mut genres, mut lacking) = (Vec::new(), Vec::new());
    for tag in book.tags.iter().filter(|tag| !tag.trim().is_empty()) {
        match catalog.genre(tag).flatten() {
            Some(id) if !genres.contains(&id) => genres.push(id),
            Some(_) => {}
            None => lacking.push(tag.as_str()),
        }
    }
    if !lacking.is_empty() {
        let note = format!("tags that are no genres left out: {}", lacking.join(", "));
        book.notes.push(note);
    }
    let series = book.series.as_ref();
    let series = series.and_then(|series| catalog.series(&series.title));
    Rows { genres, series }
}
