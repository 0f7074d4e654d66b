//! One book's fields, in the order in which records have them.

use std::{borrow::Cow, path::Path};

use calibre_list::{
    Book,
    rows::{Extra, Format},
};
use wire::Line;

/// The value of a field.
pub(crate) enum Value<'a> {
    Text(&'a str),
    Names(&'a [&'a str]),
    Strings(&'a [String]),
    /// A list of which something was cut.
    Cut(Vec<&'a str>),
    Int(i64),
    Float(f64),
    Flag(bool),
}

/// A field with its name.
pub(crate) type Field<'a> = (&'static str, Value<'a>);

/// What is the same for all files of a book.
pub(crate) fn fields<'a>(book: &'a Book<'_>) -> Vec<Field<'a>> {
    let mut fields: Vec<Field<'a>> = Vec::with_capacity(16 + book.extras.len());
    fields.push(("title", Value::Text(&book.title)));
    fields.push(("authors", Value::Names(&book.authors)));
    fields.push(("author_sorts", Value::Names(&book.author_sorts)));
    fields.extend(book.series.map(|name| ("series", Value::Text(name))));
    fields.extend(
        book.series_index
            .map(|place| ("series_index", Value::Float(place))),
    );
    fields.push(("languages", Value::Names(&book.languages)));
    fields.push(("tags", Value::Names(&book.tags)));
    fields.push(("identifiers", Value::Strings(&book.identifiers)));
    fields.extend(book.publisher.map(|name| ("publisher", Value::Text(name))));
    fields.extend(book.rating.map(|rating| ("rating", Value::Int(rating))));
    fields.push(("uuid", Value::Text(&book.uuid)));
    fields.extend(
        book.pubdate
            .as_deref()
            .map(|at| ("pubdate", Value::Text(at))),
    );
    fields.extend(
        book.last_modified
            .as_deref()
            .map(|at| ("last_modified", Value::Text(at))),
    );
    for (name, extra) in &book.extras {
        let value = match extra {
            Extra::Text(text) => Value::Text(text),
            Extra::List(list) => Value::Strings(list),
            Extra::Int(number) => Value::Int(*number),
            Extra::Float(number) => Value::Float(*number),
            Extra::Flag(flag) => Value::Flag(*flag),
        };
        fields.push((name, value));
    }
    fields
}

/// Begins the record of one file in `line`, of which only the memory is kept.
pub(crate) fn book_file(
    line: &mut Line,
    path: &Path,
    book: &Book<'_>,
    format: &Format,
    cover: Option<&Path>,
    status: Option<&'static str>,
) {
    line.reset("book_file");
    line.path(path)
        .int("book_id", book.id)
        .text("format", &format.shown());
    if let Some(size) = format.size {
        line.int("recorded_size", size);
    }
    if let Some(cover) = cover {
        line.path_as("cover", "cover_b64", cover);
    }
    line.opt_text("status", status);
}

/// What is known of a file whose row is not to be trusted; it has no path.
pub(crate) fn known(book_id: Option<i64>, format: &Format, cover: Option<&Path>) -> Line {
    let mut line = Line::new("book_file");
    if let Some(id) = book_id {
        line.int("book_id", id);
    }
    line.text("format", &short(&format.shown()));
    if let Some(size) = format.size {
        line.int("recorded_size", size);
    }
    if let Some(cover) = cover {
        line.path_as("cover", "cover_b64", cover);
    }
    line
}

/// Puts fields into a line.
pub(crate) fn put(line: &mut Line, fields: &[Field<'_>]) {
    for (name, value) in fields {
        match value {
            Value::Text(text) => line.text(name, text),
            Value::Names(list) => line.list(name, *list),
            Value::Strings(list) => line.list(name, *list),
            Value::Cut(list) => line.list(name, list),
            Value::Int(number) => line.int(name, *number),
            Value::Float(number) => line.float(name, *number),
            Value::Flag(flag) => line.flag(name, *flag),
        };
    }
}

/// A text short enough for an error's line.
pub(crate) fn short(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}
