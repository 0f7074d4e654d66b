//! Libraries that nobody would make on purpose: each class by our own judgement.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink},
};

use library::Book;

use crate::stage::{FIRST, PDF, SECOND, Stage, map};

#[test]
fn twins_that_differ_by_normalisation_do_not_share_one_hash() {
    let mut stage = Stage::new();
    stage.add(Book::new("Third").by("Carl").file("EPUB", "third"));
    stage.sql("UPDATE data SET name = 'caf\u{e9}' WHERE book = 3");
    let exact = stage.lib("Carl/Third (3)/caf\u{e9}.epub");
    fs::rename(stage.lib("Carl/Third (3)/Third - Carl.epub"), &exact).unwrap();
    stage.stored("C/3.epub", "third");
    stage.list();
    // Of the same size and time, with other bytes: nobody has hashed this one.
    let twin = "Carl/Third (3)/cafe\u{301}.epub";
    stage.put(twin, "THIRD");
    let time = fs::metadata(&exact).unwrap().modified().unwrap();
    let file = fs::File::options().write(true).open(stage.lib(twin));
    file.unwrap().set_modified(time).unwrap();
    let ran = stage.full().ok();
    let findings = stage.findings(&ran);
    let third = "Carl/Third (3)/caf\u{e9}.epub";
    assert_eq!(findings[third]["class"], "duplicate_of_server");
    assert_eq!(findings[twin]["class"], "unknown");
    assert!(findings[twin].get("sha1").is_none());
    assert_eq!(ran.summary()["rows_found"], 4);
}

#[test]
fn a_link_that_leads_nowhere_is_no_tracked_file_to_calibre() {
    let mut stage = Stage::new();
    stage.list();
    fs::remove_file(stage.lib(SECOND)).unwrap();
    symlink("/nowhere", stage.lib(SECOND)).unwrap();
    let other = "Bob Writer/Second (2)/other.epub";
    stage.put(other, "second epub");
    stage.stored("B/2.epub", "second epub");
    let findings = stage.findings(&stage.full().ok());
    assert_eq!(findings[other]["class"], "heal_candidate");
    // One that leads to a file is what Calibre opens.
    fs::remove_file(stage.lib(SECOND)).unwrap();
    symlink(stage.lib(FIRST), stage.lib(SECOND)).unwrap();
    let findings = stage.findings(&stage.full().ok());
    assert_eq!(findings[other]["class"], "untracked_on_server");
}

#[test]
fn a_file_with_other_names_may_be_the_server_s_own() {
    let mut stage = Stage::new();
    stage.put("Zed/stray.epub", "a stray");
    stage.put("Zed/copy.epub", "a stray");
    // As mbs-load --mode hardlink makes it.
    stage.stored("A/1.epub", "first epub");
    stage.stored("Z/1.epub", "a stray");
    for (stored, name) in [("A/1.epub", FIRST), ("Z/1.epub", "Zed/stray.epub")] {
        let stored = stage.dir.join("store/books").join(stored);
        fs::remove_file(&stored).unwrap();
        fs::hard_link(stage.lib(name), stored).unwrap();
    }
    stage.list();
    let findings = stage.findings(&stage.full().ok());
    for (path, class, removable) in [
        (FIRST, "duplicate_of_server", "unknown"),
        ("Zed/stray.epub", "untracked_on_server", "unknown"),
        ("Zed/copy.epub", "untracked_on_server", "yes"),
    ] {
        assert_eq!(findings[path]["class"], class, "{path}");
        assert_eq!(findings[path]["removable"], removable, "{path}");
    }
}

#[test]
fn the_server_s_store_in_the_library_is_not_the_library_s() {
    let mut stage = Stage::new();
    stage.stored("A/1.epub", "first epub");
    stage.list();
    fs::rename(stage.dir.join("store"), stage.lib("mbs")).unwrap();
    stage.write_known();
    for store in ["lib/mbs", "lib/mbs/books"] {
        let ran = stage.plain().args(["--known", "known", "--store", store]);
        let classes = stage.classes(&ran.ok());
        let inside = store.strip_prefix("lib/").unwrap();
        assert_eq!(classes[inside], "foreign");
        assert!(!classes.keys().any(|path| path.ends_with("1.epub")));
        assert_eq!(classes[FIRST], "duplicate_of_server");
    }
}

#[test]
fn a_library_behind_a_link_is_the_same_library() {
    let mut stage = Stage::new();
    stage.stored("A/1.epub", "first epub");
    stage.linked("B/2.epub", "second epub", stage.lib(SECOND));
    stage.list();
    fs::rename(stage.dir.join("lib"), stage.dir.join("disk")).unwrap();
    symlink("disk", stage.dir.join("lib")).unwrap();
    let classes = stage.classes(&stage.full().ok());
    let expected = map(&[
        (FIRST, "duplicate_of_server"),
        (PDF, "not_uploaded"),
        (SECOND, "in_use"),
    ]);
    assert_eq!(classes, expected);
}

#[test]
fn names_that_only_other_systems_take_for_one_are_two() {
    let mut stage = Stage::new();
    stage.stored("A/1.epub", "first epub");
    stage.list();
    // Windows drops dots and blanks at the end; we do not, and neither does Calibre here.
    for folder in ["Ann Author.", "Ann Author ", "Ann  Author"] {
        stage.put(
            &format!("{folder}/First (1)/First - Ann Author.epub"),
            "first epub",
        );
    }
    // Bytes that are no UTF-8, beside the text that they would be in Latin-1.
    let name = stage.lib("Ann Author/First (1)");
    fs::write(
        name.join(OsStr::from_bytes(b"First - Ann A\xfcthor.epub")),
        "first epub",
    )
    .unwrap();
    let classes = stage.classes(&stage.full().ok());
    for (path, class) in &classes {
        let expected = match path.as_str() {
            FIRST => "duplicate_of_server",
            PDF | SECOND => "not_uploaded",
            _ => "untracked_on_server",
        };
        assert_eq!(class, expected, "{path}");
    }
    assert_eq!(classes.len(), 7);
}

#[test]
fn folders_of_a_book_in_two_spellings_are_one_book() {
    let stage = Stage::new();
    stage.list();
    // A second folder that differs by case holds a twin, a stray and a cover.
    stage.put("ann author/First (1)/First - Ann Author.epub", "twin");
    stage.put("ann author/First (1)/stray.mobi", "stray");
    stage.put("ann author/First (1)/cover.jpg", "a cover");
    let classes = stage.classes(&stage.plain().ok());
    let expected = map(&[
        (FIRST, "tracked"),
        (PDF, "tracked"),
        (SECOND, "tracked"),
        (
            "ann author/First (1)/First - Ann Author.epub",
            "case_mismatch",
        ),
        ("ann author/First (1)/stray.mobi", "untracked"),
    ]);
    assert_eq!(classes, expected);
}
