//! One entry and all that is known of it, to its class. Nothing is asked or read here, so every case
//! can be tried; what is not known is never taken for a no.

use std::{borrow::Cow, fmt};

use crate::{names::Likeness, zones::Zone};

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

/// Yes, no, or nobody could tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is so.
    Yes,
    /// It is not so.
    No,
    /// It was not asked, or there was no answer.
    Unknown,
}

impl Answer {
    /// The word for it in records.
    pub fn name(self) -> &'static str {
        match self {
            Answer::Yes => "yes",
            Answer::No => "no",
            Answer::Unknown => "unknown",
        }
    }
}

/// What kind of entry it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A symbolic link; it is not followed.
    Link,
    /// A FIFO, a socket, a device.
    Special,
    /// A folder or file that something else is mounted on, or a folder that is another library; it
    /// was not entered. Why.
    Border(&'static str),
    /// It could not be looked at.
    Unseen,
}

/// Has the server these bytes?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Nobody asked for that (no `--known`).
    NotAsked,
    /// A row of its has this SHA-1 and size.
    Has,
    /// None has.
    Lacks,
    /// It could not be told; why.
    Unknown(&'static str),
}

/// Does a link of the server's store lead here?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linked {
    /// Nobody asked for that (no `--store`).
    NotAsked,
    /// One does.
    Yes,
    /// The links are all known, and none does.
    No,
    /// It could not be told; why.
    Unknown(&'static str),
}

/// All that the class of an entry depends on.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// How its path is like that of a tracked file.
    pub row: Option<Likeness>,
    /// The zone that it is in.
    pub zone: Zone,
    /// What kind of entry it is.
    pub kind: Kind,
    /// Is a tracked format with this extension missing in its folder, so that Calibre may take this
    /// file for it?
    pub heals: bool,
    /// Has it an e-book's extension?
    pub book: bool,
    /// May it be read? Only what nobody tracks is asked.
    pub readable: Answer,
    /// Has the server the bytes?
    pub server: Server,
    /// Does a link lead here?
    pub linked: Linked,
    /// Was it made or changed after the library's database was read, so that Calibre may have it on
    /// record by now?
    pub late: bool,
    /// May the list of tracked files lack some (`--partial`)?
    pub partial: bool,
}

/// The class of an entry, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What it is.
    pub class: Class,
    /// Why, for a person.
    pub why: Cow<'static, str>,
    /// May its bytes be removed without loss, as far as is known?
    pub removable: Answer,
}

impl Verdict {
    fn new(class: Class, removable: Answer, why: impl Into<Cow<'static, str>>) -> Verdict {
        Verdict {
            class,
            why: why.into(),
            removable,
        }
    }
}

