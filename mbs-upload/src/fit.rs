//! Metadata made such that the server's columns and its disk take it, each change noted.

use std::collections::HashSet;

use sha1::{Digest, Sha1};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use crate::{
    book::{Author, Book, Series},
    naming::{self, Cut, Measure},
};

/// Characters in the server's columns for a title and a series.
const TITLE: usize = 256;
/// Characters in its columns for each half of a name.
const NAME: usize = 128;
/// Authors of one book; the server's work grows with their square, to 20 s for so many.
const AUTHORS: usize = 500;
/// Tags that the engine is asked about; each costs it two queries while all others wait.
const TAGS: usize = 100;
/// Characters in the server's column for another name of a genre: what is longer is none.
const TAG: usize = 512;

/// Makes all of a book fit. `stem` is the title of last resort; `extension` matters for the length
/// of the server's file names.
pub fn make_fit(book: &mut Book, stem: &str, extension: &str) {
    let notes = &mut book.notes;
    let mut whole = clean(book.title.take().unwrap_or_default(), "title", notes);
    if is_blank(&whole) {
        notes.push("no title: the file's name taken".into());
        whole = clean(stem.into(), "title", notes);
        if is_blank(&whole) {
            whole = "Unknown".into();
        }
    }
    let title = cut(whole.clone(), "title", TITLE, notes);
    if book.authors.len() > AUTHORS {
        book.authors.truncate(AUTHORS);
        notes.push(format!("authors after the first {AUTHORS} left out"));
    }
    book.authors = std::mem::take(&mut book.authors)
        .into_iter()
        .filter_map(|author| fit_author(author, notes))
        .collect();
    without_repeats(&mut book.authors);
    book.series = book
        .series
        .take()
        .and_then(|series| fit_series(series, notes));
    book.tags = fit_tags(std::mem::take(&mut book.tags), notes);
    let mut is_cut = title != whole;
    book.title = Some(title);
    let mut cuts = naming::shorten(book, extension);
    is_cut |= cuts.contains(&Cut::Title);
    if is_cut {
        mark_cut(book, &whole, extension);
        // The mark itself takes room.
        cuts.extend(naming::shorten(book, extension));
    }
    // Two names may have become one.
    without_repeats(&mut book.authors);
    for what in cuts {
        let what = match what {
            Cut::Title => "title",
            Cut::Series => "series",
            Cut::Authors => "authors",
        };
        book.notes.push(format!(
            "{what} cut: the server's file name would be too long"
        ));
    }
}

/// Ends a cut title with a mark of the whole one. Long titles may begin alike (`…, Part I`,
/// `…, Part II`); cut to the same text, two books would become one ebook.
fn mark_cut(book: &mut Book, whole: &str, extension: &str) {
    let digest = Sha1::digest(whole);
    let mark = format!(" [{:02x}{:02x}{:02x}]", digest[0], digest[1], digest[2]);
    let mut kept = book.title.take().unwrap_or_default();
    let mut measure = Measure::of(book, extension);
    loop {
        let title = format!("{}{mark}", kept.trim_end());
        measure.title = naming::width(&title);
        let fits = measure.title <= naming::KEEP || measure.fits();
        if fits && title.chars().count() <= TITLE || kept.pop().is_none() {
            book.title = Some(title);
            return;
        }
    }
}

