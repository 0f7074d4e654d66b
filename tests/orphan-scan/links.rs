//! The store's links: path maps, folders, retries, doubts.

use std::{fs, os::unix::fs::symlink};

use crate::stage::{FIRST, PDF, SECOND, Stage};

#[test]
fn links_are_resolved_as_the_server_sees_them() {
    let mut stage = Stage::new();
    stage.linked(
        "A/1.epub",
        "first epub",
        format!("/calibre_library/{FIRST}"),
    );
    stage.linked(
        "A/2.pdf",
        "first pdf",
        format!("/data/old/../../more/{PDF}"),
    );
    stage.stored("A/3.epub", "second epub");
    // Up and out of the store, which is /data for the server.
    let stray = stage.put("Zed/stray.epub", "a stray");
    stage.linked(
        "Z/4.epub",
        "a stray",
        "../../../calibre_library/Zed/stray.epub",
    );
    assert!(stray.exists());
    stage.list();
    let lib = stage.dir.join("lib");
    let store = stage.dir.join("store");
    let maps = [
        format!("{}=/calibre_library", lib.display()),
        format!("{}=/more", lib.display()),
        format!("{}=/data", store.display()),
    ];
    let maps = maps.iter().flat_map(|map| ["--path-map", map]);
    let classes = stage.classes(&stage.full().args(maps).ok());
    assert_eq!(classes[FIRST], "in_use");
    assert_eq!(classes[PDF], "in_use");
    assert_eq!(classes[SECOND], "duplicate_of_server");
    assert_eq!(classes["Zed/stray.epub"], "in_use");
}

#[test]
fn a_link_is_known_by_the_file_it_leads_to() {
    let mut stage = Stage::new();
    // By another name of the library, over a link, and by a second name of the file.
    symlink(stage.dir.join("lib"), stage.dir.join("alias")).unwrap();
    stage.linked(
        "A/1.epub",
        "first epub",
        stage.dir.join("alias").join(FIRST),
    );
    let second = stage.dir.join("second name.pdf");
    fs::hard_link(stage.lib(PDF), &second).unwrap();
    stage.linked("A/2.pdf", "first pdf", &second);
    stage.list();
    let classes = stage.classes(&stage.full().ok());
    assert_eq!((&*classes[FIRST], &*classes[PDF]), ("in_use", "in_use"));
}

#[test]
fn links_in_folders_that_are_links_count() {
    let mut stage = Stage::new();
    stage.stored("A/2.pdf", "first pdf");
    stage.on_record("B/1.epub", "first epub");
    let disk = stage.dir.join("other disk");
    fs::create_dir(&disk).unwrap();
    symlink(stage.lib(FIRST), disk.join("1.epub")).unwrap();
    symlink(&disk, disk.join("circle")).unwrap();
    symlink(&disk, stage.dir.join("store/books/B")).unwrap();
    stage.list();
    let classes = stage.classes(&stage.full().ok());
    assert_eq!(classes[FIRST], "in_use");
    assert_eq!(classes[PDF], "duplicate_of_server");
}

#[test]
fn a_listing_that_fails_is_tried_again_and_then_makes_unknown() {
    let mut stage = Stage::new();
    stage.stored("A/1.epub", "first epub");
    stage.put("Zed/stray.epub", "first epub");
    // It may be a folder that holds any number of links.
    symlink("/not/here", stage.dir.join("store/books/somewhere")).unwrap();
    stage.list();
    let ran = stage.full().code(1);
    let findings = stage.findings(&ran);
    for path in [FIRST, "Zed/stray.epub"] {
        assert_eq!(findings[path]["class"], "unknown", "{path}");
        assert_eq!(findings[path]["removable"], "unknown", "{path}");
    }
    for pause in ["again in 1 s", "again in 2 s", "again in 4 s"] {
        assert!(ran.stderr().contains(pause), "{}", ran.report());
    }
    assert!(
        ran.of_type("error")[0]["message"]
            .as_str()
            .unwrap()
            .contains("somewhere")
    );
}

#[test]
fn the_folder_of_books_may_be_given_itself() {
    let mut stage = Stage::new();
    stage.linked("A/1.epub", "first epub", stage.lib(FIRST));
    stage.list();
    let ran = stage.asking().args(["--store", "store/books"]).ok();
    assert_eq!(stage.classes(&ran)[FIRST], "in_use");
}

#[test]
fn a_link_to_a_folder_is_one_to_all_that_is_in_it() {
    let mut stage = Stage::new();
    stage.stored("A/1.epub", "first epub");
    stage.on_record("Whole/Second (2)/Second - Bob Writer.epub", "second epub");
    symlink(stage.lib("Bob Writer"), stage.dir.join("store/books/Whole")).unwrap();
    stage.put("Bob Writer/x/y/stray.epub", "first epub");
    stage.put("Zed/stray.epub", "first epub");
    stage.list();
    let classes = stage.classes(&stage.full().ok());
    assert_eq!(classes[SECOND], "in_use");
    assert_eq!(classes["Bob Writer/x/y/stray.epub"], "in_use");
    assert_eq!(classes["Zed/stray.epub"], "untracked_on_server");
}

#[test]
fn a_link_to_a_folder_above_the_library_is_one_to_all_of_it() {
    let mut stage = Stage::new();
    stage.linked("A/1.epub", "first epub", stage.lib(FIRST));
    stage.put("Zed/stray.epub", "first epub");
    stage.list();
    let class = |stage: &Stage| stage.classes(&stage.full().ok())["Zed/stray.epub"].clone();
    assert_eq!(class(&stage), "untracked_on_server");
    let above = stage.lib("").parent().unwrap().to_path_buf();
    symlink(above, stage.dir.join("store/books/Above")).unwrap();
    assert_eq!(class(&stage), "in_use");
}

#[test]
fn a_link_to_a_link_is_followed_by_the_server_s_names() {
    let mut stage = Stage::new();
    stage.linked("A/1.epub", "first epub", "/data/elsewhere/2.epub");
    stage.list();
    // Not in the folder of books, so that nobody comes by but over the first one.
    let second = stage.dir.join("store/elsewhere/2.epub");
    fs::create_dir(second.parent().unwrap()).unwrap();
    symlink(format!("/calibre/{FIRST}"), second).unwrap();
    let maps = [
        format!("{}=/calibre", stage.dir.join("lib").display()),
        format!("{}=/data", stage.dir.join("store").display()),
    ];
    let ran = stage.full();
    let ran = ran
        .args(maps.iter().flat_map(|map| ["--path-map", map]))
        .ok();
    let findings = stage.findings(&ran);
    assert_eq!(findings[FIRST]["class"], "in_use");
    assert_eq!(findings[PDF]["class"], "not_uploaded");
}

#[test]
fn a_file_that_takes_the_place_of_one_that_a_link_leads_to_is_in_use() {
    let mut stage = Stage::new();
    stage.linked("A/1.epub", "first epub", stage.lib("Zed/gone.epub"));
    stage.put("Zed/other.epub", "first epub");
    // By a path over a link, and in other letters, which may be one file to a server.
    symlink(stage.dir.join("lib"), stage.dir.join("alias")).unwrap();
    stage.linked(
        "A/2.epub",
        "second epub",
        stage.dir.join("alias/Zed/x.epub"),
    );
    stage.list();
    stage.put("Zed/X.EPUB", "first epub");
    let findings = stage.findings(&stage.full().ok());
    assert_eq!(findings["Zed/X.EPUB"]["class"], "in_use");
    assert_eq!(findings["Zed/other.epub"]["class"], "untracked_on_server");
}