/// Decides. The first rule that fits is the class.
pub fn classify(facts: &Facts) -> Verdict {
    use Class::*;
    let keep = |class, why: &'static str| Verdict::new(class, Answer::No, why);
    match facts.row {
        Some(Likeness::Same) => return tracked(facts, "Calibre has it on record"),
        Some(Likeness::Normalised) => {
            return tracked(
                facts,
                "Calibre has it on record, its name in another Unicode normalisation",
            );
        }
        Some(Likeness::Case) | None => {}
    }
    match (facts.zone, facts.kind) {
        (Zone::Internal(why), _) => return keep(Internal, why),
        (Zone::Foreign(why), _) | (_, Kind::Border(why)) => return keep(Foreign, why),
        (_, Kind::Link) => return keep(Foreign, "a symbolic link"),
        (_, Kind::Special) => return keep(Foreign, "neither file nor folder"),
        (Zone::ExtraData, _) => return keep(ExtraData, "in the data folder of a book"),
        (Zone::Books, Kind::File | Kind::Unseen) => {}
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
    if facts.kind == Kind::Unseen {
        return Verdict::new(Unreadable, Answer::Unknown, "it cannot be looked at");
    }
    if facts.readable == Answer::No {
        return Verdict::new(Unreadable, Answer::Unknown, "it may not be read");
    }
    untracked(facts)
}

fn tracked(facts: &Facts, why: &'static str) -> Verdict {
    use Class::*;
    let say =
        |class, removable, more: &str| Verdict::new(class, removable, format!("{why}; {more}"));
    match (facts.server, facts.linked) {
        (Server::NotAsked, _) => Verdict::new(Tracked, Answer::No, why),
        (_, Linked::Yes) => say(InUse, Answer::No, "a link of the server's store leads here"),
        _ if facts.kind != Kind::File => say(Unknown, Answer::Unknown, "it is no regular file"),
        (Server::Lacks, _) => say(NotUploaded, Answer::No, "the server has not these bytes"),
        (Server::Unknown(reason), _) => say(Unknown, Answer::Unknown, reason),
        (Server::Has, Linked::No) => say(
            DuplicateOfServer,
            Answer::Yes,
            "the server has these bytes, and no link leads here",
        ),
        (Server::Has, Linked::NotAsked) => say(
            Unknown,
            Answer::Unknown,
            "the server has these bytes, but the links of its store were not listed (--store)",
        ),
        (Server::Has, Linked::Unknown(reason)) => say(Unknown, Answer::Unknown, reason),
    }
}

fn untracked(facts: &Facts) -> Verdict {
    use Class::*;
    if facts.linked == Linked::Yes {
        return Verdict::new(
            InUse,
            Answer::No,
            "nobody has it on record, but a link of the server's store leads here",
        );
    }
    let unknown = |why| Verdict::new(Unknown, Answer::Unknown, why);
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
    match facts.server {
        Server::NotAsked => Verdict::new(Untracked, Answer::Unknown, "nobody has it on record"),
        _ if !facts.book => Verdict::new(
            Untracked,
            Answer::Unknown,
            "nobody has it on record, and it has no e-book's extension",
        ),
        Server::Lacks => Verdict::new(
            Untracked,
            Answer::No,
            "nobody has it on record, and the server has not these bytes",
        ),
        Server::Unknown(reason) => unknown(reason),
        Server::Has => match facts.linked {
            Linked::No => Verdict::new(
                UntrackedOnServer,
                Answer::Yes,
                "nobody has it on record, the server has these bytes, and no link leads here",
            ),
            _ => Verdict::new(
                UntrackedOnServer,
                Answer::Unknown,
                "nobody has it on record, and the server has these bytes; whether a link leads here \
                 was not asked (--store)",
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn facts() -> impl Strategy<Value = Facts> {
        let row = prop_oneof![
            Just(None),
            Just(Some(Likeness::Same)),
            Just(Some(Likeness::Normalised)),
            Just(Some(Likeness::Case)),
        ];
        let zone = prop_oneof![
            3 => Just(Zone::Books),
            1 => Just(Zone::Internal("i")),
            1 => Just(Zone::Foreign("f")),
            1 => Just(Zone::ExtraData),
        ];
        let kind = prop_oneof![
            4 => Just(Kind::File),
            1 => Just(Kind::Link),
            1 => Just(Kind::Special),
            1 => Just(Kind::Border("b")),
            1 => Just(Kind::Unseen),
        ];
        let readable = prop_oneof![Just(Answer::Yes), Just(Answer::No), Just(Answer::Unknown)];
        let server = prop_oneof![
            Just(Server::NotAsked),
            Just(Server::Has),
            Just(Server::Lacks),
            Just(Server::Unknown("s")),
        ];
        let linked = prop_oneof![
            Just(Linked::NotAsked),
            Just(Linked::Yes),
            Just(Linked::No),
            Just(Linked::Unknown("l")),
        ];
        let seldom = || prop::bool::weighted(0.2);
        let flags = (any::<bool>(), any::<bool>(), seldom(), seldom());
        (row, zone, kind, readable, server, linked, flags).prop_map(
            |(row, zone, kind, readable, server, linked, (heals, book, late, partial))| Facts {
                row,
                zone,
                kind,
                heals,
                book,
                readable,
                server,
                linked,
                late,
                partial,
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

        /// What may go: a regular file, whose bytes the server has, to which no link leads, and which
        /// Calibre would not miss. All that is known of it must say so.
        #[test]
        fn nothing_is_removable_that_is_not_known_to_be_elsewhere(facts in facts()) {
            let verdict = classify(&facts);
            let provable = facts.kind == Kind::File
                && facts.server == Server::Has
                && facts.linked == Linked::No;
            if verdict.removable == Answer::Yes {
                prop_assert!(provable, "{facts:?}: {verdict:?}");
                let tracked = matches!(facts.row, Some(Likeness::Same | Likeness::Normalised));
                let expected = match tracked {
                    true => Class::DuplicateOfServer,
                    false => Class::UntrackedOnServer,
                };
                prop_assert_eq!(verdict.class, expected);
                prop_assert!(
                    tracked
                        || (!facts.heals
                            && !facts.partial
                            && !facts.late
                            && facts.row.is_none()
                            && facts.book
                            && facts.readable != Answer::No
                            && facts.zone == Zone::Books)
                );
            }
            prop_assert!(verdict.class != Class::Missing && !verdict.why.is_empty());
        }

        /// The classes that a tool may remove are never given where the answer is not known.
        #[test]
        fn what_nobody_could_tell_is_neither_duplicate_nor_orphan(facts in facts()) {
            let class = classify(&facts).class;
            if matches!(facts.linked, Linked::Unknown(_)) || facts.linked == Linked::Yes {
                prop_assert!(!matches!(
                    class,
                    Class::DuplicateOfServer | Class::Untracked | Class::UntrackedOnServer
                ));
            }
            if matches!(facts.server, Server::Unknown(_)) {
                prop_assert!(!matches!(
                    class,
                    Class::DuplicateOfServer | Class::NotUploaded | Class::UntrackedOnServer
                ));
            }
            if facts.partial || facts.late {
                prop_assert!(!matches!(class, Class::Untracked | Class::UntrackedOnServer));
            }
        }

        /// The order of the rules: an earlier one decides, whatever the later ones would say.
        #[test]
        fn the_first_rule_that_fits_decides(facts in facts()) {
            let class = classify(&facts).class;
            let one_of = |classes: &[Class]| classes.contains(&class);
            use Class::*;
            match facts.row {
                Some(Likeness::Same | Likeness::Normalised) => prop_assert!(one_of(
                    &[Tracked, InUse, DuplicateOfServer, NotUploaded, Unknown]
                )),
                row => match (facts.zone, facts.kind) {
                    (Zone::Internal(_), _) => prop_assert_eq!(class, Internal),
                    (Zone::Foreign(_), _) | (_, Kind::Link | Kind::Special | Kind::Border(_)) => {
                        prop_assert_eq!(class, Foreign)
                    }
                    (Zone::ExtraData, _) => prop_assert_eq!(class, ExtraData),
                    (_, Kind::File) if row.is_some() => prop_assert_eq!(class, CaseMismatch),
                    _ if facts.heals => prop_assert_eq!(class, HealCandidate),
                    (_, Kind::Unseen) => prop_assert_eq!(class, Unreadable),
                    _ => prop_assert!(one_of(
                        &[Unreadable, InUse, Unknown, Untracked, UntrackedOnServer]
                    )),
                },
            }
        }
    }

    #[test]
    fn every_class_has_a_name_of_its_own() {
        for class in Class::ALL {
            assert_eq!(Class::named(class.name()), Some(class));
        }
        assert_eq!(Class::named(""), None);
    }
}
