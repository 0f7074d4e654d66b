//! A book's metadata as it is to be on the server, made from a record's fields or from what the
//! server found in the file.

use serde_json::Value;
use wire::Record;

use crate::metadata::{fields::FieldReader, fit, language, names};

/// One author.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Author {
    /// Last name, or the whole of a name in one piece.
    pub last: String,
    /// First name; never empty, since the server takes an empty one for another author.
    pub first: Option<String>,
}

/// The series that a book is in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Series {
    /// Its title.
    pub title: String,
    /// The book's place in it, a whole number here.
    pub index: Option<i64>,
}

/// What the server is to know of a book.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Book {
    /// Does the record tell the metadata? Then what it leaves out is not taken from the file:
    /// a book without series in Calibre has none.
    pub stated: bool,
    /// The title; absent until the server has looked into the file.
    pub title: Option<String>,
    /// Authors in order.
    pub authors: Vec<Author>,
    /// Series and index.
    pub series: Option<Series>,
    /// Languages as the record has them, the most important first.
    pub languages: Vec<String>,
    /// Tags as the record has them.
    pub tags: Vec<String>,
    /// What was cut, mapped or left out on the way.
    pub notes: Vec<String>,
}

impl Book {
    /// From a record of calibre-list or hash-files. `stem` is the file's name without extension, the
    /// title of last resort; `extension` matters for the length of the server's file names.
    pub fn of(record: &Record, stem: &str, extension: &str) -> Book {
        let mut fields = FieldReader::new(record);
        let title = fields.text("title");
        let (names, sorts) = (fields.list("authors"), fields.list("author_sorts"));
        let mut book = Book {
            stated: title.is_some(),
            title,
            authors: names::authors(&names, &sorts, &mut fields.notes),
            series: fields.series(),
            languages: fields.list("languages"),
            tags: fields.list("tags"),
            ..Book::default()
        };
        let truncated = fields.list("truncated");
        book.notes = fields.notes;
        let cut: Vec<_> = truncated
            .into_iter()
            .filter(|name| ["title", "authors", "series", "tags"].contains(&name.as_str()))
            .collect();
        if !cut.is_empty() {
            book.notes
                .push(format!("cut already in the input: {}", cut.join(", ")));
        }
        if book.stated {
            fit::make_fit(&mut book, stem, extension);
        }
        book
    }

    /// Fills in what the server found in the file, `meta` of its upload row, where the record did
    /// not tell it. `made_up` is the name under which the file was sent: the server takes it for
    /// the title where the file has none.
    pub fn complete(&mut self, meta: &Value, made_up: &str, stem: &str, extension: &str) {
        let text =
            |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(String::from);
        if self.title.is_none() {
            self.title = text(meta, "title").filter(|title| title != made_up);
        }
        if self.authors.is_empty() {
            let found = meta
                .get("authors")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            self.authors = found
                .iter()
                .filter_map(|author| {
                    let first = text(author, "first_name");
                    Some(Author {
                        last: text(author, "last_name")?,
                        first,
                    })
                })
                .collect();
        }
        if !self.names_a_language() {
            let language = meta.get("language");
            self.languages
                .extend(language.and_then(|language| text(language, "code")));
        }
        if !self.stated {
            let series = meta.get("series").and_then(|series| text(series, "title"));
            let index = meta.get("series_index").and_then(Value::as_i64);
            self.series = series.map(|title| Series { title, index });
            let genres = meta
                .get("genres")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            self.tags = genres
                .iter()
                .filter_map(|genre| text(genre, "name"))
                .collect();
        }
        fit::make_fit(self, stem, extension);
    }

    /// Is a language named? Calibre's `und` and its like name none.
    pub fn names_a_language(&self) -> bool {
        self.languages
            .iter()
            .any(|code| language::is_language(code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn book(fields: Value) -> Book {
        let mut fields = fields;
        fields["type"] = "file_hash".into();
        let record = Record::parse(fields.to_string().into_bytes()).unwrap();
        Book::of(&record, "stem", "epub")
    }

    fn author(last: &str, first: Option<&str>) -> Author {
        Author {
            last: last.into(),
            first: first.map(Into::into),
        }
    }

    #[test]
    fn authors_are_split_at_the_first_comma_of_their_sort_form() {
        let book = book(json!({
            "title": "T",
            "authors": ["Karel Čapek", "Homer", "World Health Organization", "J. R. R. Tolkien", "A B", "A B"],
            "author_sorts": ["Čapek, Karel", "Homer", "World Health Organization", "Tolkien, J. R. R."],
        }));
        assert_eq!(
            book.authors,
            [
                author("Čapek", Some("Karel")),
                author("Homer", None),
                author("World Health Organization", None),
                author("Tolkien", Some("J. R. R.")),
                author("B", Some("A")),
            ]
        );
    }

    #[test]
    fn bug_b12_a_series_index_is_sent_as_a_whole_number() {
        let series =
            |index: Value| book(json!({"title": "T", "series": "S", "series_index": index}));
        assert_eq!(series(json!(3.0)).series.unwrap().index, Some(3));
        assert!(series(json!(3.0)).notes.is_empty());
        assert_eq!(series(json!(1.5)).series.unwrap().index, Some(1));
        assert_eq!(series(json!(1.5)).notes, ["series index 1.5 cut to 1"]);
        assert_eq!(series(json!(1e12)).series.unwrap().index, None);
        assert_eq!(series(json!(0)).series.unwrap().index, Some(0));
    }

    #[test]
    fn hostile_names_stay_inside_the_store() {
        let hostile = book(json!({
            "title": "a\u{0}b\nc", "authors": ["..", "???", "Good Name"], "series": ".."
        }));
        assert_eq!(hostile.title.as_deref(), Some("ab c"));
        assert_eq!(
            hostile.authors,
            [author("Unknown", None), author("Name", Some("Good"))]
        );
        assert_eq!(hostile.series, None);
        assert_eq!(hostile.notes.len(), 4);
        let blank = book(json!({"title": " \t", "authors": []}));
        assert_eq!(blank.title.as_deref(), Some("stem"));
        let long = book(json!({"title": "x".repeat(10_000), "authors": ["y".repeat(500)]}));
        assert!(long.title.unwrap().len() < 256 && long.authors[0].last.len() <= 128);
    }

    #[test]
    fn what_calibre_says_is_not_overruled_by_the_file() {
        let found = json!({
            "title": "0a1b", "authors": [{"last_name": "X", "id": 3}], "language": {"code": "en"},
            "series": {"title": "S"}, "series_index": 2, "genres": [{"name": "G"}],
        });
        let mut fields = book(json!({"title": "T", "authors": ["A"], "tags": [], "languages": []}));
        fields.complete(&found, "0a1b", "stem", "epub");
        assert_eq!(
            (fields.title.as_deref(), fields.series, fields.tags.len()),
            (Some("T"), None, 0)
        );
        assert_eq!(fields.languages, ["en"]);
        let mut bare = book(json!({}));
        bare.complete(&found, "0a1b", "stem", "epub");
        assert_eq!(bare.title.as_deref(), Some("stem"));
        assert_eq!(bare.authors, [author("X", None)]);
        assert_eq!(
            bare.series,
            Some(Series {
                title: "S".into(),
                index: Some(2)
            })
        );
        assert_eq!(bare.tags, ["G"]);
        // Also one that the server lacks, which comes without a row.
        let mut foreign = book(json!({}));
        foreign.complete(
            &json!({"language": {"code": "jpn"}}),
            "0a1b",
            "stem",
            "epub",
        );
        assert!(foreign.names_a_language() && foreign.languages == ["jpn"]);
    }
}
