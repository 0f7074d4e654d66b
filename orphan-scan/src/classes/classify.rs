//! The decision.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use super::{Claim, Class, Facts, Kind, Linked, Removable, Server};
use crate::{names::Likeness, reserved::Area};

/// The class of an entry, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classification {
    /// What it is.
    pub class: Class,
    /// Why, for a person.
    pub why: Cow<'static, str>,
    /// May its bytes be removed without loss, as far as is known?
    pub removable: Removable,
}

impl Classification {
    fn new(
        class: Class,
        removable: Removable,
        why: impl Into<Cow<'static, str>>,
    ) -> Classification {
        Classification {
            class,
            why: why.into(),
            removable,
        }
    }
}

/// Decides. The first rule that fits is the class.
pub fn classify(facts: &Facts) -> Classification {
    use Class::*;
    let keep = |class, why: &'static str| Classification::new(class, Removable::No, why);
    match facts.row {
        Some(Likeness::Same) => return tracked(facts, "Calibre has it on record"),
        Some(Likeness::Normalised) => {
            return tracked(
                facts,
                "Calibre has it on record, its name in another Unicode normalisation",
            );
        }
        None if facts.claim == Claim::Tracked && facts.kind == Kind::File => {
            return tracked(facts, "Calibre has it on record by another path");
        }
        Some(Likeness::Case) | None => {}
    }
    match (facts.area, facts.kind) {
        (Area::Internal(why), _) => return keep(Internal, why),
        (Area::Foreign(why), _) | (_, Kind::Border(why)) => return keep(Foreign, why),
        (_, Kind::Link) => return keep(Foreign, "a symbolic link"),
        (_, Kind::Special) => return keep(Foreign, "neither file nor folder"),
        (Area::ExtraData, _) => return keep(ExtraData, "in the data folder of a book"),
        (Area::Books, Kind::File | Kind::Unseen) => {}
    }
    if facts.row == Some(Likeness::Case) && facts.kind == Kind::File {
        return keep(CaseMismatch, "a tracked name but for case");
    }
    if facts.heals {
        return keep(
            HealCandidate,
            "a tracked file with this extension is missing in this folder, and Calibre would take \
             this one for it",
        );
    }
    if facts.claim == Claim::Missing {
        return keep(
            HealCandidate,
            "a tracked file is missing, and by its name, its folder's number or its bytes this may be it",
        );
    }
    if facts.kind == Kind::Unseen {
        return Classification::new(Unreadable, Removable::Unknown, "it cannot be looked at");
    }
    if facts.unreadable {
        return Classification::new(Unreadable, Removable::Unknown, "it may not be read");
    }
    untracked(facts)
}

fn tracked(facts: &Facts, why: &'static str) -> Classification {
    use Class::*;
    let say = |class, removable, more: &str| {
        Classification::new(class, removable, format!("{why}; {more}"))
    };
    match (facts.server, facts.linked, facts.claim) {
        (Server::NotAsked, ..) => Classification::new(Tracked, Removable::No, why),
        (_, Linked::Yes, _) => say(
            InUse,
            Removable::No,
            "a link of the server's store leads here",
        ),
        _ if facts.kind != Kind::File => say(Unknown, Removable::Unknown, "it is no regular file"),
        (Server::Lacks, ..) => say(NotUploaded, Removable::No, "the server has not these bytes"),
        (Server::Unknown(reason), ..) => say(Unknown, Removable::Unknown, reason),
        (Server::Has, _, Claim::Tracked) => say(
            Unknown,
            Removable::Unknown,
            "the server has these bytes, but a record leads to the file by another path, or more than one does",
        ),
        (Server::Has, _, Claim::Unknown(reason)) => say(Unknown, Removable::Unknown, reason),
        (Server::Has, Linked::No, _) if facts.rival => say(
            DuplicateOfServer,
            Removable::No,
            "the server has these bytes, but another file with its extension lies in its folder, and \
             Calibre would take that one in its place",
        ),
        (Server::Has, Linked::No, _) if facts.shared => say(
            DuplicateOfServer,
            Removable::Unknown,
            "the server has these bytes, and no link leads here, but the file has other names (hard \
             links), and the server's own may be one",
        ),
        (Server::Has, Linked::No, _) => say(
            DuplicateOfServer,
            Removable::Yes,
            "the server has these bytes, and no link leads here",
        ),
        (Server::Has, Linked::NotAsked, _) => say(
            Unknown,
            Removable::Unknown,
            "the server has these bytes, but the links of its store were not listed (--store)",
        ),
        (Server::Has, Linked::Unknown(reason), _) => say(Unknown, Removable::Unknown, reason),
    }
}

fn untracked(facts: &Facts) -> Classification {
    use Class::*;
    if facts.linked == Linked::Yes {
        return Classification::new(
            InUse,
            Removable::No,
            "nobody has it on record, but a link of the server's store leads here",
        );
    }
    let unknown = |why| Classification::new(Unknown, Removable::Unknown, why);
    if facts.partial {
        return unknown("the list of tracked files may lack it");
    }
    if facts.late {
        return unknown(
            "it came after the library's database was read, and may be on record by now",
        );
    }
    if let Linked::Unknown(reason) = facts.linked {
        return unknown(reason);
    }
    if let Claim::Unknown(reason) = facts.claim {
        return unknown(reason);
    }
    match facts.server {
        Server::NotAsked => {
            Classification::new(Untracked, Removable::Unknown, "nobody has it on record")
        }
        _ if !facts.book => Classification::new(
            Untracked,
            Removable::Unknown,
            "nobody has it on record, and it has no e-book's extension",
        ),
        Server::Lacks => Classification::new(
            Untracked,
            Removable::No,
            "nobody has it on record, and the server has not these bytes",
        ),
        Server::Unknown(reason) => unknown(reason),
        Server::Has => match facts.linked {
            Linked::No if facts.shared => Classification::new(
                UntrackedOnServer,
                Removable::Unknown,
                "nobody has it on record, the server has these bytes, and no link leads here, but the \
                 file has other names (hard links), and the server's own may be one",
            ),
            Linked::No => Classification::new(
                UntrackedOnServer,
                Removable::Yes,
                "nobody has it on record, the server has these bytes, and no link leads here",
            ),
            _ => Classification::new(
                UntrackedOnServer,
                Removable::Unknown,
                "nobody has it on record, and the server has these bytes; whether a link leads here \
                 was not asked (--store)",
            ),
        },
    }
}
