//! How the predecessor destroyed libraries, as far as that is about finding.
//!
//! | case | finding | removing |
//! | --- | --- | --- |
//! | 1 a link made after the listing | | `races::a_file_linked_after_the_listing_stays` |
//! | 2 a hash of yesterday | here; `classes::a_hash_that_is_not_known_or_no_longer_true_makes_unknown` | `races::a_file_rewritten_replaced_or_swapped_in_the_last_moment_stays` |
//! | 3 no links at all | here | `cases::a_store_that_cannot_be_believed_keeps_everything` |
//! | 4 an unknown mount point | here | `cases::links_into_a_mount_point_that_nobody_named_keep_all_that_may_be_meant` |
//! | 5 the only copy | here | `cases::only_the_classes_asked_for_go_and_the_others_pass_through` |
//! | 6 an outage taken for "not there", and kept | here | `races::a_database_that_goes_down_in_mid_run_keeps_the_rest_and_gives_up` |
//! | 7 a row without a stored copy | here | `cases::whatever_is_in_doubt_stays` |
//! | 8 Calibre is not told | | `cases::a_tracked_duplicate_goes_only_while_calibre_says_the_same` |
//! | 9 a list in place of a backup | `reports::a_report_replaces_the_old_one_at_once_or_not_at_all` | `undo::undo_gives_back_every_byte_time_and_name` |
//! | 10 another tool's file overwritten | here | |
//! | 11 workers that all do the same | `resume::shards_come_to_the_whole_and_share_nothing` | |
//! | 12 an upload under way | `ebooks::a12_…` | `ebooks::an_ebook_that_gets_its_file_at_this_very_moment_stays` |
//! | 13 a failed query is no clean database | `ebooks::a13_…` | |
//!
//! The others are about uploading.

use std::fs;

use crate::stage::{FIRST, PDF, SECOND, Stage};

#[test]
fn a2_a_digest_of_before_the_file_was_rewritten_is_not_believed() {
    let mut stage = Stage::new();
    stage.stored("Z/1.epub", "a stray of the server's");
    let stray = stage.put("Zed/stray.epub", "a stray of the server's");
    stage.list();
    let scan = || {
        let ran = stage
            .full()
            .args(["--cache-still=2", "--cache", "cache"])
            .ok();
        stage.findings(&ran)["Zed/stray.epub"].clone()
    };
    // What was changed a moment ago is not kept, so the first scans may hash it anew.
    let changed = fs::metadata(&stray).unwrap().modified().unwrap();
    harness::wait_for(
        "a digest in the cache",
        std::time::Duration::from_secs(20),
        || {
            assert_eq!(scan()["class"], "untracked_on_server");
            let cache = rusqlite::Connection::open(stage.dir.join("cache")).unwrap();
            let count = cache.query_row("SELECT count(*) FROM digest", [], |row| row.get(0));
            (count == Ok(1)).then_some(())
        },
    );
    // Of the same size, at the same place, and with its time set back.
    fs::write(&stray, "A STRAY OF THE SERVER'S").unwrap();
    let file = fs::File::options().write(true).open(&stray).unwrap();
    file.set_modified(changed).unwrap();
    assert_eq!(scan()["class"], "untracked");
}

#[test]
fn a3_zero_links_are_no_proof_that_nothing_is_linked() {
    let mut stage = Stage::new();
    stage.linked("A/1.epub", "first epub", stage.lib(FIRST));
    stage.linked("A/2.pdf", "first pdf", stage.lib(PDF));
    stage.put("Zed/stray.epub", "first epub");
    stage.list().write_known();
    // The store's disk is not mounted; or it is another server's.
    fs::rename(stage.dir.join("store"), stage.dir.join("away")).unwrap();
    for other in [None, Some("X/9.epub")] {
        fs::create_dir_all(stage.dir.join("store/books")).unwrap();
        if let Some(file) = other {
            stage
                .dir
                .write(format!("store/books/{file}"), "of another server");
        }
        let ran = stage.full().code(1);
        let findings = stage.findings(&ran);
        for path in [FIRST, PDF, "Zed/stray.epub"] {
            assert_eq!(findings[path]["class"], "unknown", "{path}");
            assert_eq!(findings[path]["removable"], "unknown", "{path}");
        }
    }
}

#[test]
fn a4_an_unknown_mount_point_makes_unknown() {
    let mut stage = Stage::new();
    stage.linked("A/1.epub", "first epub", format!("/books/{FIRST}"));
    stage.stored("B/2.epub", "second epub");
    stage.put("Zed/First - Ann Author.epub", "second epub");
    stage.list();
    for maps in [None, Some("/wrong=/books"), Some("/lib=/calibre_library")] {
        let run = stage.full();
        let run = match maps {
            Some(map) => run.args(["--path-map", map]),
            None => run,
        };
        let findings = stage.findings(&run.ok());
        assert_eq!(findings[FIRST]["class"], "unknown", "{maps:?}");
        assert!(
            findings[FIRST]["why"]
                .as_str()
                .unwrap()
                .contains("--path-map")
        );
        // Any file of that name may be the one that is meant.
        assert_eq!(findings["Zed/First - Ann Author.epub"]["class"], "unknown");
        assert_eq!(findings[SECOND]["class"], "duplicate_of_server");
    }
}

