//! How the predecessor destroyed libraries, as far as that is about finding.

use std::fs;

use crate::stage::{FIRST, PDF, SECOND, Stage};

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
        let ran = stage.full().args(["--cache", "cache"]).ok();
        let mut lines: Vec<String> = ran.stdout().lines().map(Into::into).collect();
        lines.sort();
        lines
    };
    assert_eq!(scan(), scan());
}
