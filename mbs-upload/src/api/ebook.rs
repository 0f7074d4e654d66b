//! An ebook of the server: made, given a file, looked at, removed again while it is empty.

use serde_json::{Value, json};

use crate::{
    api::Api,
    known::Content,
    metadata::{book::Author, wanted::Wanted},
    model::failure::Failure,
};

/// One stored file of an ebook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its row.
    pub id: i64,
    /// Its size in bytes.
    pub size: u64,
    /// Its format, an extension.
    pub format: String,
    /// Its path below the server's books.
    pub location: String,
}

/// An ebook as the server shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ebook {
    /// Who made it.
    pub created_by: Option<i64>,
    /// Its files.
    pub sources: Vec<Source>,
}

/// What came of adding a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is this source now.
    Source(i64),
    /// The server had the bytes already, where it said.
    Exists {
        /// The row of the file that it had.
        source: Option<i64>,
        /// The ebook that it belongs to.
        ebook: Option<i64>,
    },
}

/// Makes an ebook; gives its row. A series without a row of its own is made along with it.
///
/// # Errors
/// As [`Api::post`]. The server checks nothing for being unique: never repeat it without asking.
pub fn create(
    api: &dyn Api,
    wanted: &Wanted,
    series: Option<i64>,
    genres: &[i64],
) -> Result<i64, Failure> {
    match api.post("/api/ebooks", &body(wanted, series, genres)) {
        // The database was in trouble, or a row that we named is gone: it may be better next time.
        Err(Failure::Said { error, details }) if error == "Database error" => {
            Err(Failure::Server(format!("{error}: {details}")))
        }
        answer => id(&answer?),
    }
}

fn body(wanted: &Wanted, series: Option<i64>, genres: &[i64]) -> Value {
    let mut body = json!({
        "title": wanted.title,
        "language": {"id": wanted.language},
        "authors": authors(&wanted.authors),
        "genres": genres.iter().map(|id| json!({"id": id})).collect::<Vec<_>>(),
    });
    if let Some(place) = &wanted.series {
        body["series"] = match series {
            Some(id) => json!({"id": id}),
            None => json!({"title": place.title}),
        };
        if let Some(index) = place.index {
            body["series_index"] = index.into();
        }
    }
    body
}

/// Authors as the server has them; an empty first name would be another author than none.
pub fn authors(authors: &[Author]) -> Value {
    let author = |author: &Author| match &author.first {
        Some(first) => json!({"last_name": author.last, "first_name": first}),
        None => json!({"last_name": author.last}),
    };
    authors.iter().map(author).collect()
}

/// Gives an ebook the file of an upload row; the server keeps a link to `link` in place of a copy, if
/// it can.
///
/// # Errors
/// As [`Api::post`]; [`Failure::NotFound`] when either of the two is not there.
pub fn add(api: &dyn Api, ebook: i64, upload: i64, link: Option<&str>) -> Result<Added, Failure> {
    let mut body = json!({"upload_id": upload, "quality": null});
    if let Some(link) = link {
        body["use_symlink"] = true.into();
        body["original_file_path"] = link.into();
    }
    match api.post(&format!("/api/ebooks/{ebook}/add-upload"), &body) {
        Ok(answer) => Ok(Added::Source(id(&answer)?)),
        Err(Failure::Said { error, details })
            if error.eq_ignore_ascii_case("file already exists") =>
        {
            let (source, ebook) = existing(&details);
            Ok(Added::Exists { source, ebook })
        }
        Err(other) => Err(other),
    }
}

/// An ebook, or nothing when it is not there.
pub fn get(api: &dyn Api, ebook: i64) -> Result<Option<Ebook>, Failure> {
    match api.get(&format!("/api/ebooks/{ebook}")) {
        Ok(answer) => read(&answer)
            .map(Some)
            .ok_or_else(|| Failure::Server(format!("ebook {ebook}: the answer lists no sources"))),
        Err(Failure::NotFound(_)) => Ok(None),
        Err(other) => Err(other),
    }
}

/// Removes an ebook that holds no file; says whether it is gone. Only for ebooks that this run made:
/// the server would remove files along with it, so it is looked at just before.
pub fn remove_if_empty(api: &dyn Api, ebook: i64) -> Result<bool, Failure> {
    match get(api, ebook)? {
        None => Ok(true),
        Some(found) if !found.sources.is_empty() => Ok(false),
        Some(_) => match api.delete(&format!("/api/ebooks/{ebook}")) {
            Ok(_) | Err(Failure::NotFound(_)) => Ok(true),
            Err(other) => Err(other),
        },
    }
}

/// Removes one file of an ebook. Only for one that this run has just made.
pub fn remove_file(api: &dyn Api, source: i64) -> Result<(), Failure> {
    match api.delete(&format!("/api/sources/{source}")) {
        Ok(_) | Err(Failure::NotFound(_)) => Ok(()),
        Err(other) => Err(other),
    }
}

impl Ebook {
    /// Where the server keeps this file, below its books.
    pub fn location(&self, source: i64) -> Option<&str> {
        let source = self.sources.iter().find(|s| s.id == source)?;
        (!source.location.is_empty()).then_some(&source.location)
    }

    /// The file that looks like this one; its hash is not shown. The newest, if there are several.
    pub fn source_like(&self, content: &Content, extension: &str) -> Option<i64> {
        let like = |s: &&Source| s.size == content.size() && s.format == extension;
        self.sources
            .iter()
            .filter(like)
            .map(|source| source.id)
            .max()
    }
}

