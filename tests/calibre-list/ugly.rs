//! A library in which everything is wrong, compared record by record with plain SQL.

use std::os::unix::ffi::OsStrExt;

use harness::Workdir;
use serde_json::Value;
use wire::Record;

use crate::{
    sql::expected,
    tree::{assert_untouched, tree},
};

/// Names must agree, values too, but for those that the record says were cut.
fn compare(record: &Value, expected: &serde_json::Map<String, Value>) {
    let none = Vec::new();
    let cut = record["truncated"].as_array().unwrap_or(&none);
    for (name, value) in expected {
        let ours = &record[name];
        if cut.contains(&Value::from(name.as_str())) {
            assert!(begins(value, ours), "{name}: {ours} of {value}");
            assert_ne!(ours, value, "{name} is not cut");
        } else {
            assert_eq!(ours, value, "{name} in {record}");
        }
    }
    let length = |name: &str| record[name].as_array().map(Vec::len);
    assert_eq!(length("authors"), length("author_sorts"), "{record}");
    let more = [
        "type",
        "path",
        "path_b64",
        "cover_b64",
        "truncated",
        "was",
        "tool",
        "op",
        "message",
        "retry",
    ];
    for name in record.as_object().unwrap().keys() {
        assert!(
            expected.contains_key(name) || more.contains(&name.as_str()),
            "{name} in {record}"
        );
    }
}

fn begins(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::String(whole), Value::String(part)) => whole.starts_with(part),
        (Value::Array(whole), Value::Array(part)) => {
            part.len() <= whole.len()
                && part
                    .iter()
                    .zip(whole)
                    .enumerate()
                    .all(|(at, (part, whole))| part == whole || at == 0 && begins(whole, part))
        }
        _ => false,
    }
}

fn check(dir: &Workdir) {
    let root = dir.join("books");
    library::ugly::make(&root).unwrap();
    let before = tree(&root);
    let ran = dir.tool("calibre-list").args(["books", "--stat"]).code(1);
    assert_untouched(&root, &before);

    let mut records = ran.records();
    let summary = records.pop().unwrap();
    let expected = expected(&root);
    assert_eq!(records.len(), expected.len());
    assert_eq!(summary["records"], records.len());
    assert_eq!(summary["complete"], true);
    let unsafe_rows = expected.iter().filter(|row| row.path.is_none()).count();
    assert!(unsafe_rows > 25);
    assert_eq!(summary["failed"], unsafe_rows);
    assert_eq!(
        ran.stderr().lines().count(),
        unsafe_rows,
        "{}",
        ran.report()
    );

    let lines = ran.stdout.split(|byte| *byte == b'\n');
    for ((mut record, row), line) in records.into_iter().zip(&expected).zip(lines) {
        let status = record.as_object_mut().unwrap().remove("status");
        match &row.path {
            None => {
                assert_eq!(
                    (&record["type"], &record["was"]),
                    (&"error".into(), &"book_file".into())
                );
                assert!(record.get("path").is_none() && status.is_none());
            }
            Some(path) => {
                let told = Record::parse(line.to_vec()).unwrap().path().unwrap();
                assert_eq!(told.as_os_str().as_bytes(), path.as_slice());
                let there = std::fs::symlink_metadata(&told).is_ok();
                assert_eq!(status == Some("ok".into()), there, "{record}");
                assert_eq!(record["type"], "book_file");
            }
        }
        let deep = record["book_id"] == 302;
        assert!(
            line.len() < 3072 || deep,
            "{} bytes: {record}",
            line.len() + 1
        );
        compare(&record, &row.fields);
    }
    let statuses: std::collections::BTreeSet<String> = ran
        .of_type("book_file")
        .iter()
        .filter_map(|record| Some(record["status"].as_str()?.to_string()))
        .collect();
    assert_eq!(
        Vec::from_iter(statuses),
        ["case_mismatch", "heal_candidate", "missing", "ok"]
    );
}

#[test]
fn records_equal_an_independent_reading() {
    check(&Workdir::new());
}

#[test]
fn in_calibre_s_own_schema_too() {
    let dir = Workdir::new();
    library::calibre::empty(&dir.join("books")).unwrap();
    check(&dir);
}

/// original.md 8.B, 16: paths were "sanitised", so links led nowhere.
#[test]
fn bug_b16_control_characters_stay_in_paths() {
    let dir = Workdir::new();
    library::ugly::make(&dir.join("books")).unwrap();
    let ran = dir.tool("calibre-list").args(["--ids", "44", "books"]).ok();
    let records = ran.of_type("book_file");
    assert!(!records.is_empty());
    for record in records {
        let path = record["path"].as_str().unwrap();
        assert!(path.contains("new\nline and \u{1b}[31m"));
        assert!(std::fs::metadata(path).is_ok(), "{path:?}");
    }
}

/// original.md: a title with braces broke a format string.
#[test]
fn c1_braces_in_names_are_only_characters() {
    let dir = Workdir::new();
    library::ugly::make(&dir.join("books")).unwrap();
    let ran = dir.tool("calibre-list").args(["--ids", "47", "books"]).ok();
    let records = ran.of_type("book_file");
    assert!(!records.is_empty());
    for record in records {
        assert!(std::fs::metadata(record["path"].as_str().unwrap()).is_ok());
        assert!(
            record["path"]
                .as_str()
                .unwrap()
                .contains("cafe\u{301} {0} 'q' \"d\"")
        );
    }
}
