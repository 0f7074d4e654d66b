//! The file names that the server will make of a book, computed beforehand. A name that does not
//! fit its disk or its columns makes adding a file fail after the ebook was created, and one that
//! climbs out of its folder is written outside the store: both must be seen before anything is sent.

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use crate::book::{Author, Book};

/// The longest extension in the server's table of formats: docx and its like.
const EXTENSION: usize = 4;
/// Bytes in a name on Linux file systems.
const COMPONENT: usize = 255;
/// Characters in the columns `location` and `base_dir`.
const LOCATION: usize = 512;
/// Kept free for what the server appends when a name is taken: `(1)`, then `(1)(2)`, and so on.
const TAKEN: usize = 12;
/// The longest language code that the server's column takes.
const LANGUAGE: usize = 6;
/// A title or series that must be cut keeps so much of its name on disk, before others are cut.
const KEEP: usize = 40;

/// A text as it reads in a file name on the server: ASCII, marks gone, slashes made dashes, the
/// characters that Windows forbids dropped, all else a blank each.
pub fn on_disk(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    // The slash is replaced before the decomposition, so one that comes out of it stays.
    for c in text.chars().map(|c| if c == '/' { '-' } else { c }).nfkd() {
        if c.general_category() == GeneralCategory::NonspacingMark {
            continue;
        }
        match letter(c) {
            Some(letters) => name.push_str(letters),
            None if !c.is_ascii() => name.push(' '),
            None if !":*%|\"<>?\\".contains(c) => name.push(c),
            None => {}
        }
    }
    name
}

/// Letters that do not decompose, as the server writes them.
fn letter(c: char) -> Option<&'static str> {
    Some(match c {
        'Æ' => "AE",
        'æ' => "ae",
        'Ð' | 'Đ' => "D",
        'ð' | 'đ' => "d",
        'Ø' => "O",
        'ø' => "o",
        'Þ' => "Th",
        'þ' => "th",
        'ß' => "s",
        'Ħ' => "H",
        'ħ' => "h",
        'ı' => "i",
        'ĸ' => "k",
        'Ł' => "L",
        'ł' => "l",
        'Ŋ' => "N",
        'ŋ' => "n",
        'Œ' => "Oe",
        'œ' => "oe",
        'Ŧ' => "T",
        'ŧ' => "t",
        _ => return None,
    })
}

/// Would this name, alone as a folder, be none or another folder: ``, `.` or `..`?
pub fn is_no_folder(name: &str) -> bool {
    matches!(on_disk(name).as_str(), "" | "." | "..")
}

/// The text without characters that turn into a slash when decomposed, as `／` and `℅` do.
/// Nothing when it has none.
pub fn without_hidden_slashes(text: &str) -> Option<String> {
    let hidden = |c: char| c != '/' && !c.is_ascii() && std::iter::once(c).nfkd().any(|d| d == '/');
    if !text.chars().any(hidden) {
        return None;
    }
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if hidden(c) {
            safe.extend(
                std::iter::once(c)
                    .nfkd()
                    .map(|d| if d == '/' { '-' } else { d }),
            );
        } else {
            safe.push(c);
        }
    }
    Some(safe)
}

/// The folder name that one author alone makes.
pub fn lone_author(author: &Author) -> String {
    match &author.first {
        Some(first) => format!("{} {first}", author.last),
        None => author.last.clone(),
    }
}

/// Length of the authors' part. With more than three authors the server takes three, not always the
/// first ones, so the longest three are counted.
fn authors_length(authors: &[Author]) -> usize {
    if let [one] = authors {
        return on_disk(&lone_author(one)).len();
    }
    let mut lengths: Vec<usize> = authors
        .iter()
        .map(|author| {
            let initials = author.first.as_deref().map_or(0, |first| {
                let letters = first
                    .split_whitespace()
                    .filter_map(|word| word.chars().next());
                let upper: String = letters.flat_map(char::to_uppercase).collect();
                on_disk(&upper).len() + first.split_whitespace().count()
            });
            on_disk(&author.last).len() + initials
        })
        .collect();
    lengths.sort_unstable_by(|a, b| b.cmp(a));
    let three = &lengths[..lengths.len().min(3)];
    match lengths.len() {
        0 => "No Authors".len(),
        n => three.iter().sum::<usize>() + 2 * (three.len() - 1) + if n > 3 { 11 } else { 0 },
    }
}

