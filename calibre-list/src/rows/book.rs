//! One book as the database has it.

use super::Extra;

/// A book and its files. Names are borrowed from the arenas of [`Names`](super::Names).
#[derive(Debug, Default)]
pub struct Book<'n> {
    /// Calibre's number of the book.
    pub id: i64,
    /// The title.
    pub title: String,
    /// The folder below the library, its exact bytes; not checked to be safe.
    pub path: Vec<u8>,
    /// The uuid, empty where there is none.
    pub uuid: String,
    /// Authors in the book's order.
    pub authors: Vec<&'n str>,
    /// How each of them is sorted; empty where that is not known.
    pub author_sorts: Vec<&'n str>,
    /// The series.
    pub series: Option<&'n str>,
    /// The place in the series; only with one.
    pub series_index: Option<f64>,
    /// Languages in the book's order.
    pub languages: Vec<&'n str>,
    /// Tags in the order in which they were given.
    pub tags: Vec<&'n str>,
    /// Identifiers as `type:value`, by type.
    pub identifiers: Vec<String>,
    /// The publisher.
    pub publisher: Option<&'n str>,
    /// 0 to 10.
    pub rating: Option<i64>,
    /// RFC 3339; `None` when it is Calibre's "unknown".
    pub pubdate: Option<String>,
    /// RFC 3339.
    pub last_modified: Option<String>,
    /// Has it a `cover.jpg`?
    pub has_cover: bool,
    /// Its files, by format.
    pub formats: Vec<Format>,
    /// What only `--fields all` shows, by the name of its field.
    pub extras: Vec<(&'static str, Extra)>,
}

/// One file of a book: a row of `data`.
#[derive(Debug, Default)]
pub struct Format {
    /// The format's exact bytes, in whichever case they are.
    pub format: Vec<u8>,
    /// The file's name without its extension, its exact bytes; not checked to be safe.
    pub name: Vec<u8>,
    /// The size when it was added.
    pub size: Option<i64>,
}

impl Format {
    /// The format in lower case, to be shown.
    pub fn shown(&self) -> String {
        let lower = crate::place::lower(&self.format);
        String::from_utf8(lower)
            .unwrap_or_else(|wrong| String::from_utf8_lossy(wrong.as_bytes()).into_owned())
    }
}
