//! A book ready for the server: all that identifies an ebook there, languages and series resolved.

use crate::metadata::book::{Author, Book, Series};

/// What an ebook must be like for a file to belong to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// The exact title.
    pub title: String,
    /// The authors in order.
    pub authors: Vec<Author>,
    /// The series.
    pub series: Option<Series>,
    /// The language's row.
    pub language: i64,
}

impl Wanted {
    /// This book in this language. A book without a title has not been made fit yet.
    pub fn new(book: &Book, language: i64) -> Wanted {
        Wanted {
            title: book.title.clone().unwrap_or_default(),
            authors: book.authors.clone(),
            series: book.series.clone(),
            language,
        }
    }
}
