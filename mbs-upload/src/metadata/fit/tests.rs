use proptest::{collection::vec, prelude::*};
use serde_json::json;
use wire::Record;

use crate::metadata::{fit::*, wanted::Wanted};

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
    let Wanted {
        title,
        authors,
        series,
        ..
    } = Wanted::new(book, 2);
    let names = authors
        .into_iter()
        .flat_map(|author| [Some(author.last), author.first]);
    let texts: Vec<_> = names.flatten().chain([title]).collect();
    let body = json!([texts, series.map(|series| series.title)]).to_string();
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
fn a_name_that_begins_with_what_nobody_sees_is_cut_to_something_visible() {
    let authors = ["a", "b", "c"].map(|first| format!("{first} {}ﷺﷺ", "\u{200b}".repeat(100)));
    let book = fitted(&"t".repeat(300), &authors, &"s".repeat(300), 0.0);
    let mut again = book.clone();
    make_fit(&mut again, "stem", "epub");
    assert_eq!(again, book);
    assert!(book.authors.iter().all(|author| author.last.contains('ﷺ')));
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
