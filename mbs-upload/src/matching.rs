//! Which ebook of the server a book is, by the official client's rules: the title is the same to the
//! letter, a last name is common, and every word of the file's authors is among the ebook's.
//!
//! The official client looks at five search hits, then at an index asked in a way that only works
//! for titles of one word, and there it forgets the title. We ask the index first, in a form that
//! it understands: where it fits on one page it has every ebook of that title, and nothing else need
//! be asked. And since a file that goes to the wrong ebook is lost there, while two ebooks are
//! easily joined, an ebook of another language or another place in a series is another one.

use std::collections::HashSet;

use serde_json::Value;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use crate::{
    api::{Api, segment},
    book::{Author, Series},
    failure::Failure,
    wanted::Wanted,
};

/// Ebooks on a page of search results; the server gives no more.
const PAGE: usize = 100;
/// Pages that are read of one author's ebooks.
const PAGES: u64 = 50;

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
///
/// # Errors
/// As [`Api::get`].
pub fn find(api: &Api, wanted: &Wanted) -> Result<Option<i64>, Failure> {
    if let Some((listed, all)) = by_title(api, wanted)? {
        let found = best(&listed, wanted);
        if found.is_some() || all {
            return Ok(found);
        }
    }
    // Too many titles begin like this one, or it cannot be asked for: search for the authors. Their
    // names find all their ebooks, while some titles find nothing (`AC/DC Live`, `3.14`).
    let mut query: Vec<String> = words(&wanted.authors).collect();
    if query.is_empty() {
        query = folded(&wanted.title).collect();
    }
    if query.is_empty() {
        return Ok(None);
    }
    let query = segment(&query.join(" "));
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

/// All ebooks that this book could be, as far as one page of the index shows them.
///
/// # Errors
/// As [`Api::get`].
pub fn twins(api: &Api, wanted: &Wanted) -> Result<Vec<i64>, Failure> {
    let (listed, _) = by_title(api, wanted)?.unwrap_or_default();
    Ok(listed
        .iter()
        .filter(|ebook| is(ebook, wanted))
        .map(|ebook| ebook.id)
        .collect())
}

/// The ebooks whose titles begin like this one, and whether these are all; nothing when the index
/// cannot be asked for it.
fn by_title(api: &Api, wanted: &Wanted) -> Result<Option<(Vec<Listed>, bool)>, Failure> {
    let Some(prefix) = prefix(&wanted.title) else {
        return Ok(None);
    };
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

/// What to ask the index for: the beginning of a title, as a pattern of LIKE. A slash ends it, as do
/// the signs that the server turns into LIKE's escape sign; dots alone are no path.
fn prefix(title: &str) -> Option<String> {
    let end = title
        .find(['/', '\0', '＼', '﹨', '∖'])
        .unwrap_or(title.len());
    let start = &title[..end];
    if start.chars().all(|c| c == '.' || c.is_whitespace()) {
        return None;
    }
    let mut pattern = String::with_capacity(end);
    for c in start.chars() {
        if matches!(c, '\\' | '%' | '_') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    Some(pattern)
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

/// The ebook to take when several would do: the one with the same authors, else the oldest.
fn best(listed: &[Listed], wanted: &Wanted) -> Option<i64> {
    let same: HashSet<_> = wanted.authors.iter().collect();
    listed
        .iter()
        .filter(|ebook| is(ebook, wanted))
        .min_by_key(|ebook| {
            (
                ebook.authors.iter().collect::<HashSet<_>>() != same,
                ebook.id,
            )
        })
        .map(|ebook| ebook.id)
}

fn is(ebook: &Listed, wanted: &Wanted) -> bool {
    ebook.title == wanted.title
        && share_an_author(&ebook.authors, &wanted.authors)
        && ebook
            .language
            .is_none_or(|language| language == wanted.language)
        && same_place(ebook.series.as_ref(), wanted.series.as_ref())
}

fn share_an_author(theirs: &[Author], ours: &[Author]) -> bool {
    if theirs.is_empty() || ours.is_empty() {
        return theirs.is_empty() && ours.is_empty();
    }
    let has: Vec<String> = words(theirs).collect();
    let common = ours.iter().any(|a| theirs.iter().any(|b| a.last == b.last));
    common && words(ours).all(|word| has.iter().any(|other| other.starts_with(&word)))
}

/// A series in other letters is the same one; a missing index is stored as none but filed as 0.
fn same_place(a: Option<&Series>, b: Option<&Series>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => {
            a.title.to_lowercase() == b.title.to_lowercase()
                && a.index.unwrap_or(0) == b.index.unwrap_or(0)
        }
        _ => false,
    }
}

fn words(authors: &[Author]) -> impl Iterator<Item = String> + '_ {
    let names = authors
        .iter()
        .flat_map(|author| author.first.iter().chain([&author.last]));
    names.flat_map(|name| folded(name).collect::<Vec<_>>())
}

/// The words of a text as the server's search compares them: small letters without marks. All that
/// is neither letter nor digit separates, which also keeps the query clear of the signs on which
/// the server's own clean-up fails.
fn folded(text: &str) -> impl Iterator<Item = String> {
    let plain: String = text
        .nfd()
        .filter(|&c| !is_combining_mark(c))
        .nfc()
        .flat_map(char::to_lowercase)
        .map(|c| if c.is_alphanumeric() { c } else { ' ' })
        .collect();
    plain
        .split_whitespace()
        .map(String::from)
        .collect::<Vec<_>>()
        .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn author(first: &str, last: &str) -> Author {
        Author {
            last: last.into(),
            first: Some(first.into()).filter(|f: &String| !f.is_empty()),
        }
    }

    fn wanted(title: &str, authors: &[Author]) -> Wanted {
        Wanted {
            title: title.into(),
            authors: authors.into(),
            series: None,
            language: 2,
        }
    }

    fn ebook(id: i64, title: &str, authors: &[Author]) -> Listed {
        Listed {
            id,
            title: title.into(),
            authors: authors.into(),
            series: None,
            language: Some(2),
        }
    }

    #[test]
    fn a_title_is_asked_for_literally() {
        assert_eq!(prefix("100% a_b x\\y").unwrap(), "100\\% a\\_b x\\\\y");
        assert_eq!(prefix("AC/DC Live").unwrap(), "AC");
        assert_eq!(prefix(".."), None);
        assert_eq!(prefix("/x"), None);
    }

    #[test]
    fn the_title_decides_and_a_last_name_must_be_common() {
        let c = wanted("C", &[author("Ann", "Author")]);
        assert_eq!(best(&[ebook(1, "C One", &c.authors)], &c), None);
        assert_eq!(best(&[ebook(1, "c", &c.authors)], &c), None);
        assert_eq!(best(&[ebook(1, "C", &[author("Ann", "Other")])], &c), None);
        assert_eq!(best(&[ebook(1, "C", &[])], &c), None);
        assert_eq!(
            best(&[ebook(1, "C", &[author("Jane", "Author")])], &c),
            None
        );
        assert_eq!(
            best(&[ebook(1, "C", &[author("Anna", "Author")])], &c),
            Some(1)
        );
        assert_eq!(best(&[ebook(1, "C", &[author("A.", "Author")])], &c), None);
        let two = [author("Ann", "Author"), author("Bo", "Else")];
        assert_eq!(
            best(&[ebook(1, "C", &two), ebook(2, "C", &c.authors)], &c),
            Some(2)
        );
        assert_eq!(best(&[ebook(1, "C", &two)], &c), Some(1));
    }

    #[test]
    fn volumes_and_translations_are_books_of_their_own() {
        let series = |index| {
            Some(Series {
                title: "Saga".into(),
                index,
            })
        };
        let mut book = wanted("T", &[author("A", "B")]);
        let mut there = ebook(1, "T", &book.authors);
        (book.series, there.series) = (series(Some(1)), series(Some(2)));
        assert!(!is(&there, &book));
        there.series = Some(Series {
            title: "SAGA".into(),
            index: Some(1),
        });
        assert!(is(&there, &book));
        there.language = Some(1);
        assert!(!is(&there, &book));
        (book.series, there.series, there.language) = (series(None), series(Some(0)), None);
        assert!(is(&there, &book));
        there.series = None;
        assert!(!is(&there, &book));
    }

    #[test]
    fn lists_are_read_as_the_server_writes_them() {
        let answer = json!({"total": 1, "items": [{"id": 4, "title": "T", "cover": true,
            "authors": [{"id": 1, "last_name": "L"}], "language": {"id": 2, "code": "en"},
            "series": {"id": 3, "title": "S"}, "series_index": 5}]});
        let expected = Listed {
            series: Some(Series {
                title: "S".into(),
                index: Some(5),
            }),
            ..ebook(4, "T", &[author("", "L")])
        };
        assert_eq!(items(&answer), [expected]);
        assert!(items(&Value::Null).is_empty());
    }

    #[test]
    fn marks_and_signs_do_not_hide_a_name() {
        let names = words(&[author("J. R. R.", "Čapek-O’Hara")]).collect::<Vec<_>>();
        assert_eq!(names, ["j", "r", "r", "capek", "o", "hara"]);
    }
}
