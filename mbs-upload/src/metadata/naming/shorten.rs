//! How long the server's names for a book are, and how the book is cut until they fit.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use crate::metadata::{
    book::{Author, Book},
    naming::{lone_author, on_disk},
};

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
pub const KEEP: usize = 40;

/// Bytes that a text may take on the server's disk. A character counts for at least one, since to
/// the server's older tables of Unicode a new mark, say, is an unknown sign and becomes a blank.
pub fn width(text: &str) -> usize {
    text.chars().map(width_of).sum()
}

fn width_of(c: char) -> usize {
    match c {
        // The usual case, quickly.
        'a'..='z' | 'A'..='Z' | '0'..='9' | ' ' => 1,
        '\0'..='\u{7f}' | '\u{300}'..='\u{36f}' => on_disk(c.encode_utf8(&mut [0; 4])).len(),
        _ => on_disk(c.encode_utf8(&mut [0; 4])).len().max(1),
    }
}

/// The lengths of a book's parts on the server's disk.
#[derive(Clone, Debug)]
pub struct Measure {
    /// Of the title.
    pub title: usize,
    series: Option<(usize, usize)>,
    authors: Vec<Name>,
    extension: usize,
}

/// The lengths of an author's name: as the only one, and beside others with initials.
#[derive(Clone, Copy, Debug)]
struct Name {
    alone: usize,
    beside: usize,
}

impl Name {
    fn of(author: &Author) -> Name {
        let initials = author.first.as_deref().map_or(0, |first| {
            let letters = first
                .split_whitespace()
                .flat_map(|word| word.chars().next());
            let upper: String = letters.flat_map(char::to_uppercase).collect();
            width(&upper) + first.split_whitespace().count()
        });
        Name {
            alone: width(&lone_author(author)),
            beside: width(&author.last) + initials,
        }
    }
}

impl Measure {
    /// Of a book and a file of it with this extension.
    pub fn of(book: &Book, extension: &str) -> Measure {
        let series = book.series.as_ref().map(|series| {
            let index = series.index.unwrap_or(0).to_string().len();
            (width(&series.title), index)
        });
        Measure {
            title: width(book.title.as_deref().unwrap_or_default()),
            series,
            authors: book.authors.iter().map(Name::of).collect(),
            extension: extension.len(),
        }
    }

    /// Length of the authors' part. With more than three authors the server takes three, not always
    /// the first ones, so the longest three are counted.
    fn authors(&self) -> usize {
        let mut lengths: Vec<_> = match self.authors.as_slice() {
            [] => return "No Authors".len(),
            [one] => return one.alone,
            several => several.iter().map(|name| name.beside).collect(),
        };
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        let others = if lengths.len() > 3 {
            " and others".len()
        } else {
            0
        };
        lengths.truncate(3);
        lengths.iter().sum::<usize>() + 2 * (lengths.len() - 1) + others
    }

    /// Do all names that the server makes of it fit?
    pub fn fits(&self) -> bool {
        let authors = self.authors();
        let (series, numbered) = match self.series {
            Some((name, index)) => (name, name + 1 + index + 3 + self.title),
            None => (0, self.title),
        };
        let folder = numbered + 2 + LANGUAGE;
        // Not less than the longest extension that the server has: a title is cut alike for all
        // formats, or they would not meet in one ebook.
        let file = authors + 3 + numbered + 1 + self.extension.max(EXTENSION) + TAKEN;
        let in_series = if series > 0 { series + 1 } else { 0 };
        let location = authors + 1 + in_series + folder + 1 + file;
        [authors, series, folder, file]
            .iter()
            .all(|&part| part <= COMPONENT)
            && location <= LOCATION
    }
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
    let mut measure = Measure::of(book, extension);
    let mut cuts = Vec::new();
    if let Some(title) = book.title.as_mut().filter(|_| !measure.fits()) {
        while measure.title > KEEP && !measure.fits() {
            measure.title -= pop(title);
            note(&mut cuts, Cut::Title);
        }
    }
    if let Some(series) = &mut book.series {
        while let Some((wide, index)) = measure.series.filter(|&(wide, _)| wide > KEEP)
            && !measure.fits()
        {
            measure.series = Some((wide - pop(&mut series.title), index));
            note(&mut cuts, Cut::Series);
        }
    }
    if !measure.fits() {
        // All down to one length, the largest that fits.
        let (mut fits, mut too_long) = (1, COMPONENT);
        while fits + 1 < too_long {
            let most = fits.midpoint(too_long);
            measure.authors = cut_names(&book.authors, most)
                .iter()
                .map(Name::of)
                .collect();
            match measure.fits() {
                true => fits = most,
                false => too_long = most,
            }
        }
        book.authors = cut_names(&book.authors, fits);
        note(&mut cuts, Cut::Authors);
    }
    cuts
}

fn cut_names(authors: &[Author], most: usize) -> Vec<Author> {
    let cut = |author: &Author| {
        let mut author = author.clone();
        let mut wide = width(&lone_author(&author));
        while wide > most
            && let Some(less) = pop_name(&mut author)
        {
            wide -= less;
        }
        author
    };
    authors.iter().map(cut).collect()
}

fn note(cuts: &mut Vec<Cut>, cut: Cut) {
    if !cuts.contains(&cut) {
        cuts.push(cut);
    }
}

/// Shortens the longer half of a name, never to nothing; says by how much, which is nothing for a
/// sign that the disk does not see.
fn pop_name(author: &mut Author) -> Option<usize> {
    match &mut author.first {
        Some(first) if first.chars().count() > author.last.chars().count() => Some(pop(first)),
        _ if author.last.chars().count() > 1 => Some(pop(&mut author.last)),
        _ => None,
    }
}

/// A character by which nobody can tell a name: a blank, or one that only shapes the text around it.
pub fn is_invisible(c: char) -> bool {
    c.is_whitespace() || c.is_control() || c.general_category() == GeneralCategory::Format
}

/// Takes the last character off, and what is invisible before it; says how much narrower the text is.
fn pop(text: &mut String) -> usize {
    let mut less = 0;
    while let Some(c) = text.pop() {
        less += width_of(c);
        if !text.ends_with(is_invisible) {
            break;
        }
    }
    less
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::book::Series;

    fn author(last: &str, first: &str) -> Author {
        Author {
            last: last.into(),
            first: Some(first.into()).filter(|f: &String| !f.is_empty()),
        }
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
            assert!(!Measure::of(&book, "epub").fits());
            assert!(shorten(&mut book, "epub").contains(&Cut::Title));
            assert!(Measure::of(&book, "epub").fits());
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
