//! Metadata made such that the server's columns and its disk take it, each change noted.

use std::collections::HashSet;

use sha1::{Digest, Sha1};

use crate::metadata::{
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
        Some(text).filter(|text| !is_blank(text))
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

fn is_blank(text: &str) -> bool {
    text.chars().all(naming::is_invisible)
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

/// Text without NUL and control characters, and without slashes in disguise. It begins and ends with
/// something to see: whatever is cut from it later, what is left is not blank.
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
    text.trim_matches(naming::is_invisible).to_string()
}

/// Text of at most so many characters.
fn cut(mut text: String, what: &str, most: usize, notes: &mut Vec<String>) -> String {
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.truncate(end);
        text.truncate(text.trim_end_matches(naming::is_invisible).len());
        notes.push(format!("{what} cut to {most} characters"));
    }
    text
}

#[cfg(test)]
mod tests;
