//! A book's metadata as it is to be on the server, made from a record's fields or from what the
//! server found in the file.

use serde_json::Value;
use sha1::{Digest, Sha1};
use wire::Record;

use crate::{
    language,
    naming::{self, Cut},
};

/// Characters in the server's columns for a title and a series.
const TITLE: usize = 256;
/// Characters in its columns for each half of a name.
const NAME: usize = 128;

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
        let text = |name| record.text(name).map(|text| text.into_owned());
        let list = |name| record.get::<Vec<String>>(name).unwrap_or_default();
        let title = text("title");
        let mut book = Book {
            stated: title.is_some(),
            title,
            authors: authors(&list("authors"), &list("author_sorts")),
            languages: list("languages"),
            tags: list("tags").into_iter().map(without_controls).collect(),
            ..Book::default()
        };
        if let Some(title) = text("series") {
            let index = record.get::<f64>("series_index");
            book.series = Some(Series {
                title,
                index: index.and_then(whole),
            });
            if let Some(index) =
                index.filter(|&index| whole(index).is_none_or(|i| i as f64 != index))
            {
                book.notes.push(match whole(index) {
                    Some(whole) => format!("series index {index} cut to {whole}"),
                    None => "series index left out: too large".into(),
                });
            }
        }
        let cut: Vec<_> = list("truncated")
            .into_iter()
            .filter(|name| ["title", "authors", "series", "tags"].contains(&name.as_str()))
            .collect();
        if !cut.is_empty() {
            book.notes
                .push(format!("cut already in the input: {}", cut.join(", ")));
        }
        if book.stated {
            book.make_fit(stem, extension);
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
        self.make_fit(stem, extension);
    }

    /// Makes the metadata such that the server's columns and disk take it, and notes each change.
    fn make_fit(&mut self, stem: &str, extension: &str) {
        let whole = without_controls(self.title.clone().unwrap_or_default());
        let notes = &mut self.notes;
        let title = clean(self.title.take().unwrap_or_default(), "title", TITLE, notes);
        self.title = Some(match title.trim().is_empty() {
            false => title,
            true => {
                notes.push("no title: the file's name taken".into());
                let stem = clean(stem.into(), "title", TITLE, notes);
                if stem.trim().is_empty() {
                    "Unknown".into()
                } else {
                    stem
                }
            }
        });
        self.authors = std::mem::take(&mut self.authors)
            .into_iter()
            .filter_map(|author| fit_author(author, notes))
            .collect();
        without_repeats(&mut self.authors);
        self.series = self.series.take().and_then(|series| {
            let title = clean(series.title, "series", TITLE, notes);
            if title.trim().is_empty() || naming::is_no_folder(&title) {
                notes.push(format!(
                    "series {title:?} left out: no folder can have that name"
                ));
                return None;
            }
            Some(Series { title, ..series })
        });
        let cuts = naming::shorten(self, extension);
        if cuts.contains(&Cut::Title) || whole.chars().count() > TITLE {
            self.mark_cut(&whole, extension);
        }
        for cut in cuts {
            self.notes.push(match cut {
                Cut::Title => "title cut: the server's file name would be too long".into(),
                Cut::Series => "series cut: the server's file name would be too long".into(),
                Cut::Authors => "authors cut: the server's file name would be too long".into(),
            });
        }
    }
}

impl Book {
    /// Is a language named? Calibre's `und` and its like name none.
    pub fn names_a_language(&self) -> bool {
        self.languages
            .iter()
            .any(|code| language::is_language(code))
    }

    /// Ends a cut title with a mark of the whole one. Long titles may begin alike (`…, Part I`,
    /// `…, Part II`); cut to the same text, two books would become one ebook.
    fn mark_cut(&mut self, whole: &str, extension: &str) {
        let digest = Sha1::digest(whole);
        let mark = format!(" [{:02x}{:02x}{:02x}]", digest[0], digest[1], digest[2]);
        let mut kept = self.title.take().unwrap_or_default();
        loop {
            let title = format!("{}{mark}", kept.trim_end());
            let short = title.chars().count() <= TITLE;
            self.title = Some(title);
            if kept.pop().is_none() || short && naming::fits(self, extension) {
                return;
            }
        }
    }
}

