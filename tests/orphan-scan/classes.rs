//! Every class, and the order of the rules.

use std::fs;

use library::Book;

use crate::stage::{FIRST, PDF, SECOND, Stage, map};

#[test]
fn without_the_server_s_list_files_are_tracked_or_not() {
    let stage = Stage::new();
    stage.put("Ann Author/First (1)/cover.jpg", "a cover");
    stage.put("Ann Author/First (1)/metadata.opf", "its backup");
    stage.put("Ann Author/First (1)/data/scan.pdf", "a scan");
    stage.put("Ann Author/First (1)/notes.txt", "my notes");
    stage.put("Zed/Stray (9)/stray.epub", "a stray");
    stage.put(".caltrash/b/7/x/x.epub", "deleted");
    stage.put("Ann Author/.DS_Store", "");
    stage.list();
    let ran = stage.plain().ok();
    let expected = map(&[
        (FIRST, "tracked"),
        (PDF, "tracked"),
        (SECOND, "tracked"),
        ("Ann Author/First (1)/data/scan.pdf", "extra_data"),
        ("Ann Author/First (1)/notes.txt", "untracked"),
        ("Zed/Stray (9)/stray.epub", "untracked"),
        ("Ann Author/.DS_Store", "foreign"),
    ]);
    assert_eq!(stage.classes(&ran), expected);
    let findings = stage.findings(&ran);
    for (path, finding) in &findings {
        if finding["class"] == "internal" {
            assert!(
                path.starts_with('.') || path == "metadata.db" || path.contains("(1)/"),
                "{path}"
            );
        }
        let removable = match finding["class"].as_str().unwrap() {
            "untracked" => "unknown",
            _ => "no",
        };
        assert_eq!(finding["removable"], removable, "{path}");
    }
    let first = &findings[FIRST];
    assert_eq!(first["row"], first["path"]);
    assert_eq!(
        (&first["book_id"], &first["format"]),
        (&1.into(), &"epub".into())
    );
    assert_eq!(first["size"], 10);
    assert_eq!(first["nlink"], 1);
    assert!(first["sha1"].is_string() && first["uuid"].is_string() && first["inode"].is_string());
    assert_eq!(ran.summary()["complete"], true);
    assert_eq!(ran.stderr(), "");
}

#[test]
fn with_it_each_file_is_in_use_a_duplicate_or_not_uploaded() {
    let mut stage = Stage::new();
    stage.linked("A/first.epub", "first epub", stage.lib(FIRST));
    stage.stored("A/first.pdf", "first pdf");
    stage.put("Zed/on server.epub", "a stray on the server");
    stage.put("Zed/not on server.epub", "a stray of no other's");
    stage.put("Zed/same size.epub", "a stray on the sErver");
    stage.put("Zed/note.nfo", "a stray on the server");
    stage.stored("Z/stray.epub", "a stray on the server");
    stage.stored("Z/never here.epub", "bytes that are not in the library");
    stage.list();
    let ran = stage.full().ok();
    let expected = map(&[
        (FIRST, "in_use"),
        (PDF, "duplicate_of_server"),
        (SECOND, "not_uploaded"),
        ("Zed/on server.epub", "untracked_on_server"),
        ("Zed/not on server.epub", "untracked"),
        ("Zed/same size.epub", "untracked"),
        ("Zed/note.nfo", "untracked"),
    ]);
    assert_eq!(stage.classes(&ran), expected);
    let findings = stage.findings(&ran);
    let removable = |path: &str| findings[path]["removable"].as_str().unwrap();
    assert_eq!(removable(FIRST), "no");
    assert_eq!(removable(PDF), "yes");
    assert_eq!(removable(SECOND), "no");
    assert_eq!(removable("Zed/on server.epub"), "yes");
    assert_eq!(removable("Zed/not on server.epub"), "no");
    assert!(findings["Zed/on server.epub"]["sha1"].is_string());
    // Of a size that the server has not, so it was not read.
    assert!(findings["Zed/note.nfo"].get("sha1").is_none());
    let summary = ran.summary();
    assert_eq!(summary["known"], 4);
    assert_eq!(
        (&summary["known_matched"], &summary["known_unmatched"]),
        (&3.into(), &1.into())
    );
}

