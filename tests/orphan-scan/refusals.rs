//! Every refusal: the exit code is 3, no finding is written, and the one line says why. With --partial
//! the scan goes on, and nothing is called untracked.

use std::fs;

use harness::run::Run;
use library::Book;

use crate::stage::{FIRST, Stage};

#[track_caller]
fn refused(run: Run, texts: &[&str]) {
    let ran = run.code(3);
    ran.one_line(texts);
    assert_eq!(ran.stdout(), "", "{}", ran.report());
}

/// Refused without `--partial`; with it, a stray file is `unknown`.
#[track_caller]
fn refused_unless_partial(stage: &Stage, texts: &[&str]) {
    stage.put("Zed/stray.epub", "a stray");
    refused(stage.plain(), texts);
    let ran = stage.plain().arg("--partial").ok();
    let findings = stage.findings(&ran);
    assert_eq!(findings["Zed/stray.epub"]["class"], "unknown");
    assert_eq!(findings["Zed/stray.epub"]["removable"], "unknown");
    assert!(findings.values().all(|f| f["class"] != "untracked"));
    assert_eq!(ran.summary()["complete"], false);
    for text in texts {
        assert!(ran.stderr().contains(text), "{}", ran.report());
    }
}

#[test]
fn a_list_that_was_cut_short() {
    let stage = Stage::new();
    stage
        .list()
        .dir
        .shell("head -n -1 tracked >t && mv t tracked")
        .ok();
    refused_unless_partial(&stage, &["no summary"]);
    stage.list().dir.shell("sed -i 2d tracked").ok();
    refused_unless_partial(&stage, &["announce"]);
}

#[test]
fn a_list_with_a_line_that_is_none() {
    let stage = Stage::new();
    stage
        .list()
        .dir
        .shell("sed -i '2s/.*/nonsense/' tracked")
        .ok();
    refused_unless_partial(&stage, &["no records"]);
}

#[test]
fn a_list_of_a_selection() {
    let stage = Stage::new();
    stage
        .dir
        .shell("calibre-list --formats epub lib >tracked")
        .ok();
    refused_unless_partial(&stage, &["selection", "--formats epub"]);
}

#[test]
fn a_list_without_one_of_its_shards() {
    let stage = Stage::new();
    for k in 1..=2 {
        stage
            .dir
            .shell(&format!("calibre-list --shard {k}/2 lib >part{k}"))
            .ok();
    }
    stage.dir.shell("cp part1 tracked").ok();
    refused_unless_partial(&stage, &["shard 1/2"]);
    stage.dir.shell("cat part1 part1 >tracked").ok();
    refused_unless_partial(&stage, &["twice"]);
    stage.dir.shell("cat part2 part1 >tracked").ok();
    assert_eq!(stage.plain().ok().summary()["tracked"], 3);
}

#[test]
fn a_list_of_another_library() {
    let stage = Stage::new();
    stage.list();
    stage.sql("UPDATE library_id SET uuid = '00000000-0000-4000-8000-000000000000'");
    refused_unless_partial(
        &stage,
        &["another library", "00000000-0000-4000-8000-000000000000"],
    );
}

#[test]
fn a_list_that_does_not_say_of_which_library() {
    let stage = Stage::new();
    stage
        .list()
        .dir
        .shell("sed -i 's/,\"library\":\"[^\"]*\"//' tracked")
        .ok();
    refused_unless_partial(&stage, &["which library"]);
}

#[test]
fn a_list_older_than_its_database() {
    let stage = Stage::new();
    stage.list();
    stage.add(Book::new("Third").by("Carl").file("EPUB", "third"));
    refused_unless_partial(&stage, &["3 rows", "4 now"]);
    stage.sql("DELETE FROM data WHERE book > 1");
    refused_unless_partial(&stage, &["3 rows", "2 now"]);
}

#[test]
fn a_list_from_before_calibre_moved_a_book() {
    let stage = Stage::new();
    stage.list();
    // As many rows as before; but what is at the new place is on no list.
    fs::rename(stage.lib("Bob Writer"), stage.lib("Bob W. Writer")).unwrap();
    stage.sql("UPDATE books SET path = replace(path, 'Bob', 'Bob W.') WHERE id = 2");
    refused_unless_partial(&stage, &["other names now"]);
}

#[test]
fn a_list_without_a_single_match() {
    let stage = Stage::new();
    stage.list();
    for author in ["Ann Author", "Bob Writer"] {
        fs::rename(stage.lib(author), stage.lib(&format!("{author} 2"))).unwrap();
    }
    refused_unless_partial(&stage, &["no file of the list"]);
}

#[test]
fn a_list_of_nothing() {
    let stage = Stage::new();
    stage.sql("DELETE FROM data");
    stage.list();
    refused_unless_partial(&stage, &["no file of the list"]);
}

#[test]
fn a_list_of_paths_in_two_places() {
    let stage = Stage::new();
    let script = "calibre-list lib | sed 's#/lib/Bob#/elsewhere/Bob#' >tracked";
    stage.dir.shell(script).ok();
    refused_unless_partial(&stage, &["not below", "elsewhere/Bob"]);
}

