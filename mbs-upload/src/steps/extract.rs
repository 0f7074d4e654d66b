//! The engine looks into the uploaded file and makes its row.

use serde_json::{Value, json};

use crate::{
    api::{catalog::Catalog, ebook, extract::Since},
    metadata::{
        book::Book,
        language::{self, Choice},
    },
    model::{
        failure::Failure,
        outcome::{Kind, Outcome, Refused},
    },
    retry::timeout::Clock,
    steps::Tools,
};

/// What became of the metadata task.
pub(super) enum Extracted {
    /// It made this row.
    Row(i64),
    /// The engine cannot deal with such files.
    Ended(Outcome),
    /// The uploaded file is gone: somebody cleaned up.
    FileGone(Failure),
}

/// Has the engine look into `file`, unless an earlier try that is `unconfirmed` did.
pub(super) fn extract(
    with: &Tools<'_>,
    book: &Book,
    (file, since): (&str, Since),
    unconfirmed: bool,
    clock: &mut Clock,
) -> Result<Extracted, Failure> {
    let extractor = with.extractor();
    if unconfirmed && let Some(row) = extractor.find(file, since)? {
        return Ok(Extracted::Row(row));
    }
    let meta = proposal(with.catalog, book);
    let task = with.memory.concurrent.task();
    match extractor.extract(file, &meta, since, clock) {
        Ok(row) => {
            task.made(row);
            Ok(Extracted::Row(row))
        }
        // It lacks a format of that extension, or LibreOffice to convert a `.doc`.
        Err(Failure::Task(why)) if why.contains("format_id") || why.contains("soffice") => {
            let why = format!("metadata task: {why}");
            let outcome = Outcome::refused(Kind::Unsupported, why, Refused::Engine);
            Ok(Extracted::Ended(outcome))
        }
        Err(Failure::Task(why)) if why.contains("does not exist") => {
            Ok(Extracted::FileGone(Failure::Task(why)))
        }
        Err(other) => Err(other),
    }
}

/// The metadata that the engine is to take instead of what it finds in the file.
fn proposal(catalog: &Catalog, book: &Book) -> Value {
    let mut meta = json!({});
    if let Some(title) = &book.title {
        meta["title"] = title.as_str().into();
    }
    if !book.authors.is_empty() {
        meta["authors"] = ebook::authors(&book.authors);
    }
    if let Choice::Found(language) = language::choose(&book.languages, &catalog.languages.offered) {
        meta["language"] = json!({"code": language.code});
    }
    if let Some(series) = &book.series {
        meta["series"] = json!({"title": series.title});
        if let Some(index) = series.index {
            meta["series_index"] = index.into();
        }
    }
    if book.stated {
        let names = genre_names(catalog, book);
        meta["genres"] = names.map(|name| json!({"name": name})).collect();
    }
    meta
}

/// The tags that are genres or may be.
pub(super) fn genre_names<'a>(
    catalog: &'a Catalog,
    book: &'a Book,
) -> impl Iterator<Item = &'a str> {
    let tags = book.tags.iter().map(|tag| tag.trim());
    tags.filter(|tag| !tag.is_empty() && catalog.genre(tag) != Some(None))
}
