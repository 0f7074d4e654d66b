//! On what terms a refusal holds: limits, formats and languages may change, and then the file is to
//! be asked about again.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use crate::{known::Content, metadata::language::Languages, model::job::Job};

/// What a file was refused for, and by which rules.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RefusalRule {
    /// Larger than the server takes: it was asked about this many bytes.
    Size(u64),
    /// The server does not know files of this extension.
    Format(String),
    /// The server takes files of this extension, and its engine fails on each.
    Engine(String),
    /// No language that the server has.
    Language {
        /// Those of the book, as the input names them.
        book: Vec<String>,
        /// The server's, as codes.
        server: Vec<String>,
        /// What --default-language says.
        default: Option<String>,
    },
}

impl RefusalRule {
    /// Those on which this file is refused, should it be for its language.
    pub fn of_language(job: &Job, languages: &Languages) -> RefusalRule {
        let codes = languages.offered.iter().map(|l| l.code.clone());
        let mut codes: Vec<String> = codes.collect();
        codes.sort_unstable();
        RefusalRule::Language {
            book: job.book.languages.clone(),
            server: codes,
            default: languages.default.as_ref().map(|l| l.code.clone()),
        }
    }

    /// The number of this content's refusal on these terms. Sizes are compared with the server's
    /// limit of the day, so the number says only that size was the reason.
    pub fn number(&self, content: &Content) -> u64 {
        // The same in each run of this process, and kept nowhere else.
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        match self {
            RefusalRule::Size(_) => hasher.hash_one((content, "size")),
            other => hasher.hash_one((content, other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_that_of_one_content_on_its_own_terms() {
        let content = |digit: &str| Content::new(&digit.repeat(40), 9).unwrap();
        let language = |server: &[&str]| RefusalRule::Language {
            book: vec!["deu".into()],
            server: server.iter().map(|code| code.to_string()).collect(),
            default: None,
        };
        let number = |terms: RefusalRule| terms.number(&content("a"));
        assert_eq!(number(language(&["en"])), number(language(&["en"])));
        assert_ne!(number(language(&["en"])), number(language(&["en", "de"])));
        assert_ne!(
            number(RefusalRule::Format("azw".into())),
            number(RefusalRule::Format("lit".into()))
        );
        assert_eq!(number(RefusalRule::Size(9)), number(RefusalRule::Size(500)));
        assert_ne!(
            number(RefusalRule::Size(9)),
            RefusalRule::Size(9).number(&content("b"))
        );
    }
}
