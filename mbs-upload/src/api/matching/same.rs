//! When an ebook and a book are the same. Pure.

use std::collections::HashSet;

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use crate::{
    api::matching::Listed,
    metadata::{
        book::{Author, Series},
        wanted::Wanted,
    },
};

/// The ebook to take when several would do: the one with the same authors, else the oldest.
pub(super) fn best(listed: &[Listed], wanted: &Wanted) -> Option<i64> {
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

pub(super) fn words(authors: &[Author]) -> impl Iterator<Item = String> + '_ {
    let names = authors
        .iter()
        .flat_map(|author| author.first.iter().chain([&author.last]));
    names.flat_map(|name| folded(name).collect::<Vec<_>>())
}

/// The words of a text as the server's search compares them: small letters without marks. All that
/// is neither letter nor digit separates, which also keeps the query clear of the signs on which
/// the server's own clean-up fails.
pub(super) fn folded(text: &str) -> impl Iterator<Item = String> {
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
    fn marks_and_signs_do_not_hide_a_name() {
        let names = words(&[author("J. R. R.", "Čapek-O’Hara")]).collect::<Vec<_>>();
        assert_eq!(names, ["j", "r", "r", "capek", "o", "hara"]);
    }
}