/// Do all names that the server makes of this book and a file with this extension fit?
pub fn fits(book: &Book, extension: &str) -> bool {
    let authors = authors_length(&book.authors);
    let title = on_disk(book.title.as_deref().unwrap_or_default()).len();
    let (series, numbered) = book.series.as_ref().map_or((0, title), |series| {
        let name = on_disk(&series.title).len();
        let index = series.index.unwrap_or(0).to_string().len();
        (name, name + 1 + index + 3 + title)
    });
    let folder = numbered + 2 + LANGUAGE;
    // Not less than the longest extension that the server has: a title is cut alike for all formats,
    // or they would not meet in one ebook.
    let file = authors + 3 + numbered + 1 + extension.len().max(EXTENSION) + TAKEN;
    let in_series = if series > 0 { series + 1 } else { 0 };
    let location = authors + 1 + in_series + folder + 1 + file;
    [authors, series, folder, file]
        .iter()
        .all(|&part| part <= COMPONENT)
        && location <= LOCATION
}

/// What is cut, in this order, until the names fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The title.
    Title,
    /// The series.
    Series,
    /// Authors' names.
    Authors,
}

/// Shortens a book until its names fit; says what was cut. A book with a cut title is in the
/// library; one whose name is too long never gets in.
pub fn shorten(book: &mut Book, extension: &str) -> Vec<Cut> {
    let mut done = Vec::new();
    while !fits(book, extension) {
        let Some(cut) = shorten_by_one(book) else {
            break;
        };
        if !done.contains(&cut) {
            done.push(cut);
        }
    }
    done
}

fn shorten_by_one(book: &mut Book) -> Option<Cut> {
    let long = |text: &String| on_disk(text).len() > KEEP;
    if let Some(title) = book.title.as_mut().filter(|title| long(title)) {
        pop(title);
        return Some(Cut::Title);
    }
    if let Some(series) = book.series.as_mut().filter(|series| long(&series.title)) {
        pop(&mut series.title);
        return Some(Cut::Series);
    }
    let longest = book
        .authors
        .iter_mut()
        .max_by_key(|author| on_disk(&lone_author(author)).len())?;
    match &mut longest.first {
        Some(first) if first.chars().count() > longest.last.chars().count() => pop(first),
        _ if longest.last.chars().count() > 1 => pop(&mut longest.last),
        _ => return None,
    }
    Some(Cut::Authors)
}

fn pop(text: &mut String) {
    text.pop();
    while text.ends_with(char::is_whitespace) {
        text.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::Series;

    fn author(last: &str, first: &str) -> Author {
        Author {
            last: last.into(),
            first: Some(first.into()).filter(|f: &String| !f.is_empty()),
        }
    }

    #[test]
    fn names_are_the_server_s() {
        assert_eq!(
            on_disk("Straße Łódź Ørsted Æther ﬁn"),
            "Strase Lodz Orsted AEther fin"
        );
        assert_eq!(on_disk("AC/DC: Live / Part 1"), "AC-DC Live - Part 1");
        assert_eq!(on_disk("Война"), "     ");
        assert_eq!(on_disk("Zaklínač"), "Zaklinac");
    }

    #[test]
    fn folders_that_climb_are_seen_in_every_disguise() {
        for name in ["", ".", "..", "%..", "．．", "‥", "???", ":", "\u{301}"] {
            assert!(is_no_folder(name), "{name:?}");
        }
        for name in ["...", " ", "A", ".. x", "Ж"] {
            assert!(!is_no_folder(name), "{name:?}");
        }
        assert_eq!(without_hidden_slashes("a／b℅").unwrap(), "a-bc-o");
        assert_eq!(without_hidden_slashes("a/b ½ é"), None);
    }

    #[test]
    fn long_titles_are_cut_to_what_the_disk_takes() {
        for (title, authors, series) in [
            ("T".repeat(256), vec![author("Title", "Long")], None),
            (
                "Ж".repeat(256),
                vec![author(&"ф".repeat(128), &"и".repeat(128))],
                Some("S".repeat(256)),
            ),
            (
                "ﷺ".repeat(100),
                vec![author("A", ""); 5],
                Some("B".repeat(150)),
            ),
        ] {
            let mut book = Book {
                title: Some(title),
                authors,
                series: series.map(|title| Series {
                    title,
                    index: Some(1234),
                }),
                ..Book::default()
            };
            assert!(!fits(&book, "epub"));
            assert!(shorten(&mut book, "epub").contains(&Cut::Title));
            assert!(fits(&book, "epub"));
        }
    }

    #[test]
    fn what_fits_is_left_alone() {
        let mut book = Book {
            title: Some("T".repeat(200)),
            authors: vec![author("Title", "Long")],
            ..Book::default()
        };
        let before = book.clone();
        assert!(shorten(&mut book, "epub").is_empty());
        assert_eq!(book, before);
    }
}
