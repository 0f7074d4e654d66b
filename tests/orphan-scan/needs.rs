//! What Calibre reaches by another path, and what may be the file of a book that lacks its own, is never
//! called removable.

use std::{fs, os::unix::fs::symlink};

use library::Book;

use crate::stage::{FIRST, PDF, SECOND, Stage};

/// The server has the bytes of `Second`, and a file of another book is a link's.
fn stage() -> Stage {
    let mut stage = Stage::new();
    stage.stored("A/second.epub", "second epub");
    stage.linked("A/first.epub", "first epub", stage.lib(FIRST));
    stage
}

/// The one file with the bytes of `Second`, wherever it is: its class.
fn class_of(stage: &Stage, path: &str) -> String {
    let ran = stage.full().ok();
    let finding = stage.findings(&ran).remove(path);
    let finding = finding.unwrap_or_else(|| panic!("no finding of {path}\n{}", ran.report()));
    assert_ne!(finding["removable"], "yes", "{path}\n{}", ran.report());
    finding["class"].as_str().unwrap().into()
}

#[test]
fn a_file_that_calibre_reaches_by_another_path_is_tracked() {
    type Case = (&'static str, fn(&Stage) -> &'static str);
    let cases: [Case; 5] = [
        ("an author's folder that is a link", |stage| {
            fs::rename(stage.lib("Bob Writer"), stage.lib("Robert")).unwrap();
            symlink("Robert", stage.lib("Bob Writer")).unwrap();
            "Robert/Second (2)/Second - Bob Writer.epub"
        }),
        ("a file that is a link to another one", |stage| {
            stage.put("Zed/second.epub", "second epub");
            fs::remove_file(stage.lib(SECOND)).unwrap();
            symlink("../../Zed/second.epub", stage.lib(SECOND)).unwrap();
            "Zed/second.epub"
        }),
        ("an absolute path on record", |stage| {
            let folder = stage.lib("Bob Writer/Second (2)");
            let folder = folder.display();
            stage.sql(&format!("UPDATE books SET path = '{folder}' WHERE id = 2"));
            SECOND
        }),
        ("a path on record that climbs", |stage| {
            stage.sql("UPDATE books SET path = 'x/../Bob Writer/Second (2)' WHERE id = 2");
            fs::create_dir(stage.lib("x")).unwrap();
            SECOND
        }),
        ("a name on record that holds a slash", |stage| {
            stage.sql("UPDATE books SET path = 'Bob Writer' WHERE id = 2");
            stage.sql("UPDATE data SET name = 'Second (2)/Second - Bob Writer' WHERE book = 2");
            SECOND
        }),
    ];
    for (case, change) in cases {
        let stage = stage();
        let path = change(&stage);
        stage.list();
        println!("{case}");
        assert_eq!(class_of(&stage, path), "unknown", "{case}");
        let ran = stage.plain().ok();
        assert_eq!(stage.classes(&ran)[path], "tracked", "{case}");
        assert_eq!(ran.summary()["missing"], 0, "{case}\n{}", ran.report());
    }
}

#[test]
fn a_tracked_file_that_two_records_lead_to_is_no_duplicate() {
    let mut stage = stage();
    stage.stored("A/first.pdf", "first pdf");
    stage.add(Book::new("Third").by("Carl").file("PDF", "first pdf"));
    let third = stage.lib("Carl/Third (3)/Third - Carl.pdf");
    fs::remove_file(&third).unwrap();
    symlink(stage.lib(PDF), &third).unwrap();
    stage.list();
    assert_eq!(class_of(&stage, PDF), "unknown");
}

#[test]
fn a_record_that_cannot_be_placed_makes_every_file_of_its_name_unknown() {
    let stage = stage();
    symlink("ring", stage.lib("ring")).unwrap();
    stage.sql("UPDATE books SET path = 'ring/Second (2)' WHERE id = 2");
    fs::create_dir(stage.lib("Zed")).unwrap();
    fs::rename(stage.lib(SECOND), stage.lib("Zed/Second - Bob Writer.epub")).unwrap();
    stage.list();
    assert_eq!(class_of(&stage, "Zed/Second - Bob Writer.epub"), "unknown");
    // Nor does one go that is on record itself.
    let mut stage = stage;
    stage.stored("A/third.epub", "third epub");
    stage.add(Book::new("Third").by("Carl").file("EPUB", "third epub"));
    stage.sql("UPDATE data SET name = 'Second - Bob Writer' WHERE book = 3");
    let third = "Carl/Third (3)/Second - Bob Writer.epub";
    let old = stage.lib("Carl/Third (3)/Third - Carl.epub");
    fs::rename(old, stage.lib(third)).unwrap();
    stage.list();
    assert_eq!(class_of(&stage, third), "unknown");
}

