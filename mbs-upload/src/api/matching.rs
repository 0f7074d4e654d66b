//! Which ebook of the server a book is, by the official client's rules: the title is the same to the
//! letter, a last name is common, and every word of the file's authors is among the ebook's.
//!
//! The official client looks at five search hits, then at an index asked in a way that only works
//! for titles of one word, and there it forgets the title. We ask the index first, in a form that
//! it understands: where it fits on one page it has every ebook of that title, and nothing else need
//! be asked. And since a file that goes to the wrong ebook is lost there, while two ebooks are
//! easily joined, an ebook of another language or another place in a series is another one.

mod same;

use serde_json::Value;

use crate::{
    api::{
        Api,
        matching::same::{best, folded, words},
        rest::segment,
    },
    metadata::{
        book::{Author, Series},
        wanted::Wanted,
    },
    model::failure::Failure,
};

/// Ebooks on a page of search results; the server gives no more.
const PAGE: usize = 100;
/// Pages that are read of one author's ebooks.
const PAGES: u64 = 50;
/// Bytes of a question in its address: some servers take 4,096 for a request's whole head.
const QUESTION: usize = 1500;

/// An ebook as lists show it.
#[derive(Clone, Debug, PartialEq)]
struct Listed {
    id: i64,
    title: String,
    authors: Vec<Author>,
    series: Option<Series>,
    language: Option<i64>,
}

/// The ebook that a book is, if the server has it.
pub fn find(api: &dyn Api, wanted: &Wanted) -> Result<Option<i64>, Failure> {
    if let Some((listed, all)) = by_title(api, wanted)? {
        let found = best(&listed, wanted);
        if found.is_some() || all {
            return Ok(found);
        }
    }
    // Too many titles begin like this one, or it cannot be asked for: search for the authors. Their
    // names find all their ebooks, while some titles find nothing (`AC/DC Live`, `3.14`).
    let query = question(words(&wanted.authors)).or_else(|| question(folded(&wanted.title)));
    let Some(query) = query else {
        return Ok(None);
    };
    for page in 1..=PAGES {
        let path = format!("/api/search/{query}?page={page}&page_size={PAGE}");
        let listed = or_none(api.get(&path))?
            .map(|answer| items(&answer))
            .unwrap_or_default();
        if let Some(id) = best(&listed, wanted) {
            return Ok(Some(id));
        }
        if listed.len() < PAGE {
            break;
        }
    }
    Ok(None)
}

/// The row of a series, in whatever letters the server has it; the same to the letter comes first.
/// Nothing also when more series begin like it than an index shows: then the server, which looks for
/// the exact title, decides.
pub fn series(api: &dyn Api, title: &str) -> Result<Option<i64>, Failure> {
    let path = format!("/api/series/index/{}", segment(&prefix(title)));
    let answer = or_none(api.get(&path))?.unwrap_or_default();
    Ok(series_like(&answer, title))
}

fn series_like(answer: &Value, title: &str) -> Option<i64> {
    let items = answer.get("items").and_then(Value::as_array)?;
    let same = items.iter().filter_map(|item| {
        let (id, theirs) = (item.get("id")?.as_i64()?, item.get("title")?.as_str()?);
        (theirs.to_lowercase() == title.to_lowercase()).then_some((theirs != title, id))
    });
    same.min().map(|(_, id)| id)
}

/// The ebooks whose titles begin like this one, and whether these are all; nothing when the index
/// cannot be asked for it.
fn by_title(api: &dyn Api, wanted: &Wanted) -> Result<Option<(Vec<Listed>, bool)>, Failure> {
    let prefix = prefix(&wanted.title);
    let answer = or_none(api.get(&format!("/api/ebooks/index/{}", segment(&prefix))))?;
    Ok(answer.map(|answer| {
        let listed = items(&answer);
        let total = answer.get("total").and_then(Value::as_u64);
        let all = total.is_some_and(|total| total <= listed.len() as u64);
        (listed, all)
    }))
}

/// A page beyond the end, or a title that cannot be a path.
fn or_none(answer: Result<Value, Failure>) -> Result<Option<Value>, Failure> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(Failure::NotFound(_)) => Ok(None),
        Err(other) => Err(other),
    }
}