#[test]
fn names_in_another_case_are_a_match() {
    let stage = Stage::new();
    stage.list();
    for author in ["Ann Author", "Bob Writer"] {
        fs::rename(stage.lib(author), stage.lib(&author.to_uppercase())).unwrap();
    }
    let ran = stage.plain().ok();
    stage.findings(&ran);
    assert_eq!(ran.summary()["case_mismatch"], 3);
}

#[test]
fn an_empty_folder() {
    let stage = Stage::new();
    stage.list();
    fs::create_dir(stage.dir.join("mountpoint")).unwrap();
    let scan = |more: &[&str]| {
        let run = stage.dir.tool("orphan-scan");
        run.args(["--tracked", "tracked", "mountpoint"]).args(more)
    };
    refused(scan(&[]), &["empty", "mounted"]);
    refused(scan(&["--partial"]), &["empty", "mounted"]);
    // Also where the database is elsewhere.
    refused(scan(&["--metadata-db", "lib/metadata.db"]), &["empty"]);
}

/// A list and a count that are both read by one index lack the same row, and agree.
#[test]
fn a_row_that_an_index_lacks() {
    let stage = Stage::new();
    stage.list();
    let change = "INSERT INTO data VALUES (900, 2, 'PDF', 1, 'unseen')";
    library::damage::unseen_by_indexes(&stage.lib("metadata.db"), "data", change).unwrap();
    stage.put("Bob Writer/Second (2)/unseen.pdf", "tracked");
    for more in [None, Some("--partial")] {
        let ran = stage.plain().args(more).code(255);
        ran.one_line(&["metadata.db: read: the database is damaged (index "]);
        assert!(ran.stdout.is_empty(), "{}", ran.report());
    }
}

#[test]
fn two_databases() {
    let stage = Stage::new();
    stage.list();
    fs::copy(stage.lib("metadata.db"), stage.dir.join("older.db")).unwrap();
    let text = "the folder has this database, and";
    refused(stage.plain().args(["--metadata-db", "older.db"]), &[text]);
    let name = "CALIBRE_OVERRIDE_DATABASE_PATH";
    let older = stage.dir.join("older.db");
    refused(stage.plain().arg("--partial").env(name, older), &[text]);
}

#[test]
fn a_list_of_known_contents_that_was_cut_short() {
    let mut stage = Stage::new();
    stage.stored("A/first.epub", "first epub");
    stage.list().write_known();
    stage.dir.shell("head -n 1 known >k && mv k known").ok();
    let run = |more: &[&str]| {
        stage
            .plain()
            .args(["--known", "known", "--store", "store"])
            .args(more)
    };
    refused(run(&[]), &["known", "no summary"]);
    let findings = stage.findings(&run(&["--partial"]).ok());
    assert_eq!(findings[FIRST]["class"], "duplicate_of_server");
    // What it does not name, the server may have all the same.
    assert_eq!(findings[crate::stage::SECOND]["class"], "unknown");
}

#[test]
fn what_is_no_library_is_a_mistake() {
    let stage = Stage::new();
    stage.list();
    stage.dir.write("folder/x", "");
    stage.dir.write("text", "");
    let usage = |args: &[&str], text: &str| {
        let ran = stage.dir.tool("orphan-scan").args(args).code(2);
        assert!(ran.stderr().contains(text), "{}", ran.report());
        assert_eq!(ran.stdout(), "");
    };
    usage(&["--tracked", "tracked", "folder"], "no metadata.db");
    usage(&["--tracked", "tracked", "nowhere"], "nowhere");
    usage(&["--tracked", "tracked"], "CALIBRE_LIBRARY");
    usage(&["--tracked", "nowhere", "lib"], "nowhere: open");
    usage(
        &["--tracked", "tracked", "--known", "nowhere", "lib"],
        "nowhere: open",
    );
    usage(
        &["--tracked", "tracked", "--path-map", "a=b", "lib"],
        "HOST=SERVER",
    );
    usage(
        &["--tracked", "tracked", "--report", "x.pdf", "lib"],
        ".html",
    );
    usage(&["--tracked", "tracked", "--shard", "3/2", "lib"], "K/N");
    usage(
        &["--tracked", "tracked", "--cache", "lib/metadata.db", "lib"],
        "cache",
    );
    usage(&["lib"], "--tracked");
}

/// All files looked as if the server had none of them.
#[test]
fn a_list_that_names_no_content_is_not_taken_for_a_server_that_has_none() {
    let stage = Stage::new();
    stage.list_only();
    let wrong = stage.plain().args(["--known", "tracked"]).code(3);
    assert!(
        wrong
            .stderr()
            .contains("not one of its records names a content"),
        "{}",
        wrong.report()
    );
    // A server that has none says so.
    stage.asking().ok();
}

#[test]
fn a_report_that_cannot_be_written_is_said_before_the_scan() {
    let stage = Stage::new();
    stage.list_only();
    let ran = stage.plain().args(["--report", "nowhere/x.txt"]).code(2);
    assert_eq!(ran.stdout(), "");
    ran.one_line(&["nowhere/x.txt: write: "]);
}