#[test]
fn a_displaced_file_of_a_missing_book_is_a_heal_candidate() {
    for to in [
        // Half-done renames; a dot lost; a name through SMB, another character set, NFD.
        "Bob Writer/Second Edition (2)/Second - Bob Writer.epub",
        "Robert Writer/Second (2)/Second - Robert Writer.epub",
        "Bob Writer\u{f029}/Second (2)\u{f028}/S\u{f022}.epub",
        "Bob Writer/Second (2)/Second - Bob Writer.epub.bak.epub",
        "B\u{c3}\u{b6}b/Second (2)/x.epub",
        // By its name alone; by its bytes alone.
        "Zed/Second - Bob Writer.epub",
        "Zed/second - bob writer.EPUB",
        "Zed/quite another name.epub",
    ] {
        let stage = stage();
        stage.list();
        let to_path = stage.lib(to);
        fs::create_dir_all(to_path.parent().unwrap()).unwrap();
        fs::rename(stage.lib(SECOND), to_path).unwrap();
        assert_eq!(class_of(&stage, to), "heal_candidate", "{to}");
    }
}

/// Calibre follows the link, and takes what lies there for the file that is missing.
#[test]
fn a_file_in_a_folder_that_a_missing_book_s_folder_links_to_is_a_heal_candidate() {
    let mut stage = stage();
    stage.stored("B/other.epub", "another edition");
    stage.list();
    fs::remove_file(stage.lib(SECOND)).unwrap();
    fs::remove_dir(stage.lib("Bob Writer/Second (2)")).unwrap();
    stage.put("Zed/x.epub", "another edition");
    symlink("../Zed", stage.lib("Bob Writer/Second (2)")).unwrap();
    assert_eq!(class_of(&stage, "Zed/x.epub"), "heal_candidate");
}

/// Every record was taken for one that leads nowhere, and its files for nobody's.
#[test]
fn the_records_of_a_utf16_database_are_found() {
    let stage = stage();
    library::damage::to_utf16(&stage.lib("metadata.db")).unwrap();
    fs::rename(stage.lib("Bob Writer"), stage.lib("Robert")).unwrap();
    symlink("Robert", stage.lib("Bob Writer")).unwrap();
    stage.list();
    let moved = "Robert/Second (2)/Second - Bob Writer.epub";
    assert_eq!(class_of(&stage, moved), "unknown");
    let ran = stage.plain().ok();
    assert_eq!(stage.classes(&ran)[moved], "tracked", "{}", ran.report());
    assert_eq!(stage.classes(&ran)[FIRST], "tracked", "{}", ran.report());
    fs::remove_file(stage.lib("Bob Writer")).unwrap();
    assert_eq!(class_of(&stage, moved), "heal_candidate");
}

#[test]
fn a_file_of_another_book_is_no_heal_candidate() {
    let stage = stage();
    stage.list();
    fs::remove_file(stage.lib(FIRST)).unwrap();
    stage.put("Zed/Other (9)/other.epub", "second epub");
    let findings = stage.findings(&stage.full().ok());
    let finding = &findings["Zed/Other (9)/other.epub"];
    assert_eq!(finding["class"], "untracked_on_server");
    assert_eq!(finding["removable"], "yes");
}

#[test]
fn an_inner_library_without_its_database_is_not_removable() {
    let stage = stage();
    stage.list();
    stage.put("Old/Carl/Third (9)/Third - Carl.epub", "second epub");
    stage.put("Older/full-text-search.db", "");
    stage.put("Older/Carl/x.epub", "second epub");
    assert_eq!(
        class_of(&stage, "Old/Carl/Third (9)/Third - Carl.epub"),
        "unknown"
    );
    assert_eq!(class_of(&stage, "Older"), "foreign");
}

#[test]
fn a_duplicate_beside_another_file_of_its_extension_is_kept() {
    let stage = stage();
    stage.list();
    let finding = |stage: &Stage| stage.findings(&stage.full().ok())[SECOND].clone();
    assert_eq!(finding(&stage)["removable"], "yes");
    stage.put("Bob Writer/Second (2)/new.EPUB", "another edition");
    let finding = finding(&stage);
    assert_eq!(finding["class"], "duplicate_of_server");
    assert_eq!(finding["removable"], "no");
}