fn fit_author(author: Author, notes: &mut Vec<String>) -> Option<Author> {
    let mut half = |text: String| {
        let text = cut(clean(text, "author", notes), "author", NAME, notes);
        Some(text.trim().to_string()).filter(|text| !is_blank(text))
    };
    let (last, first) = (half(author.last), author.first.and_then(half));
    let author = match (last, first) {
        (Some(last), first) => Author { last, first },
        (None, Some(last)) => Author { last, first: None },
        (None, None) => {
            notes.push("an author without a name left out".into());
            return None;
        }
    };
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

fn fit_series(series: Series, notes: &mut Vec<String>) -> Option<Series> {
    let title = clean(series.title, "series", notes);
    let title = cut(title, "series", TITLE, notes);
    if is_blank(&title) || naming::is_no_folder(&title) {
        notes.push(format!(
            "series {title:?} left out: no folder can have that name"
        ));
        return None;
    }
    Some(Series { title, ..series })
}

fn fit_tags(tags: Vec<String>, notes: &mut Vec<String>) -> Vec<String> {
    let (many, mut long) = (tags.len(), false);
    let mut kept: Vec<_> = tags.into_iter().take(TAGS).map(without_controls).collect();
    kept.retain(|tag| {
        let fits = tag.chars().count() <= TAG;
        long |= !fits;
        fits && !is_blank(tag)
    });
    if many > TAGS {
        notes.push(format!("tags after the first {TAGS} left out"));
    }
    if long {
        notes.push(format!("tags of more than {TAG} characters left out"));
    }
    kept
}

fn without_repeats(authors: &mut Vec<Author>) {
    let mut seen = HashSet::new();
    authors.retain(|author| seen.insert(author.clone()));
}

/// Nothing that anybody could see or a folder be told apart by: blanks, and signs that only shape
/// the text around them.
fn is_blank(text: &str) -> bool {
    text.chars().all(|c| {
        c.is_whitespace() || c.is_control() || c.general_category() == GeneralCategory::Format
    })
}

/// Line breaks and tabs become blanks, all other control characters go; PostgreSQL takes no NUL.
fn without_controls(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    let blank = |c: char| matches!(c, '\t' | '\n' | '\r');
    text.chars()
        .filter(|&c| blank(c) || !c.is_control())
        .map(|c| if blank(c) { ' ' } else { c })
        .collect()
}

/// Text without NUL and control characters, and without slashes in disguise.
fn clean(text: String, what: &str, notes: &mut Vec<String>) -> String {
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
    text
}

/// Text of at most so many characters.
fn cut(mut text: String, what: &str, most: usize, notes: &mut Vec<String>) -> String {
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.truncate(end);
        text.truncate(text.trim_end().len());
        notes.push(format!("{what} cut to {most} characters"));
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use serde_json::json;
    use wire::Record;

    use super::*;
    use crate::wanted::Wanted;

    /// Characters that mean something to a path, to Python's `%`, to PostgreSQL or to Unicode.
    const ODD: &str = "\0\t\n\u{1b}\u{7f}\u{85} ./\\%:*?\"<>|_'(),-\u{a0}\u{ad}\u{301}\u{5b0}\
        \u{200b}\u{200f}\u{202e}\u{2028}‥．／℅℀ﷺﬁßøŉΐéЖ戦𝕿\u{11f00}\u{e000}\u{fffd}\u{fffe}\u{10ffff}aB";

    fn text(most: usize) -> impl Strategy<Value = String> {
        let odd = prop::sample::select(ODD.chars().collect::<Vec<_>>());
        let any = prop_oneof![6 => odd, 1 => any::<char>()];
        let repeated = (any, prop_oneof![4 => 1..3usize, 1 => Just(most)]);
        vec(repeated, 0..6).prop_map(move |runs| {
            let run = |(c, n): &(char, usize)| c.to_string().repeat(*n);
            runs.iter().map(run).collect::<String>()
        })
    }

    /// The record as it comes in, of which the server's client made a book.
    fn fitted(title: &str, authors: &[String], series: &str, index: f64) -> Book {
        let record = json!({"type": "file_hash", "title": title, "authors": authors,
            "series": series, "series_index": index, "tags": [title, series]});
        let record = Record::parse(record.to_string().into_bytes()).unwrap();
        Book::of(&record, "stem", "epub")
    }

    /// Insists on all that the server's columns, database and disk demand, by another's account of
    /// the names that it makes.
    fn is_taken(book: &Book) {
        let body = Wanted::new(book, 2).body(None, &[]);
        let body = body.to_string();
        assert!(
            !body.contains("\\u00") && !body.contains('\u{7f}'),
            "{body}"
        );
        let length = |text: &str| text.chars().count();
        let title = book.title.clone().unwrap();
        assert!(!title.trim().is_empty() && length(&title) <= 256);
        for author in &book.authors {
            assert!((1..=128).contains(&length(&author.last)));
            let first = author.first.as_deref();
            assert!(first.is_none_or(|first| (1..=128).contains(&length(first))));
        }
        let series = book.series.as_ref().map(|series| {
            assert!((1..=256).contains(&length(&series.title)));
            (series.title.clone(), series.index.unwrap_or(0))
        });
        let names = book
            .authors
            .iter()
            .map(|a| (a.last.clone(), a.first.clone()));
        let book = sandbox::naming::Book {
            authors: names.collect(),
            title,
            language: "cs_CZ.".into(),
            series: series.map(|(title, index)| (title, index.try_into().unwrap())),
        };
        let location = format!("{}/{}", book.base_dir(), book.file_name("docx"));
        assert!(location.len() <= 512 - 12, "{location}");
        let levels = 3 + usize::from(book.series.is_some());
        assert_eq!(location.split('/').count(), levels, "{location:?}");
        for part in location.split('/') {
            assert!(
                !matches!(part, "" | "." | "..") && part.len() <= 255,
                "{location:?}"
            );
        }
        let file = location.rsplit('/').next().unwrap();
        assert!(file.len() <= 255 - 12, "{file}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_a_record_says_fits(
            title in text(10_000),
            authors in vec(text(300), 0..6),
            series in text(300),
            index in prop_oneof![any::<i32>().prop_map(f64::from), any::<f64>()],
        ) {
            let book = fitted(&title, &authors, &series, index);
            is_taken(&book);
            // What fits is left alone, or the formats of a book would part.
            let mut again = book.clone();
            make_fit(&mut again, "stem", "epub");
            prop_assert_eq!(again, book);
        }
    }

    #[test]
    fn signs_that_the_disk_does_not_see_do_not_keep_a_name_long() {
        is_taken(&fitted(
            "T",
            &[format!("{} {}", "\\".repeat(300), "‥".repeat(300))],
            "",
            0.0,
        ));
    }

    #[test]
    fn hundreds_of_long_names_are_cut_at_once() {
        let authors: Vec<_> = (0..500)
            .map(|i| format!("{i}{} {}", "b".repeat(400), "x".repeat(400)))
            .collect();
        let book = fitted("T", &authors, "", 0.0);
        is_taken(&book);
        assert_eq!(book.authors.len(), 500);
    }

    #[test]
    fn what_nobody_can_see_is_no_title_and_no_author() {
        let book = fitted(
            "\u{200b}\u{ad} ",
            &["\u{202e}".into(), "\u{200f} B".into()],
            "\u{feff}",
            1.0,
        );
        assert_eq!(book.title.as_deref(), Some("stem"));
        assert_eq!(
            book.authors,
            [Author {
                last: "B".into(),
                first: None
            }]
        );
        assert_eq!(book.series, None);
        assert_eq!(book.notes.len(), 3);
    }

    #[test]
    fn a_title_that_grew_by_cleaning_is_marked_when_cut() {
        let title = |end: &str| fitted(&format!("{}{end}", "℀".repeat(250)), &[], "", 0.0).title;
        assert_ne!(title("a"), title("b"));
    }
}
