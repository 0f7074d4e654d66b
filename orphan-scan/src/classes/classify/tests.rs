//! All facts together, as chance has them.

use proptest::prelude::*;

use super::*;

fn facts() -> impl Strategy<Value = Facts> {
    let row = prop_oneof![
        Just(None),
        Just(Some(Likeness::Same)),
        Just(Some(Likeness::Normalised)),
        Just(Some(Likeness::Case)),
    ];
    let area = prop_oneof![
        3 => Just(Area::Books),
        1 => Just(Area::Internal("i")),
        1 => Just(Area::Foreign("f")),
        1 => Just(Area::ExtraData),
    ];
    let kind = prop_oneof![
        4 => Just(Kind::File),
        1 => Just(Kind::Link),
        1 => Just(Kind::Special),
        1 => Just(Kind::Border("b")),
        1 => Just(Kind::Unseen),
    ];
    let unreadable = prop::bool::weighted(0.3);
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
    let claim = prop_oneof![
        5 => Just(Claim::None),
        1 => Just(Claim::Tracked),
        1 => Just(Claim::Missing),
        1 => Just(Claim::Unknown("c")),
    ];
    let seldom = || prop::bool::weighted(0.2);
    let flags = (
        any::<bool>(),
        any::<bool>(),
        seldom(),
        seldom(),
        seldom(),
        seldom(),
    );
    (row, area, kind, unreadable, server, linked, claim, flags).prop_map(
        |(row, area, kind, unreadable, server, linked, claim, flags)| {
            let (heals, book, late, partial, shared, rival) = flags;
            Facts {
                row,
                area,
                kind,
                heals,
                claim,
                rival,
                book,
                unreadable,
                server,
                linked,
                shared,
                late,
                partial,
            }
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
            && facts.linked == Linked::No
            && !facts.shared
            && !matches!(facts.claim, Claim::Tracked | Claim::Unknown(_));
        if verdict.removable == Removable::Yes {
            prop_assert!(provable, "{facts:?}: {verdict:?}");
            let tracked = matches!(facts.row, Some(Likeness::Same | Likeness::Normalised));
            let expected = match tracked {
                true => Class::DuplicateOfServer,
                false => Class::UntrackedOnServer,
            };
            prop_assert_eq!(verdict.class, expected);
            prop_assert!(
                (tracked && !facts.rival)
                    || (!tracked
                        && facts.claim == Claim::None
                        && !facts.heals
                        && !facts.partial
                        && !facts.late
                        && facts.row.is_none()
                        && facts.book
                        && !facts.unreadable
                        && facts.area == Area::Books)
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
            None if facts.claim == Claim::Tracked && facts.kind == Kind::File => {
                prop_assert!(one_of(&[Tracked, InUse, NotUploaded, Unknown]))
            }
            row => match (facts.area, facts.kind) {
                (Area::Internal(_), _) => prop_assert_eq!(class, Internal),
                (Area::Foreign(_), _) | (_, Kind::Link | Kind::Special | Kind::Border(_)) => {
                    prop_assert_eq!(class, Foreign)
                }
                (Area::ExtraData, _) => prop_assert_eq!(class, ExtraData),
                (_, Kind::File) if row.is_some() => prop_assert_eq!(class, CaseMismatch),
                _ if facts.heals || facts.claim == Claim::Missing => {
                    prop_assert_eq!(class, HealCandidate)
                }
                (_, Kind::Unseen) => prop_assert_eq!(class, Unreadable),
                _ => prop_assert!(one_of(
                    &[Unreadable, InUse, Unknown, Untracked, UntrackedOnServer]
                )),
            },
        }
    }
}
