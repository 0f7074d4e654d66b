//! One entry and all that is known of it, to its class. Nothing is asked or read here, so every case
//! can be tried; what is not known is never taken for a no.

mod classify;
mod facts;

use std::fmt;

pub use classify::{Classification, classify};
pub use facts::{Claim, Facts, Kind, Linked, Removable, Server};

/// What an entry is. The order is that of the decision but for [`Class::Missing`], which is no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Calibre has it on record; the server was not asked.
    Tracked,
    /// A link of the server's store leads to it.
    InUse,
    /// On record, and the server has the bytes, too.
    DuplicateOfServer,
    /// On record, and the server lacks the bytes.
    NotUploaded,
    /// One answer that its class depends on could not be had.
    Unknown,
    /// Calibre's own.
    Internal,
    /// Another program's, a link, another library or file system.
    Foreign,
    /// In a book's data folder.
    ExtraData,
    /// Calibre may take it for a file that is missing.
    HealCandidate,
    /// Its name is that of a tracked file but for case.
    CaseMismatch,
    /// It cannot be looked at, or not be read.
    Unreadable,
    /// Nobody has it on record.
    Untracked,
    /// Nobody has it on record, and the server has the bytes.
    UntrackedOnServer,
    /// A tracked file that is not there.
    Missing,
}

impl Class {
    /// All of them, in the order of the decision.
    pub const ALL: [Class; 14] = [
        Class::Tracked,
        Class::InUse,
        Class::DuplicateOfServer,
        Class::NotUploaded,
        Class::Unknown,
        Class::Internal,
        Class::Foreign,
        Class::ExtraData,
        Class::HealCandidate,
        Class::CaseMismatch,
        Class::Unreadable,
        Class::Untracked,
        Class::UntrackedOnServer,
        Class::Missing,
    ];

    /// The word for it in records.
    pub fn name(self) -> &'static str {
        match self {
            Class::Tracked => "tracked",
            Class::InUse => "in_use",
            Class::DuplicateOfServer => "duplicate_of_server",
            Class::NotUploaded => "not_uploaded",
            Class::Unknown => "unknown",
            Class::Internal => "internal",
            Class::Foreign => "foreign",
            Class::ExtraData => "extra_data",
            Class::HealCandidate => "heal_candidate",
            Class::CaseMismatch => "case_mismatch",
            Class::Unreadable => "unreadable",
            Class::Untracked => "untracked",
            Class::UntrackedOnServer => "untracked_on_server",
            Class::Missing => "missing",
        }
    }

    /// The class of this name.
    pub fn named(name: &str) -> Option<Class> {
        Class::ALL.into_iter().find(|class| class.name() == name)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_a_name_of_its_own() {
        for class in Class::ALL {
            assert_eq!(Class::named(class.name()), Some(class));
        }
        assert_eq!(Class::named(""), None);
    }
}