#[test]
fn an_untracked_file_that_a_link_leads_to_is_in_use() {
    let mut stage = Stage::new();
    let stray = stage.put("Zed/stray.epub", "a stray");
    stage.linked("Z/stray.epub", "a stray", &stray);
    stage.stored("A/first.epub", "first epub");
    stage.list();
    let classes = stage.classes(&stage.full().ok());
    assert_eq!(classes["Zed/stray.epub"], "in_use");
    assert_eq!(classes[FIRST], "duplicate_of_server");
}

#[test]
fn without_the_store_nothing_is_called_a_duplicate() {
    let mut stage = Stage::new();
    stage.stored("A/first.epub", "first epub");
    stage.put("Zed/stray.epub", "first epub");
    stage.list();
    let findings = stage.findings(&stage.asking().ok());
    assert_eq!(findings[FIRST]["class"], "unknown");
    assert!(findings[FIRST]["why"].as_str().unwrap().contains("--store"));
    // That nobody tracks it is known; whether it may go is not.
    assert_eq!(findings["Zed/stray.epub"]["class"], "untracked_on_server");
    assert_eq!(findings["Zed/stray.epub"]["removable"], "unknown");
}

#[test]
fn a_hash_that_is_not_known_or_no_longer_true_makes_unknown() {
    let mut stage = Stage::new();
    stage.stored("A/first.epub", "first epub");
    stage.stored("A/first.pdf", "first pdf");
    stage.list();
    // Of the same size: only its time tells.
    stage.put(FIRST, "FIRST EPUB");
    let findings = stage.findings(&stage.full().ok());
    assert_eq!(findings[FIRST]["class"], "unknown");
    assert!(findings[FIRST].get("sha1").is_none());
    assert_eq!(findings[PDF]["class"], "duplicate_of_server");
    stage.list_only();
    let findings = stage.findings(&stage.full().ok());
    for path in [FIRST, PDF, SECOND] {
        assert_eq!(findings[path]["class"], "unknown", "{path}");
        assert_eq!(findings[path]["removable"], "unknown", "{path}");
    }
}

#[test]
fn calibre_would_take_a_file_for_the_one_that_is_missing() {
    let mut stage = Stage::new();
    stage.list();
    fs::rename(
        stage.lib(FIRST),
        stage.lib("Ann Author/First (1)/Old Name.epub"),
    )
    .unwrap();
    stage.put("Ann Author/First (1)/other.kepub.epub", "first epub");
    stage.put(
        "Ann Author/First (1)/other.EPUB",
        "not for Calibre, but perhaps the missing one",
    );
    stage.put("Ann Author/First (1)/._x.epub", "AppleDouble");
    stage.put("Ann Author/First (1)/other.pdf", "the pdf is there");
    stage.put("Ann Author/another.epub", "in another folder");
    stage.stored("A/first.epub", "first epub");
    let ran = stage.full().ok();
    let expected = map(&[
        (FIRST, "missing"),
        ("Ann Author/First (1)/Old Name.epub", "heal_candidate"),
        ("Ann Author/First (1)/other.kepub.epub", "heal_candidate"),
        ("Ann Author/First (1)/other.EPUB", "heal_candidate"),
        ("Ann Author/First (1)/._x.epub", "foreign"),
        ("Ann Author/First (1)/other.pdf", "heal_candidate"),
        ("Ann Author/another.epub", "untracked"),
        (PDF, "not_uploaded"),
        (SECOND, "not_uploaded"),
    ]);
    assert_eq!(stage.classes(&ran), expected);
    let findings = stage.findings(&ran);
    assert_eq!(
        findings["Ann Author/First (1)/Old Name.epub"]["row"],
        findings[FIRST]["row"]
    );
    let why = findings[FIRST]["why"].as_str().unwrap();
    assert!(
        why.contains("Name.epub") || why.contains("kepub.epub"),
        "{why}"
    );
    assert_eq!(ran.summary()["missing"], 1);
}

