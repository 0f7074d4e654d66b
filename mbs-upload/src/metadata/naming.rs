//! The file names that the server will make of a book, computed beforehand. A name that does not
//! fit its disk or its columns makes adding a file fail after the ebook was created, and one that
//! climbs out of its folder is written outside the store: both must be seen before anything is sent.

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

mod shorten;

pub use shorten::{Cut, KEEP, Measure, is_invisible, shorten, width};

use crate::metadata::book::Author;

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
pub(super) fn letter(c: char) -> Option<&'static str> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