/// A whole number as the server's column takes it, the fraction cut off.
fn whole(index: f64) -> Option<i64> {
    let whole = index.trunc();
    (whole.is_finite() && whole.abs() <= f64::from(i32::MAX)).then_some(whole as i64)
}

/// Names beside their sort forms. A sort form is split at its first comma, and without one it is a
/// name in one piece; a name without a sort form is taken apart as the server does it.
fn authors(names: &[String], sorts: &[String]) -> Vec<Author> {
    names
        .iter()
        .enumerate()
        .map(
            |(i, name)| match sorts.get(i).filter(|sort| !sort.trim().is_empty()) {
                Some(sort) => split(sort).unwrap_or_else(|| in_one_piece(sort)),
                None => split(name).unwrap_or_else(|| {
                    match name.trim().rsplit_once(char::is_whitespace) {
                        Some((first, last)) => Author {
                            last: last.into(),
                            first: Some(first.trim().into()),
                        },
                        None => in_one_piece(name),
                    }
                }),
            },
        )
        .collect()
}

fn split(sort: &str) -> Option<Author> {
    let (last, first) = sort.split_once(',')?;
    Some(Author {
        last: last.trim().into(),
        first: Some(first.trim().into()),
    })
}

fn in_one_piece(name: &str) -> Author {
    Author {
        last: name.trim().into(),
        first: None,
    }
}

fn fit_author(author: Author, notes: &mut Vec<String>) -> Option<Author> {
    let blank = |text: &String| text.trim().is_empty();
    let mut last = clean(author.last, "author", NAME, notes).trim().to_string();
    let first = author
        .first
        .map(|first| clean(first, "author", NAME, notes).trim().to_string());
    let mut first = first.filter(|first| !blank(first));
    if blank(&last) {
        last = first.take()?;
    }
    let author = Author { last, first };
    let folder = naming::lone_author(&author);
    if naming::is_no_folder(&folder) {
        notes.push(format!(
            "author {folder:?} sent as Unknown: no folder can have that name"
        ));
        return Some(Author {
            last: "Unknown".into(),
            first: None,
        });
    }
    Some(author)
}

fn without_repeats(authors: &mut Vec<Author>) {
    let mut seen = std::collections::HashSet::new();
    authors.retain(|author| seen.insert(author.clone()));
}

/// Line breaks and tabs become blanks, all other control characters go; PostgreSQL takes no NUL.
fn without_controls(text: String) -> String {
    let blank = |c: char| matches!(c, '\t' | '\n' | '\r');
    let kept = |&c: &char| blank(c) || !c.is_control();
    match text.contains(char::is_control) {
        true => text
            .chars()
            .filter(kept)
            .map(|c| if blank(c) { ' ' } else { c })
            .collect(),
        false => text,
    }
}

/// Text without NUL and control characters (line breaks and tabs become blanks), without slashes in
/// disguise, and no longer than `most` characters.
fn clean(text: String, what: &str, most: usize, notes: &mut Vec<String>) -> String {
    let mut text = text;
    if text.contains(char::is_control) {
        text = without_controls(text);
        notes.push(format!("{what}: control characters left out"));
    }
    if let Some(safe) = naming::without_hidden_slashes(&text) {
        text = safe;
        notes.push(format!(
            "{what}: a sign that decomposes to a slash replaced"
        ));
    }
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.truncate(end);
        text.truncate(text.trim_end().len());
        notes.push(format!("{what} cut to {most} characters"));
    }
    text
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
            "author_sorts": ["Čapek, Karel", "Homer", "World Health Organization", "Tolkien, J. R. R., Sir"],
        }));
        assert_eq!(
            book.authors,
            [
                author("Čapek", Some("Karel")),
                author("Homer", None),
                author("World Health Organization", None),
                author("Tolkien", Some("J. R. R., Sir")),
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
        let mut told = book(json!({"title": "T", "authors": ["A"], "tags": [], "languages": []}));
        told.complete(&found, "0a1b", "stem", "epub");
        assert_eq!(
            (told.title.as_deref(), told.series, told.tags.len()),
            (Some("T"), None, 0)
        );
        assert_eq!(told.languages, ["en"]);
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
    }
}