/// A row's number: below what JSON keeps exact, so that one can be counted on from.
pub fn row(value: Option<&Value>) -> Option<i64> {
    let number = value.and_then(Value::as_i64);
    number.filter(|number| (1..1 << 53).contains(number))
}

fn id(answer: &Value) -> Result<i64, Failure> {
    let id = row(answer.get("id"));
    id.ok_or_else(|| Failure::Server("the answer holds no id".into()))
}

fn read(answer: &Value) -> Option<Ebook> {
    let sources = answer.get("sources")?.as_array()?.iter().map(|source| {
        Some(Source {
            id: row(source.get("id"))?,
            size: source.get("size")?.as_u64()?,
            format: source.get("format")?.as_str()?.into(),
            location: source
                .get("location")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .into(),
        })
    });
    Some(Ebook {
        created_by: answer.get("created_by").and_then(Value::as_i64),
        sources: sources.collect::<Option<_>>()?,
    })
}

/// The two numbers in `Existing source 2 in ebook Title(1)`; the title may hold anything.
fn existing(details: &str) -> (Option<i64>, Option<i64>) {
    let source = details
        .strip_prefix("Existing source ")
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok());
    let ebook = details
        .trim_end()
        .strip_suffix(')')
        .and_then(|rest| rest.rsplit_once('('))
        .and_then(|(_, number)| number.parse().ok());
    (source, ebook)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::fake::Fake, metadata::book::Series};

    #[test]
    fn the_existing_file_is_found_in_the_words() {
        assert_eq!(
            existing("Existing source 2 in ebook Ru\u{10d}n\u{ed}k(1)"),
            (Some(2), Some(1))
        );
        assert_eq!(
            existing("Existing source 7 in ebook a (b)(3)(12)"),
            (Some(7), Some(12))
        );
        assert_eq!(existing("something else"), (None, None));
    }

    #[test]
    fn an_ebook_without_a_list_of_sources_is_not_taken_for_empty() {
        assert_eq!(read(&json!({"id": 1})), None);
        assert_eq!(read(&json!({"sources": [{"id": 1}]})), None);
        let answer = json!({"created_by": 1, "sources": [
            {"id": 5, "size": 10, "format": "epub"}, {"id": 6, "size": 10, "format": "pdf"}]});
        let ebook = read(&answer).unwrap();
        let content = Content::new(&"a".repeat(40), 10).unwrap();
        assert_eq!(ebook.source_like(&content, "epub"), Some(5));
        assert_eq!(ebook.source_like(&content, "mobi"), None);
        let larger = Content::new(&"a".repeat(40), 11).unwrap();
        assert_eq!(ebook.source_like(&larger, "epub"), None);
    }

    fn wanted() -> Wanted {
        Wanted {
            title: "T".into(),
            authors: vec![Author {
                last: "A".into(),
                first: None,
            }],
            series: Some(Series {
                title: "S".into(),
                index: Some(0),
            }),
            language: 2,
        }
    }

    #[test]
    fn the_body_is_what_the_server_takes() {
        let wanted = wanted();
        assert_eq!(
            body(&wanted, None, &[14]),
            json!({"title": "T", "language": {"id": 2}, "authors": [{"last_name": "A"}],
                   "genres": [{"id": 14}], "series": {"title": "S"}, "series_index": 0})
        );
        assert_eq!(body(&wanted, Some(7), &[])["series"], json!({"id": 7}));
    }

    #[test]
    fn only_an_ebook_that_is_shown_empty_is_removed() {
        let path = "/api/ebooks/5";
        let (get, delete) = (format!("GET {path}"), format!("DELETE {path}"));
        let shown = |sources| Ok(json!({"sources": sources}));
        let unknown = || Failure::NoAnswer("connection broken".into());
        let full = json!([{"id": 1, "size": 9, "format": "epub"}]);
        for (answer, removed, asked) in [
            (shown(json!([])), Ok(true), 2),
            (shown(full), Ok(false), 1),
            (Err(Failure::NotFound("404".into())), Ok(true), 1),
            (Err(unknown()), Err(unknown()), 1),
        ] {
            let server = Fake::default()
                .on(&get, answer)
                .on(&delete, Ok(Value::Null));
            assert_eq!(remove_if_empty(&server, 5), removed);
            assert_eq!(server.asked().len(), asked, "{:?}", server.asked());
        }
        // What does not list its files is not taken for empty.
        let silent = Fake::default().on(&get, Ok(json!({"id": 5})));
        assert!(remove_if_empty(&silent, 5).is_err());
        assert_eq!(silent.asked(), [get]);
    }

    #[test]
    fn a_database_in_trouble_leaves_a_creation_unconfirmed() {
        let said = |error: &str| {
            let (error, details) = (error.into(), "connection closed".into());
            Err(Failure::Said { error, details })
        };
        let made = |answer| {
            let server = Fake::default().on("POST /api/ebooks", answer);
            create(&server, &wanted(), None, &[])
        };
        assert_eq!(made(Ok(json!({"id": 7}))), Ok(7));
        for (error, unconfirmed) in [("Database error", true), ("title missing", false)] {
            let failure = made(said(error)).unwrap_err();
            assert_eq!(failure.is_unconfirmed(), unconfirmed, "{error}");
        }
        assert!(made(Ok(json!({}))).unwrap_err().is_unconfirmed());
    }
}