/// As many of the words as an address takes, as a part of one; fewer words find more ebooks.
fn question(words: impl Iterator<Item = String>) -> Option<String> {
    let mut query = String::new();
    for word in words.map(|word| segment(&word)) {
        if query.is_empty() {
            query = word;
        } else if query.len() + 3 + word.len() <= QUESTION {
            query = query + "%20" + &word;
        }
    }
    Some(query).filter(|query| !query.is_empty())
}

/// What to ask the index for: the beginning of a title, as a pattern of LIKE. Any one character may
/// stand where there is a slash, which no part of an address can hold, or a sign that the server
/// turns into LIKE's escape sign; and for the first dot of a title that would be a folder.
fn prefix(title: &str) -> String {
    let mut pattern = String::with_capacity(title.len());
    let mut long = 0;
    for (i, c) in title.chars().enumerate() {
        long += 3 * c.len_utf8();
        if long > QUESTION {
            break;
        }
        match c {
            '/' | '＼' | '﹨' | '∖' => pattern.push('_'),
            '.' if i == 0 && matches!(title, "." | "..") => pattern.push('_'),
            '\\' | '%' | '_' => pattern.extend(['\\', c]),
            _ => pattern.push(c),
        }
    }
    pattern
}

fn items(answer: &Value) -> Vec<Listed> {
    let items = answer.get("items").and_then(Value::as_array);
    items
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .filter_map(listed)
        .collect()
}

fn listed(item: &Value) -> Option<Listed> {
    let text =
        |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(String::from);
    let author = |author: &Value| {
        let first = text(author, "first_name");
        Some(Author {
            last: text(author, "last_name")?,
            first,
        })
    };
    let series = item.get("series").and_then(|series| text(series, "title"));
    let index = item.get("series_index").and_then(Value::as_i64);
    let authors = item.get("authors").and_then(Value::as_array);
    Some(Listed {
        id: item.get("id")?.as_i64()?,
        title: text(item, "title")?,
        authors: authors
            .map_or(&[][..], Vec::as_slice)
            .iter()
            .filter_map(author)
            .collect(),
        series: series.map(|title| Series { title, index }),
        language: item.pointer("/language/id").and_then(Value::as_i64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_title_is_asked_for_literally() {
        assert_eq!(prefix("100% a_b x\\y"), "100\\% a\\_b x\\\\y");
        assert_eq!(prefix("AC/DC Live"), "AC_DC Live");
        assert_eq!(prefix("../＼"), "..__");
        assert_eq!((prefix("."), prefix("..")), ("_".into(), "_.".into()));
    }

    #[test]
    fn questions_stay_within_an_address() {
        let many = (0..500).map(|i| format!("name{i}"));
        let query = question(many).unwrap();
        assert!(query.starts_with("name0%20name1%20") && query.len() <= QUESTION);
        let long = ["ж".repeat(300), "a".into()];
        assert_eq!(question(long.into_iter()).unwrap().len(), 6 * 300);
        assert_eq!(question(std::iter::empty()), None);
        let title = "😀".repeat(256);
        let prefix = prefix(&title);
        assert!(title.starts_with(&prefix) && segment(&prefix).len() <= QUESTION);
    }

    #[test]
    fn a_series_in_other_letters_is_the_same_one() {
        let of = |titles: &[&str], title: &str| {
            let item = |(i, title): (usize, &&str)| json!({"id": i + 1, "title": title});
            let items: Vec<_> = titles.iter().enumerate().map(item).collect();
            series_like(&json!({"total": items.len(), "items": items}), title)
        };
        assert_eq!(of(&["Saga of Ages", "SÁGA"], "Sága"), Some(2));
        assert_eq!(of(&["SÁGA", "Sága"], "Sága"), Some(2));
        assert_eq!(of(&["Saga"], "Sága"), None);
        assert_eq!(series_like(&Value::Null, "S"), None);
    }

    #[test]
    fn lists_are_read_as_the_server_writes_them() {
        let answer = json!({"total": 1, "items": [{"id": 4, "title": "T", "cover": true,
            "authors": [{"id": 1, "last_name": "L"}], "language": {"id": 2, "code": "en"},
            "series": {"id": 3, "title": "S"}, "series_index": 5}]});
        let expected = Listed {
            id: 4,
            title: "T".into(),
            authors: vec![Author {
                last: "L".into(),
                first: None,
            }],
            series: Some(Series {
                title: "S".into(),
                index: Some(5),
            }),
            language: Some(2),
        };
        assert_eq!(items(&answer), [expected]);
        assert!(items(&Value::Null).is_empty());
    }
}