#[test]
fn a_name_in_another_case_or_normalisation_is_no_stray() {
    let stage = Stage::new();
    stage.add(Book::new("Third").by("Carl").file("EPUB", "third"));
    stage.sql("UPDATE data SET name = 'caf\u{e9}' WHERE book = 3");
    fs::rename(
        stage.lib("Carl/Third (3)/Third - Carl.epub"),
        stage.lib("Carl/Third (3)/cafe\u{301}.epub"),
    )
    .unwrap();
    stage.list_only();
    let upper = "Ann Author/First (1)/FIRST - Ann Author.epub";
    fs::rename(stage.lib(FIRST), stage.lib(upper)).unwrap();
    fs::rename(stage.lib("Bob Writer"), stage.lib("bob writer")).unwrap();
    // Beside the one that is tracked.
    stage.put("Ann Author/First (1)/First - Ann Author.PDF", "twin");
    let ran = stage.plain().ok();
    let expected = map(&[
        (upper, "case_mismatch"),
        (
            "bob writer/Second (2)/Second - Bob Writer.epub",
            "case_mismatch",
        ),
        (PDF, "tracked"),
        (
            "Ann Author/First (1)/First - Ann Author.PDF",
            "case_mismatch",
        ),
        ("Carl/Third (3)/cafe\u{301}.epub", "tracked"),
    ]);
    assert_eq!(stage.classes(&ran), expected);
    assert_eq!(ran.summary()["rows_found"], 4);
}

#[test]
fn a_list_made_elsewhere_serves() {
    let stage = Stage::new();
    stage.list();
    fs::rename(stage.dir.join("lib"), stage.dir.join("elsewhere")).unwrap();
    let ran = stage
        .dir
        .tool("orphan-scan")
        .args(["--tracked", "tracked", "elsewhere"])
        .ok();
    let summary = ran.summary();
    assert_eq!(
        (&summary["tracked"], &summary["missing"]),
        (&3.into(), &0.into())
    );
    let first = &ran
        .of_type("finding")
        .into_iter()
        .find(|f| f["book_id"] == 2)
        .unwrap();
    assert!(
        first["path"]
            .as_str()
            .unwrap()
            .contains("/elsewhere/Bob Writer/")
    );
    assert!(first["row"].as_str().unwrap().contains("/lib/Bob Writer/"));
}

#[test]
fn everything_at_once_is_told_once() {
    let stage = Stage::new();
    let root = stage.dir.join("ugly");
    library::ugly::make(&root).unwrap();
    stage
        .dir
        .shell("calibre-list ugly >tracked || test $? -eq 1")
        .ok();
    let ran = stage
        .dir
        .tool("orphan-scan")
        .args(["--tracked", "tracked", "ugly"])
        .ok();
    crate::stage::balance(&ran);
    let count = stage
        .dir
        .shell("find ugly ! -type d -printf x | wc -c")
        .ok();
    let summary = ran.summary();
    assert_eq!(summary["walked"].to_string(), count.stdout().trim());
    let bytes = stage
        .dir
        .shell("find ugly -type f -printf '%s\\n' | awk '{s+=$1} END {print s}'");
    assert_eq!(
        summary["walked_bytes"].to_string(),
        bytes.ok().stdout().trim()
    );
    // As calibre-list --stat sees it.
    let stat = stage
        .dir
        .tool("calibre-list")
        .args(["--stat", "ugly"])
        .run();
    let of = |status: &str| {
        let books = stat.of_type("book_file").into_iter();
        books.filter(|book| book["status"] == status).count() as u64
    };
    assert_eq!(summary["tracked"], of("ok"));
    assert_eq!(summary["case_mismatch"], of("case_mismatch"));
    assert_eq!(summary["missing"], of("missing") + of("heal_candidate"));
}
