//! Libraries of the real Calibre, also while it writes.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use harness::Workdir;
use library::calibre::{self, calibredb};
use serde_json::{Value, json};

use crate::tree::{assert_untouched, tree};

#[test]
fn a_library_of_calibre_s_own_making() {
    let dir = Workdir::new();
    let root = dir.join("books");
    calibre::library(&root).unwrap();
    let before = tree(&root);
    let ran = dir
        .tool("calibre-list")
        .args(["--stat", "--fields", "all", "books"])
        .ok();
    assert_untouched(&root, &before);
    assert_eq!(ran.stderr(), "");

    let records = ran.of_type("book_file");
    let mut ours: BTreeMap<i64, Vec<&Value>> = BTreeMap::new();
    for record in &records {
        assert_eq!(record["status"], "ok");
        let size = std::fs::metadata(record["path"].as_str().unwrap())
            .unwrap()
            .len();
        assert_eq!(record["recorded_size"], size);
        if let Some(cover) = record["cover"].as_str() {
            assert!(std::fs::metadata(cover).is_ok());
        }
        ours.entry(record["book_id"].as_i64().unwrap())
            .or_default()
            .push(record);
    }
    let theirs = calibredb(&root, ["list", "--for-machine", "-f", "all"]).unwrap();
    let theirs: Vec<Value> = serde_json::from_str(&theirs).unwrap();
    assert_eq!(ours.len(), theirs.len());
    for book in &theirs {
        let records = &ours[&book["id"].as_i64().unwrap()];
        let formats: Vec<&Value> = records.iter().map(|record| &record["path"]).collect();
        let mut listed: Vec<&Value> = book["formats"].as_array().unwrap().iter().collect();
        listed.sort_by_key(|path| path.as_str());
        assert_eq!(formats, listed);
        let record = records[0];
        for name in ["title", "uuid", "cover"] {
            assert_eq!(record.get(name), book.get(name), "{name}");
        }
        assert_eq!(
            record["authors"]
                .as_array()
                .unwrap()
                .iter()
                .map(|a| a.as_str().unwrap())
                .collect::<Vec<_>>()
                .join(" & "),
            book["authors"].as_str().unwrap()
        );
        assert_eq!(record["author_sort"], book["author_sort"]);
        assert_eq!(record["languages"], book["languages"]);
        assert_eq!(record.get("series"), book.get("series"));
        let tags = |value: &Value| {
            let mut tags: Vec<String> = serde_json::from_value(value.clone()).unwrap();
            tags.sort();
            tags
        };
        assert_eq!(tags(&record["tags"]), tags(&book["tags"]));
    }
    let first = ours[&1][0];
    assert_eq!(
        ours[&1]
            .iter()
            .map(|record| &record["format"])
            .collect::<Vec<_>>(),
        ["epub", "fb2", "mobi", "txt"]
    );
    let told = [
        ("authors", json!(["Zoë Last", "First, Jr."])),
        ("series", json!("The Guides")),
        ("series_index", json!(1.25)),
        ("languages", json!(["deu", "eng"])),
        (
            "identifiers",
            json!(["doi:10.1000/182", "isbn:9780000000002"]),
        ),
        ("publisher", json!("Kovid & Co.")),
        ("rating", json!(8)),
        ("custom_words", json!(1234)),
        ("custom_score", json!(2.5)),
        ("custom_read", json!(true)),
        ("custom_when", json!("2020-01-02T03:04:05Z")),
        ("custom_shelf", json!("Left, upper")),
        ("custom_cycle", json!("A Cycle")),
        ("custom_cycle_index", json!(3.5)),
        ("custom_stars", json!(6)),
        ("custom_notes", json!("<p>Fine</p>")),
        ("custom_moods", json!(["dark", "light"])),
    ];
    for (name, value) in told {
        assert_eq!(first[name], value, "{name} in {first}");
    }
    assert!(
        first.get("custom_made").is_none(),
        "a template has no value"
    );
    assert_eq!(
        ours[&2][0]["pubdate"].as_str().map(|at| &at[..4]),
        Some("1869")
    );
    let csv = dir
        .tool("calibre-list")
        .args(["--fields", "all", "--csv", "books"])
        .ok();
    let header = csv.stdout().lines().next().unwrap().to_string();
    for name in [
        "comments",
        "author_sort",
        "custom_words",
        "custom_cycle_index",
        "custom_moods",
    ] {
        assert!(
            header.split(',').any(|column| column == name),
            "{name}: {header}"
        );
    }
    assert!(csv.stdout().contains("dark;light"));
    let core = dir.tool("calibre-list").arg("books").ok();
    assert!(
        core.of_type("book_file")
            .iter()
            .all(|record| record.get("custom_words").is_none())
    );
}

#[test]
fn calibre_writes_on_while_it_is_listed() {
    let dir = Workdir::new();
    let root = dir.join("books");
    calibre::empty(&root).unwrap();
    let guides: Vec<_> = calibre::guides().unwrap().into_iter().take(2).collect();
    let writing = AtomicBool::new(true);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            // Whatever happens, the other thread must not wait for ever.
            let wrote = (|| {
                for round in 0..2 {
                    for guide in &guides {
                        let guide = guide.to_str().unwrap_or_default();
                        calibredb(&root, ["add", "--duplicates", guide])?;
                    }
                    let title = format!("title:Round {round}");
                    calibredb(&root, ["set_metadata", "1", "--field", &title])?;
                }
                anyhow::Ok(())
            })();
            writing.store(false, Ordering::Release);
            wrote
        });
        let mut most = 0;
        while writing.load(Ordering::Acquire) {
            let ran = dir.tool("calibre-list").arg("books").ok();
            assert_eq!(ran.summary()["complete"], true);
            let records = ran.of_type("book_file");
            assert!(records.len() >= most, "a book that was there is gone");
            most = records.len();
            for record in records {
                assert_eq!(
                    record["authors"].as_array().map(Vec::len),
                    Some(1),
                    "{record}"
                );
                assert_eq!(record["uuid"].as_str().map(str::len), Some(36));
            }
        }
        writer.join().unwrap().expect("calibredb never fails");
    });
    let ran = dir.tool("calibre-list").args(["--stat", "books"]).ok();
    let records = ran.of_type("book_file");
    assert_eq!(records.len(), 2 * guides.len());
    assert!(records.iter().all(|record| record["status"] == "ok"));
    assert_eq!(records[0]["title"], "Round 1");
}
