//! What must not be worked on twice at a time: a content, a title with one of its authors, or the name
//! of an author or a series that is about to be made. A claim on it is a number of 64 bits, within this process and, with a database, among all uploaders.
//!
//! The number is the first 8 bytes of the SHA-1 of a text that begins with the kind of thing, and a
//! NUL between its parts. It must never change: uploaders of different versions meet in it. As an
//! advisory lock of PostgreSQL (`pg_advisory_lock(bigint)`, which the server itself does not use) it
//! stands among those of the whole database; the kind's name keeps it apart from those of others
//! who derive theirs likewise. Two things may, once in 2^64, have one number; then one of them waits
//! for nothing.

use sha1::{Digest, Sha1};
use unicode_normalization::UnicodeNormalization;

use crate::{
    known::Content,
    metadata::{book::Author, wanted::Wanted},
};

/// The number of a thing.
pub type Claim = u64;

/// The claim on a content.
pub fn content(content: &Content) -> Claim {
    let size = content.size().to_string();
    number(&["mbs-upload content", &content.sha1(), &size])
}

/// The claim on a title with one author's last name, or with none. Case and the form of accents are
/// looked through.
pub fn book(title: &str, author: &str) -> Claim {
    number(&["mbs-upload book", &fold(title), &fold(author)])
}

/// The claim on an author's name. Names that the server tells apart may share it.
pub fn author(last: &str, first: &str) -> Claim {
    number(&["mbs-upload author", &fold(last), &fold(first)])
}

/// The claim on a series.
pub fn series(title: &str) -> Claim {
    number(&["mbs-upload series", &fold(title)])
}

/// What a book needs while it is worked on: its title with each of its authors, since ebooks with a
/// common title and a common author may be one.
pub fn of_book(title: &str, authors: &[Author]) -> Vec<Claim> {
    match authors {
        [] => vec![book(title, "")],
        authors => authors
            .iter()
            .map(|author| book(title, &author.last))
            .collect(),
    }
}

/// What is held while an ebook is made: the server makes the authors and the series that it lacks
/// along with it, and two creations at a time would make two of each.
pub fn names(wanted: &Wanted) -> Vec<Claim> {
    let name = |a: &Author| author(&a.last, a.first.as_deref().unwrap_or_default());
    let series = wanted.series.iter().map(|s| series(&s.title));
    wanted.authors.iter().map(name).chain(series).collect()
}

/// A number for a lock that only one process knows of, at one moment.
pub(crate) fn probe(process: u32, nanoseconds: u128, round: u32) -> Claim {
    number(&[
        "mbs-upload probe",
        &format!("{process} {nanoseconds} {round}"),
    ])
}

fn fold(text: &str) -> String {
    let lower = text.trim().nfkc().flat_map(char::to_lowercase);
    // Lower case may come apart again: İ.
    lower.collect::<String>().nfkc().collect()
}

fn number(parts: &[&str]) -> Claim {
    let mut hash = Sha1::new();
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            hash.update([0]);
        }
        hash.update(part.as_bytes());
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hash.finalize()[..8]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_all_versions() {
        let bytes = Content::new(&"a".repeat(40), 12).unwrap();
        assert_eq!(content(&bytes), 0xf7ff66d4fc82dad3);
        assert_eq!(book("Válka s mloky", "Čapek"), 0xa5f8c86ed4ce8adc);
        assert_eq!(
            book(" VA\u{301}LKA s mloky", "čapek"),
            book("Válka s mloky", "Čapek")
        );
        assert_ne!(book("ab", "c"), book("a", "bc"));
        assert_eq!(author("Čapek", "Karel"), 0xae68f3f16e27d80d);
        assert_eq!(author("ČAPEK", "karel"), author("C\u{30c}apek", "Karel"));
        assert_ne!(author("Čapek", ""), author("Čapek", "Karel"));
        assert_eq!(series("Škola hrou"), 0xc969d057ab0ff88);
        assert_eq!(series("ŠKOLA HROU"), series("S\u{30c}kola hrou"));
    }

    #[test]
    fn books_that_may_be_one_share_a_claim() {
        let of = |title: &str, names: &[&str]| {
            let last = |last: &&str| Author {
                last: last.to_string(),
                first: None,
            };
            of_book(title, &names.iter().map(last).collect::<Vec<_>>())
        };
        let meet = |a: &[Claim], b: &[Claim]| a.iter().any(|claim| b.contains(claim));
        assert!(meet(&of("Café", &["A", "B"]), &of("CAFE\u{301}", &["B"])));
        assert!(!meet(&of("T", &["A"]), &of("T", &["B"])));
        assert!(!meet(&of("T", &[]), &of("T", &["B"])));
        assert!(!meet(&of("T", &["A"]), &of("U", &["A"])));
    }
}