#[test]
fn a5_what_the_server_lacks_is_never_removable() {
    let mut stage = Stage::new();
    stage.stored("Z/other.epub", "other bytes");
    stage.put("Zed/only copy.epub", "only here");
    stage.list();
    let findings = stage.findings(&stage.full().ok());
    for (path, finding) in &findings {
        assert_eq!(finding["removable"], "no", "{path}");
    }
    assert_eq!(findings["Zed/only copy.epub"]["class"], "untracked");
    assert_eq!(findings[FIRST]["class"], "not_uploaded");
}

#[test]
fn a6_an_outage_is_no_answer_and_is_not_remembered() {
    let mut stage = Stage::new();
    stage.stored("A/1.epub", "first epub");
    stage.stored("Z/2.epub", "a stray");
    stage.stored("Z/3.epub", "a stone");
    stage.put("Zed/stray.epub", "a stray");
    stage.put("Zed/stone.epub", "a stone");
    stage.list().write_known();
    // The database went away after the first two rows: all that is not among them may be there.
    stage.dir.shell("mv known all; head -2 all >known").ok();
    let scan = |stage: &Stage| {
        let args = [
            "--known",
            "known",
            "--store",
            "store",
            "--cache-still=2",
            "--cache",
            "cache",
        ];
        stage.plain().args(args)
    };
    scan(&stage).code(3).one_line(&["known"]);
    let ran = scan(&stage).arg("--partial").ok();
    let findings = stage.findings(&ran);
    for (path, finding) in &findings {
        let class = finding["class"].as_str().unwrap();
        let expected = match path.as_str() {
            FIRST => "duplicate_of_server",
            "metadata.db" => "internal",
            _ => "unknown",
        };
        assert_eq!(class, expected, "{path}");
        assert!(class == "duplicate_of_server" || finding["removable"] != "yes");
    }
    // It is back, and what it could not say is asked again.
    stage.dir.shell("mv all known").ok();
    let findings = stage.findings(&scan(&stage).ok());
    assert_eq!(findings["Zed/stray.epub"]["class"], "untracked_on_server");
    assert_eq!(findings["Zed/stone.epub"]["class"], "untracked_on_server");
    assert_eq!(findings[SECOND]["class"], "not_uploaded");
}

#[test]
fn a10_a_file_of_another_tool_is_not_overwritten() {
    let stage = Stage::new();
    stage.list();
    let journal = "{\"type\":\"journal\"}\n";
    stage.dir.write("upload.journal", journal);
    let ran = stage.plain().args(["--cache", "upload.journal"]).code(2);
    ran.one_line(&["upload.journal"]);
    let ran = stage.plain().args(["--report", "upload.journal"]).code(2);
    assert!(ran.stderr().contains("upload.journal"), "{}", ran.report());
    let kept = fs::read_to_string(stage.dir.join("upload.journal")).unwrap();
    assert_eq!(kept, journal);
}

#[test]
fn a7_size_and_hash_must_both_be_the_server_s() {
    let mut stage = Stage::new();
    stage.put("Zed/same size.epub", "FIRST EPUB");
    stage.stored("A/1.epub", "first epub");
    stage.list();
    // A row with the right hash and a wrong size is another content's.
    stage.write_known();
    stage
        .dir
        .shell("sed -i 's/\"size\":10/\"size\":11/' known")
        .ok();
    let run = stage.plain().args(["--known", "known", "--store", "store"]);
    let findings = stage.findings(&run.ok());
    assert_eq!(findings[FIRST]["class"], "not_uploaded");
    let findings = stage.findings(&stage.full().ok());
    assert_eq!(findings[FIRST]["class"], "duplicate_of_server");
    assert_eq!(findings["Zed/same size.epub"]["class"], "untracked");
}

#[test]
fn fact4_untracked_files_of_every_kind_are_found() {
    let stage = Stage::new();
    let strays = [
        "a.epub",
        "Ann Author/b.djvu",
        "x/y/z/c.docx",
        "Ann Author/First (1)/d.xyz",
    ];
    for name in strays {
        stage.put(name, name);
    }
    stage.list();
    let classes = stage.classes(&stage.plain().ok());
    for name in strays {
        assert_eq!(classes[name], "untracked", "{name}");
    }
}

#[test]
fn fact6_a_scan_is_never_used_up() {
    let mut stage = Stage::new();
    stage.stored("A/1.epub", "first epub");
    stage.put("Zed/stray.epub", "first epub");
    stage.list();
    let scan = || {
        let ran = stage
            .full()
            .args(["--cache-still=2", "--cache", "cache"])
            .ok();
        let mut lines: Vec<String> = ran.stdout().lines().map(Into::into).collect();
        lines.sort();
        lines
    };
    assert_eq!(scan(), scan());
}
