use std::{fs, os::unix::fs::symlink};

use serde_json::Value;

use crate::world::{World, kept, only};

const APPLY: &str = "--apply";

#[test]
fn an_orphan_that_the_server_has_goes_into_the_quarantine_and_tells_its_proof() {
    let world = World::new();
    let finding = world.orphan("A/B (9)/x.epub", b"copy");
    let dry = world.rm(std::slice::from_ref(&finding)).ok();
    assert_eq!(only(&dry)["outcome"], "would_remove", "{}", dry.report());
    let verified = world
        .rm(std::slice::from_ref(&finding))
        .args([APPLY, "--verify-only"])
        .ok();
    assert_eq!(
        only(&verified)["outcome"],
        "verified",
        "{}",
        verified.report()
    );
    assert!(world.trash().is_empty() && world.journals().is_empty());

    let ran = world.rm(&[finding]).arg(APPLY).ok();
    let removal = only(&ran);
    assert_eq!(removal["outcome"], "removed", "{}", ran.report());
    let proof: Vec<&str> = removal["proof"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(Value::as_str)
        .collect();
    for text in [
        "dev",
        "sha1",
        "no record of Calibre's",
        "source",
        "hashed",
        "links leads here",
    ] {
        assert!(
            proof.iter().any(|line| line.contains(text)),
            "{text}: {proof:?}"
        );
    }
    assert!(!world.lib("A/B (9)/x.epub").exists());
    assert_eq!(
        world.trash(),
        [("A/B (9)/x.epub".to_string(), b"copy".to_vec())]
    );
    let trash = removal["trash"].as_str().unwrap();
    assert_eq!(fs::read(trash).unwrap(), b"copy");
    let summary = ran.summary();
    assert_eq!(
        (&summary["removed"], &summary["removed_bytes"]),
        (&1.into(), &4.into())
    );
}

#[test]
fn only_the_classes_asked_for_go_and_the_others_pass_through() {
    let world = World::new();
    let tracked = world.book("Dup", "EPUB", b"dup");
    world.stored("Dup/dup.epub", b"dup");
    let sole = world.stray("A/sole.pdf", b"nowhere else");
    let findings = [
        world.finding(&tracked, "duplicate_of_server"),
        world.finding(&sole, "untracked"),
        world.finding(&sole, "not_uploaded"),
        world.finding(&sole, "heal_candidate"),
    ];
    let ran = world.rm(&findings).arg(APPLY).ok();
    assert_eq!(ran.of_type("finding").len(), 4, "{}", ran.report());
    assert!(world.trash().is_empty());

    let all = "untracked_on_server,duplicate_of_server,untracked";
    let ran = world.rm(&findings).args([APPLY, "--classes", all]).ok();
    let gone = ran.of_type("removal");
    assert!(
        gone.iter().all(|removal| removal["outcome"] == "removed"),
        "{}",
        ran.report()
    );
    assert_eq!(world.trash().len(), 2);
    assert!(
        ran.stderr()
            .contains("calibredb remove_format --with-library"),
        "{}",
        ran.report()
    );
    assert!(ran.stderr().contains(" 2 EPUB"), "{}", ran.report());
    for class in ["not_uploaded", "in_use", "heal_candidate"] {
        world
            .rm(&findings)
            .args([APPLY, "--classes", class])
            .code(2);
    }
}

/// Each of these would have lost a book somewhere, and stays for a reason that is told.
#[test]
fn whatever_is_in_doubt_stays() {
    type Case = (&'static str, &'static str, fn(&World), fn(&World));
    let nothing = |_: &World| ();
    let cases: [Case; 15] = [
        (
            "written to after the scan",
            "changed since the scan",
            nothing,
            |world| {
                fs::write(world.lib("A/x.epub"), b"other bytes").unwrap();
            },
        ),
        (
            "replaced by a file of the same size and time",
            "another file now",
            nothing,
            |world| {
                let path = world.lib("A/x.epub");
                let time = fs::metadata(&path).unwrap().modified().unwrap();
                // The old one stays, so that its inode is not given out again.
                fs::rename(&path, world.work.join("old")).unwrap();
                fs::write(&path, b"copY").unwrap();
                fs::File::options()
                    .write(true)
                    .open(path)
                    .unwrap()
                    .set_modified(time)
                    .unwrap();
            },
        ),
        (
            "other bytes, same size and time",
            "bytes have changed",
            nothing,
            |world| {
                let path = world.lib("A/x.epub");
                let time = fs::metadata(&path).unwrap().modified().unwrap();
                fs::write(&path, b"copY").unwrap();
                fs::File::options()
                    .write(true)
                    .open(path)
                    .unwrap()
                    .set_modified(time)
                    .unwrap();
            },
        ),
        ("on record since", "on record now", nothing, |world| {
            let folder =
                "insert into books (id, title, sort, path, uuid) values (77, 'x', 'x', 'A', 'u')";
            world.calibre(folder);
            world.calibre("insert into data (book, format, uncompressed_size, name) values (77, 'EPUB', 4, 'X')");
        }),
        (
            "Calibre would heal a book with it",
            "lacks its epub",
            nothing,
            |world| {
                let folder = "insert into books (id, title, sort, path, uuid) values (77, 'x', 'x', 'A', 'u')";
                world.calibre(folder);
                world.calibre("insert into data (book, format, uncompressed_size, name) values (77, 'EPUB', 4, 'lost')");
            },
        ),
        ("the server's row is gone", "no row", nothing, |world| {
            world.sql("delete from source where location like 'Stored/%'");
        }),
        (
            "the server's row has another size",
            "no row",
            nothing,
            |world| {
                world.sql("update source set size = 5 where location like 'Stored/%'");
            },
        ),
        (
            "the server's file is gone",
            "is not there",
            nothing,
            |world| {
                fs::remove_file(world.books("Stored/A-x.epub")).unwrap();
            },
        ),
        (
            "the server's file is rotten",
            "other bytes",
            nothing,
            |world| {
                fs::write(world.books("Stored/A-x.epub"), b"cop?").unwrap();
            },
        ),
        (
            "the server's file is a link to this one",
            "this very file",
            nothing,
            |world| {
                fs::remove_file(world.books("Stored/A-x.epub")).unwrap();
                symlink(world.lib("A/x.epub"), world.books("Stored/A-x.epub")).unwrap();
            },
        ),
        (
            "the server's file is a hard link to this one",
            "this very file",
            nothing,
            |world| {
                fs::remove_file(world.books("Stored/A-x.epub")).unwrap();
                fs::hard_link(world.lib("A/x.epub"), world.books("Stored/A-x.epub")).unwrap();
            },
        ),
        (
            "a link of another row leads here",
            "a link of the server's store leads here",
            nothing,
            |world| {
                world.link("Other/x.epub", &world.lib("A/x.epub"), b"what it was");
            },
        ),
        (
            "a link without a row leads here by another way",
            "leads here",
            nothing,
            |world| {
                symlink(world.work.join("library"), world.work.join("alias")).unwrap();
                world.link_only("Other/x.epub", &world.work.join("alias/A/x.epub"));
            },
        ),
        (
            "a link leads to a place nobody knows",
            "--path-map",
            nothing,
            |world| {
                world.link_only(
                    "Other/x.epub",
                    std::path::Path::new("/calibre-library/A/x.epub"),
                );
            },
        ),
        ("its folder is a link now", "link", nothing, |world| {
            fs::rename(world.lib("A"), world.work.join("elsewhere")).unwrap();
            symlink(world.work.join("elsewhere"), world.lib("A")).unwrap();
        }),
    ];
    for (case, why, before, after) in cases {
        let world = World::new();
        before(&world);
        let finding = world.orphan("A/x.epub", b"copy");
        after(&world);
        let ran = world.rm(&[finding]).arg(APPLY).ok();
        println!("{case}: {}", only(&ran)["why"]);
        kept(&world, "A/x.epub", &ran, why);
    }
}

#[test]
fn what_a_forged_finding_names_stays() {
    let world = World::new();
    let finding = world.orphan("A/x.epub", b"copy");
    world.work.write("outside.epub", b"copy");
    world.orphan(".caltrash/b/1/x.epub", b"copy");
    world.orphan("A/cover (1)/cover.jpg", b"copy");
    world.orphan("nested/B/x.epub", b"copy");
    world.stray("nested/metadata.db", b"");
    let forged = |path: String| {
        let mut forged = finding.clone();
        forged["path"] = path.into();
        forged
    };
    let library = world.work.join("library");
    let of = |relative: &str| world.finding(relative, "untracked_on_server");
    for (finding, why) in [
        (
            forged(format!("{}/../outside.epub", library.display())),
            "not below the library",
        ),
        (
            forged(world.work.join("outside.epub").display().to_string()),
            "not below the library",
        ),
        (of("metadata.db"), "Calibre or another program"),
        (of(".caltrash/b/1/x.epub"), "Calibre or another program"),
        (of("A/cover (1)/cover.jpg"), "Calibre or another program"),
        (of("nested/B/x.epub"), "another library"),
        (
            forged(library.join("A/none.epub").display().to_string()),
            "it is gone",
        ),
        (forged(library.join("A").display().to_string()), "folder"),
    ] {
        let ran = world.rm(std::slice::from_ref(&finding)).arg(APPLY).ok();
        let removal = only(&ran);
        assert_eq!(removal["outcome"], "kept", "{}", ran.report());
        assert!(
            removal["why"].as_str().unwrap().contains(why),
            "{why}: {}",
            ran.report()
        );
    }
    for field in ["dev", "inode", "size", "mtime", "sha1"] {
        let mut finding = finding.clone();
        finding.as_object_mut().unwrap().remove(field);
        let ran = world.rm(&[finding]).arg(APPLY).ok();
        kept(&world, "A/x.epub", &ran, "not known: the finding");
    }
}

#[test]
fn a_store_that_cannot_be_believed_keeps_everything() {
    type Case = (&'static str, &'static str, fn(&World));
    let cases: [Case; 3] = [
        ("not mounted", "is it mounted", |world| {
            fs::rename(world.books(""), world.work.join("away")).unwrap();
            fs::create_dir(world.books("")).unwrap();
        }),
        (
            "no link, and files that the database has are absent",
            "no link was found",
            |world| {
                fs::remove_file(world.books("Linked/linked.epub")).unwrap();
                // A row of the file's own bytes, too, which may be a link to it.
                world.row("Away/x.epub", b"copy");
            },
        ),
        (
            "a folder that cannot be read",
            "could not be listed",
            |world| {
                // Not even root can read a folder whose name is too long for a path; a ring will do.
                world.link_only("Ring/ring", std::path::Path::new("ring"));
            },
        ),
    ];
    for (case, why, change) in cases {
        let world = World::new();
        let finding = world.orphan("A/x.epub", b"copy");
        change(&world);
        let ran = world.rm(&[finding]).arg(APPLY).ok();
        println!("{case}: {}", only(&ran)["why"]);
        let why = if case.starts_with("a folder") {
            "too many links"
        } else {
            why
        };
        kept(&world, "A/x.epub", &ran, why);
    }
}

#[test]
fn a_link_to_a_folder_is_one_to_all_that_is_in_it() {
    let world = World::new();
    let findings = [
        world.orphan("A/B (3)/x.epub", b"copy"),
        world.orphan("C/y.epub", b"free"),
    ];
    world.link_only("Whole", &world.lib("A"));
    let ran = world.rm(&findings).arg(APPLY).ok();
    let removals = ran.of_type("removal");
    assert_eq!(removals[0]["outcome"], "kept", "{}", ran.report());
    assert_eq!(removals[1]["outcome"], "removed", "{}", ran.report());
}

#[test]
fn a_link_to_a_folder_above_the_library_is_one_to_all_of_it() {
    let world = World::new();
    let finding = world.orphan("A/x.epub", b"copy");
    let library = world.lib("");
    world.link_only("Above", library.parent().unwrap());
    let ran = world.rm(&[finding]).arg(APPLY).ok();
    kept(&world, "A/x.epub", &ran, "leads to its folder");
}

#[test]
fn links_into_a_mount_point_that_nobody_named_keep_all_that_may_be_meant() {
    let world = World::new();
    let findings = [
        world.orphan("A/x.epub", b"copy"),
        world.orphan("A/y.epub", b"free"),
    ];
    world.link_only(
        "Other/x.epub",
        std::path::Path::new("/calibre-library/A/x.epub"),
    );
    let outcomes = || {
        let ran = world.rm(&findings).ok();
        let removals = ran.of_type("removal");
        [0, 1].map(|i| removals[i]["outcome"].as_str().unwrap().to_string())
    };
    assert_eq!(outcomes(), ["kept", "would_remove"]);
    // Where not one link leads to a place that is known, none is believed.
    fs::remove_file(world.books("Linked/linked.epub")).unwrap();
    assert_eq!(outcomes(), ["kept", "kept"]);
}

#[test]
fn links_are_read_through_path_maps() {
    let world = World::new();
    let finding = world.orphan("A/x.epub", b"copy");
    let free = world.orphan("A/y.epub", b"free");
    world.link_only("Other/x.epub", std::path::Path::new("/calibre/A/x.epub"));
    let map = format!("{}=/calibre", world.work.join("library").display());
    let ran = world
        .rm(&[finding, free])
        .args([APPLY, "--path-map", &map])
        .ok();
    let removals = ran.of_type("removal");
    assert_eq!(removals[0]["outcome"], "kept", "{}", ran.report());
    assert_eq!(removals[1]["outcome"], "removed", "{}", ran.report());
}

#[test]
fn a_tracked_duplicate_goes_only_while_calibre_says_the_same() {
    let world = World::new();
    let tracked = world.book("Dup", "EPUB", b"dup");
    world.stored("Dup/dup.epub", b"dup");
    let finding = world.finding(&tracked, "duplicate_of_server");
    let classes = ["--classes", "duplicate_of_server", APPLY];
    for (change, undo) in [
        (
            "delete from data where book = 2",
            "insert into data (book, format, uncompressed_size, name) values (2, 'EPUB', 3, 'Dup - Unknown')",
        ),
        (
            "delete from data where book = 1; update data set book = 1; update books set path = 'Unknown/Dup (2)' where id = 1",
            "update data set book = 2 where name = 'Dup - Unknown'; update books set path = 'Unknown/First (1)' where id = 1",
        ),
    ] {
        world.calibre(change);
        let ran = world.rm(std::slice::from_ref(&finding)).args(classes).ok();
        kept(&world, &tracked, &ran, "scan again");
        world.calibre(undo);
    }
    let ran = world.rm(&[finding]).args(classes).ok();
    assert_eq!(only(&ran)["outcome"], "removed", "{}", ran.report());
    let tidy = world
        .journals()
        .pop()
        .unwrap()
        .with_file_name("remove_format.sh");
    let commands = fs::read_to_string(tidy).unwrap();
    assert!(commands.contains("2 EPUB"), "{commands}");
}

/// One file of the server's was gone, and nothing could be removed any more.
#[test]
fn a_stored_file_that_is_gone_keeps_only_what_it_may_be_a_link_to() {
    let world = World::new();
    let findings = [
        world.orphan("A/x.epub", b"copy"),
        world.orphan("A/y.epub", b"more"),
        world.finding(&world.stray("A/z.epub", b"sole"), "untracked"),
        world.finding("A/linked.epub", "untracked_on_server"),
    ];
    // No link is left, and of two rows nothing is there.
    fs::remove_file(world.books("Linked/linked.epub")).unwrap();
    world.row("Away/y.epub", b"more");
    let run = world.rm(&findings).arg(APPLY);
    let ran = run
        .args(["--classes", "untracked_on_server,untracked"])
        .ok();
    let hint = "2 of the database's 5 files are not there either";
    assert!(ran.stderr().contains(hint), "{}", ran.report());
    let hint = "mbs-prune --store names them";
    assert!(ran.stderr().contains(hint), "{}", ran.report());
    let removals = ran.of_type("removal");
    let of = |name: &str| {
        let named = |end: &&Value| end["path"].as_str().unwrap().ends_with(name);
        removals.iter().find(named).unwrap()
    };
    assert_eq!(of("x.epub")["outcome"], "removed", "{}", ran.report());
    for name in ["y.epub", "z.epub"] {
        assert_eq!(of(name)["outcome"], "kept", "{}", ran.report());
        assert!(of(name)["why"].as_str().unwrap().contains("may be links"));
    }
    assert_eq!(of("/linked.epub")["outcome"], "kept", "{}", ran.report());
    assert_eq!(world.trash(), [("A/x.epub".to_string(), b"copy".to_vec())]);
    // So is what is freed.
    let purge = world.purger().arg(&world.journals()[0]);
    let ran = purge.args(["--older-than", "0"]).ok();
    assert_eq!(ran.summary()["purged"], 1, "{}", ran.report());
}
