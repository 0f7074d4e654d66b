//! When two names are one. A file system may have changed a name's Unicode normalisation (HFS+ does),
//! or may not tell case apart; a book must not be taken for an orphan for either reason. Names are
//! only compared in these forms, never acted upon.

use std::{
    borrow::Cow,
    hash::{DefaultHasher, Hasher},
};

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// How much two names are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likeness {
    /// The same bytes.
    Same,
    /// The same text in another normalisation.
    Normalised,
    /// The same but for case.
    Case,
}

/// Compares two names, or two relative paths; nothing where they differ in more than case.
pub fn likeness(a: &[u8], b: &[u8]) -> Option<Likeness> {
    if a == b {
        Some(Likeness::Same)
    } else if a.is_ascii() && b.is_ascii() {
        a.eq_ignore_ascii_case(b).then_some(Likeness::Case)
    } else if normalised(a) == normalised(b) {
        Some(Likeness::Normalised)
    } else {
        (folded(a) == folded(b)).then_some(Likeness::Case)
    }
}

/// The form in which names that differ only by normalisation are the same. A part of a path that is
/// not UTF-8 has but one form.
pub fn normalised(path: &[u8]) -> Cow<'_, [u8]> {
    if path.is_ascii() {
        return Cow::Borrowed(path);
    }
    by_part(path, composed, Cow::Borrowed)
}

/// The form in which names that differ only by normalisation or case are the same.
pub fn folded(path: &[u8]) -> Cow<'_, [u8]> {
    if path.is_ascii() {
        return match path.iter().any(u8::is_ascii_uppercase) {
            true => Cow::Owned(path.to_ascii_lowercase()),
            false => Cow::Borrowed(path),
        };
    }
    by_part(path, one_case, |part| Cow::Owned(part.to_ascii_lowercase()))
}

/// A number that paths of one folded form share, and hardly any others.
pub fn key(path: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(&folded(path));
    hasher.finish()
}

fn composed(part: &str) -> Cow<'_, [u8]> {
    match is_nfc(part) {
        true => Cow::Borrowed(part.as_bytes()),
        false => Cow::Owned(part.nfc().collect::<String>().into_bytes()),
    }
}

fn one_case(part: &str) -> Cow<'_, [u8]> {
    // Upper case first: it has one form for what lower case has two of, like ς and σ. Then letter by
    // letter, for lower case as a whole looks at a sigma's place in the word.
    let upper = part.nfd().flat_map(char::to_uppercase);
    let lower = upper.flat_map(char::to_lowercase);
    Cow::Owned(lower.nfc().collect::<String>().into_bytes())
}

fn by_part<'a>(
    path: &'a [u8],
    form: impl Fn(&'a str) -> Cow<'a, [u8]>,
    other: impl Fn(&'a [u8]) -> Cow<'a, [u8]>,
) -> Cow<'a, [u8]> {
    let part = |part: &'a [u8]| match std::str::from_utf8(part) {
        Ok(text) => form(text),
        Err(_) => other(part),
    };
    if let Ok(text) = std::str::from_utf8(path) {
        return form(text);
    }
    let parts: Vec<_> = path.split(|&byte| byte == b'/').map(part).collect();
    Cow::Owned(parts.join(&b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_alike_in_three_degrees() {
        let like = |a: &str, b: &str| likeness(a.as_bytes(), b.as_bytes());
        assert_eq!(like("a/b", "a/b"), Some(Likeness::Same));
        assert_eq!(like("caf\u{e9}", "cafe\u{301}"), Some(Likeness::Normalised));
        assert_eq!(like("A/b.EPUB", "a/B.epub"), Some(Likeness::Case));
        assert_eq!(like("CAF\u{c9}", "cafe\u{301}"), Some(Likeness::Case));
        assert_eq!(
            like("\u{3a3}\u{3a3}", "\u{3c3}\u{3c2}"),
            Some(Likeness::Case)
        );
        assert_eq!(like("a", "b"), None);
        assert_eq!(like("cafe", "caf\u{e9}"), None);
    }

    #[test]
    fn names_that_are_not_utf8_are_compared_by_their_bytes() {
        assert_eq!(likeness(b"a\xff", b"a\xff"), Some(Likeness::Same));
        assert_eq!(likeness(b"a\xff", b"a\xfe"), None);
        assert_eq!(likeness(b"A\xff.EPUB", b"a\xff.epub"), Some(Likeness::Case));
        // The other parts of the path are still text.
        let (composed, apart) = ("caf\u{e9}".as_bytes(), "cafe\u{301}".as_bytes());
        let below = |folder: &[u8]| [folder, b"/\xff"].concat();
        let like = likeness(&below(composed), &below(apart));
        assert_eq!(like, Some(Likeness::Normalised));
    }

    #[test]
    fn alike_names_have_one_key() {
        for (a, b) in [("A/b", "a/B"), ("caf\u{e9}", "CAFE\u{301}")] {
            assert_eq!(key(a.as_bytes()), key(b.as_bytes()));
        }
        assert_ne!(key(b"a"), key(b"b"));
    }
}
