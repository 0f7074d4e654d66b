//! A book about to be put into a library.

/// What Calibre knows of one book, and the bytes of its files.
#[derive(Clone, Debug, Default)]
pub struct Book {
    /// The title.
    pub title: String,
    /// Authors in order: name, and how it is sorted.
    pub authors: Vec<(String, String)>,
    /// Series and the place in it.
    pub series: Option<(String, f64)>,
    /// Codes of three letters.
    pub languages: Vec<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Identifiers: type and value.
    pub identifiers: Vec<(String, String)>,
    /// The publisher.
    pub publisher: Option<String>,
    /// 0 to 10.
    pub rating: Option<i64>,
    /// As the database has it; Calibre's "unknown" unless given.
    pub pubdate: Option<String>,
    /// The comments, HTML.
    pub comments: Option<String>,
    /// The bytes of `cover.jpg`.
    pub cover: Option<Vec<u8>>,
    /// Formats in upper case, and the bytes of their files.
    pub formats: Vec<(String, Vec<u8>)>,
}

impl Book {
    /// A book that has a title only.
    pub fn new(title: impl Into<String>) -> Book {
        Book {
            title: title.into(),
            ..Book::default()
        }
    }

    /// One more author, sorted by the last word of the name.
    pub fn by(mut self, name: &str) -> Book {
        let sort = match name.rsplit_once(' ') {
            Some((first, last)) => format!("{last}, {first}"),
            None => name.into(),
        };
        self.authors.push((name.into(), sort));
        self
    }

    /// One more language.
    pub fn language(mut self, code: &str) -> Book {
        self.languages.push(code.into());
        self
    }

    /// The series and the place in it.
    pub fn series(mut self, name: &str, index: f64) -> Book {
        self.series = Some((name.into(), index));
        self
    }

    /// More tags.
    pub fn tags(mut self, tags: &[&str]) -> Book {
        self.tags.extend(tags.iter().map(|tag| (*tag).into()));
        self
    }

    /// One more file.
    pub fn file(mut self, format: &str, bytes: impl Into<Vec<u8>>) -> Book {
        self.formats.push((format.into(), bytes.into()));
        self
    }
}
