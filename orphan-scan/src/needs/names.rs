//! What stays of a name that was garbled on its way through other systems: its ASCII letters and digits,
//! and a folder's number in parentheses.

use std::hash::{DefaultHasher, Hash, Hasher};

use unicode_normalization::UnicodeNormalization;

/// The last part of a path.
pub fn base(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
}

/// The numbers in parentheses in a folder's path, as Calibre writes a book's: `Author/Title (12)`.
pub fn numbers(folder: &[u8]) -> impl Iterator<Item = i64> {
    let after = folder.split(|&byte| byte == b'(').skip(1);
    after.filter_map(|rest| {
        let end = rest.iter().position(|&byte| byte == b')')?;
        std::str::from_utf8(&rest[..end]).ok()?.trim().parse().ok()
    })
}

/// May Calibre take a file of this name for one of this format, in lower case, that is missing?
/// (`DB.format_abspath`; whether case counts is the file system's.)
pub fn has_format(name: &[u8], format: &[u8]) -> bool {
    let dot = name.len().checked_sub(format.len() + 1);
    !format.is_empty()
        && !name.starts_with(b"._")
        && dot.is_some_and(|dot| name[dot] == b'.' && name[dot + 1..].eq_ignore_ascii_case(format))
}

/// Two files with a key in common have one name, as far as that is still known: normalised, in one
/// case, what no ASCII survives garbling left out.
pub fn alike_keys(name: &[u8]) -> [u64; 2] {
    let hashed = |key: &str| {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        hasher.finish()
    };
    // Nearly all are, and there may be millions.
    if name.is_ascii() {
        let letters = name.iter().filter(|byte| byte.is_ascii_alphanumeric());
        let plain: String = letters
            .map(|byte| char::from(byte.to_ascii_lowercase()))
            .collect();
        if !plain.is_empty() {
            return [hashed(&plain); 2];
        }
    }
    let text = String::from_utf8_lossy(name);
    let text: String = text
        .chars()
        .filter(|&letter| !is_stand_in(letter))
        .collect();
    // Garbled are the bytes as they were, in one normalisation or the other.
    [text.nfc().collect::<String>(), text.nfd().collect()].map(|text| {
        let plain: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
        let stem = text.rsplit_once('.').map_or(&*text, |(stem, _)| stem);
        let kept = stem.chars().filter(char::is_ascii_alphanumeric).count();
        // A name of another script would be nothing but its extension.
        let key = match stem.is_ascii() && kept > 0 || kept >= ENOUGH {
            true => plain.to_ascii_lowercase(),
            false => text.nfc().flat_map(char::to_uppercase).collect(),
        };
        hashed(&key)
    })
}

/// Letters and digits that are enough to know a name by.
const ENOUGH: usize = 4;

/// What stands for a letter that a system could not write: SMB puts `:` and the like, and the blank or dot
/// at an end, into the private area.
fn is_stand_in(letter: char) -> bool {
    matches!(letter, '\u{f000}'..='\u{f0ff}' | '\u{fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alike(a: &[u8], b: &[u8]) -> bool {
        let keys = alike_keys(a);
        alike_keys(b).iter().any(|key| keys.contains(key))
    }

    #[test]
    fn a_garbled_name_is_still_known() {
        let name = "V\u{e1}lka s mloky - \u{10c}apek.epub".as_bytes();
        for garbled in [
            "Va\u{301}lka s mloky - C\u{30c}apek.epub",
            "V\u{c3}\u{a1}lka s mloky - \u{c4}\u{152}apek.epub",
            "V?lka s mloky - ?apek.epub",
            "V_lka s mloky - _apek.EPUB",
            "v\u{fffd}lka s mloky - \u{fffd}apek.epub",
        ] {
            assert!(alike(name, garbled.as_bytes()), "{garbled}");
        }
        assert!(alike(name, b"V\xe1lka s mloky - \xc8apek.epub"));
        assert!(alike(
            b"What? - A. B..epub",
            "What\u{f025} - A. B\u{f029}.epub".as_bytes()
        ));
        assert!(alike(
            b"It - King.epub",
            "It - King\u{f028}.epub".as_bytes()
        ));
        let russian = "\u{412}\u{43e}\u{439}\u{43d}\u{430}.epub".as_bytes();
        assert!(alike(russian, russian));
        for other in [
            "Other - Author.epub",
            "V\u{e1}lka s mloky - \u{10c}apek.pdf",
        ] {
            assert!(!alike(name, other.as_bytes()), "{other}");
        }
        assert!(!alike(russian, "\u{41c}\u{438}\u{440}.epub".as_bytes()));
        assert!(!alike(b"a.epub", b"b.epub"));
    }

    #[test]
    fn calibre_takes_a_file_by_its_extension() {
        for name in ["x.epub", "x.EPUB", "x.kepub.epub", ".epub", ".x.epub"] {
            assert!(has_format(name.as_bytes(), b"epub"), "{name}");
        }
        for name in ["epub", "x.kepub", "x.epub.part", "._x.epub", "xepub", ""] {
            assert!(!has_format(name.as_bytes(), b"epub"), "{name}");
        }
        assert!(!has_format(b"x.", b""));
    }

    #[test]
    fn a_folder_tells_the_number_of_its_book() {
        let of = |folder: &str| numbers(folder.as_bytes()).collect::<Vec<_>>();
        assert_eq!(of("A/Title (12)"), [12]);
        assert_eq!(of("A/1984 (1949) (7)"), [1949, 7]);
        assert_eq!(of("Old (3)/B (12) - moved/x"), [3, 12]);
        assert_eq!(of("A/Title (12)\u{f028}"), [12]);
        assert_eq!(of("A (x)/B ()/C (1"), [] as [i64; 0]);
    }
}
