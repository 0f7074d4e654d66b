//! The journal: what one run did, the next one knows.

use super::*;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Which runs go on with a journal, and which are refused.
mod identity;

/// Killed at any moment.
mod kill;

/// The file: torn, full, locked.
mod file;

/// What an earlier run refused, and what has changed since.
mod terms;

/// What a killed run left on the server.
mod settle;

impl Bench {
    fn journal(&self) -> PathBuf {
        self.dir.join("state/journal")
    }

    fn journaled(&self, records: &[Value]) -> Run {
        self.tool(records).arg("--journal").arg(self.journal())
    }

    /// Lines added to the journal, as another run would have written them.
    fn write_journal(&self, lines: &[Value]) {
        let text: String = lines.iter().map(type_first).collect();
        let journal = self.journal();
        fs::create_dir_all(journal.parent().unwrap()).unwrap();
        let all = fs::read_to_string(&journal).unwrap_or_default() + &text;
        fs::write(journal, all).unwrap();
    }

    fn posts(&self) -> [usize; 4] {
        [
            "/api/upload/check",
            "/api/upload",
            "/api/ebooks",
            "/api/ebooks/*/add-upload",
        ]
        .map(|path| self.server.count("POST", path))
    }
}

/// The lines of a journal that are whole.
fn entries(journal: &Path) -> Vec<Value> {
    let text = fs::read_to_string(journal).unwrap();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn ends(journal: &Path) -> Vec<Value> {
    let all = entries(journal).into_iter();
    all.filter(|line| line["type"] == "journal_end").collect()
}

/// A header like that of an empty server, and a step of a record's file.
/// A line as all tools write them.
fn type_first(record: &Value) -> String {
    let mut rest = record.clone();
    match rest.as_object_mut().and_then(|rest| rest.remove("type")) {
        Some(kind) => format!("{{\"type\":{kind},{}\n", &rest.to_string()[1..]),
        None => format!("{record}\n"),
    }
}

fn head() -> Value {
    json!({"type": "journal", "tool": "mbs-upload", "version": "0", "at": "2026-01-01T00:00:00Z",
        "api": "http://x", "anchors": []})
}

fn step(name: &str, record: &Value, fields: Value) -> Value {
    let mut line = json!({"type": "journal_step", "step": name, "sha1": record["sha1"],
        "size": record["size"], "at": "2026-01-01T00:00:00Z"});
    for (name, value) in fields.as_object().unwrap() {
        line[name] = value.clone();
    }
    line
}

#[test]
fn a_second_run_asks_nothing_about_what_is_done() {
    let bench = Bench::new();
    let books = bench.books(6);
    // Two come in otherwise: duplicates by check.
    bench.tool(&books[..2]).ok();
    let first = bench.journaled(&books).ok();
    assert_eq!(
        counts(&first),
        [("duplicate".into(), 2), ("uploaded".into(), 4)].into()
    );
    let asked = bench.posts();
    let second = bench.journaled(&books).ok();
    assert_eq!(counts(&second), [("duplicate".into(), 6)].into());
    for record in second.of_type("upload") {
        assert_eq!(
            (&record["by"], &record["attempts"]),
            (&json!("journal"), &json!(0))
        );
    }
    // But for the samples by which the server is known again, which are all of so few.
    let samples = books.len();
    let [checks, rest @ ..] = bench.posts();
    assert_eq!(
        (checks, &rest[..]),
        (asked[0] + samples, &asked[1..]),
        "{}",
        second.report()
    );
    bench.holds(&books);
    // The journal has not grown.
    assert_eq!(ends(&bench.journal()).len(), 6);
}

#[test]
fn every_step_is_written_before_it_is_taken_and_the_outcome_before_it_is_printed() {
    let bench = Bench::new();
    let book = bench.book("T", "A", "epub");
    let ran = bench.journaled(std::slice::from_ref(&book)).ok();
    let lines = entries(&bench.journal());
    let steps: Vec<_> = lines
        .iter()
        .filter_map(|line| line["step"].as_str())
        .collect();
    assert_eq!(steps, ["claimed", "sent", "row", "making", "adding"]);
    assert_eq!(lines[0]["type"], "journal");
    let (end, printed) = (lines.last().unwrap(), outcome(&ran, &book));
    for field in [
        "sha1",
        "size",
        "outcome",
        "ebook_id",
        "source_id",
        "attempts",
    ] {
        assert_eq!(end[field], printed[field], "{field}");
    }
}

/// What is said of a file's place on the server.
fn place(record: &Value) -> [Value; 3] {
    ["ebook_id", "source_id", "notes"].map(|field| record[field].clone())
}

#[test]
fn a_duplicate_of_the_journal_says_where_its_upload_went_and_what_was_noted() {
    let bench = Bench::new();
    let mut books = bench.books(3);
    for (i, book) in books.iter_mut().enumerate() {
        book["tags"] = json!([format!("No genre {i}")]);
    }
    let first = bench.journaled(&books).ok();
    let told = |ran: &Ran| {
        books
            .iter()
            .map(|b| place(&outcome(ran, b)))
            .collect::<Vec<_>>()
    };
    let places = told(&first);
    assert!(places.iter().all(|[ebook, source, notes]| ebook.is_i64()
        && source.is_i64()
        && notes[0].as_str().unwrap().contains("No genre")));
    for extra in [&["-v"][..], &["--dry-run"], &["-v"]] {
        let again = bench.journaled(&books).args(extra).ok();
        assert_eq!(counts(&again), [("duplicate".into(), 3)].into());
        assert_eq!(told(&again), places, "{}", again.report());
    }
}

#[test]
fn failed_files_are_tried_again() {
    let bench = Bench::new();
    let books = bench.books(3);
    bench.fault(json!({"on": "POST /api/upload", "kind": 500, "nth": 2}));
    let first = bench
        .journaled(&books)
        .args(["-j", "1", "--retries", "0"])
        .code(1);
    assert_eq!(counts(&first)["failed"], 1);
    let second = bench.journaled(&books).ok();
    assert_eq!(
        counts(&second),
        [("duplicate".into(), 2), ("uploaded".into(), 1)].into()
    );
    bench.holds(&books);
}

#[test]
fn bug_c4_a_dry_run_reads_the_journal_and_does_not_touch_it() {
    let bench = Bench::new();
    let books = bench.books(3);
    let ran = bench.journaled(&books).arg("--dry-run").ok();
    assert_eq!(counts(&ran)["would_upload"], 3);
    assert!(!bench.journal().parent().unwrap().exists());
    bench.journaled(&books[..2]).ok();
    let before = fs::read(bench.journal()).unwrap();
    let ran = bench.journaled(&books).arg("--dry-run").ok();
    assert_eq!(
        counts(&ran),
        [("duplicate".into(), 2), ("would_upload".into(), 1)].into()
    );
    assert_eq!(fs::read(bench.journal()).unwrap(), before);
}

#[test]
fn what_only_the_known_set_says_is_not_taken_over() {
    let bench = Bench::new();
    let book = bench.book("T", "A", "epub");
    let known = bench.has(std::slice::from_ref(&book));
    let known = bench.dir.write("known", lines(&known));
    let ran = bench.journaled(std::slice::from_ref(&book));
    ran.arg("--known").arg(known).ok();
    assert!(ends(&bench.journal()).is_empty());
    assert_eq!(
        bench.server.query("delete from source returning 1").len(),
        1
    );
    let ran = bench.journaled(std::slice::from_ref(&book)).ok();
    assert_eq!(outcome(&ran, &book)["outcome"], "uploaded");
}

#[test]
fn bug_c1_braces_in_names_lose_no_progress() {
    let bench = Bench::new();
    let books: Vec<_> = ["{", "}", "}{ \"", "\\"]
        .iter()
        .map(|title| bench.file(&format!("a {title} b.epub"), title, meta(title, "A")))
        .collect();
    bench.journaled(&books).ok();
    let ran = bench.journaled(&books).ok();
    assert!(ran.of_type("upload").iter().all(|r| r["by"] == "journal"));
}

#[test]
fn bug_c2_a_later_list_keeps_what_an_earlier_one_did() {
    let bench = Bench::new();
    let books = bench.books(9);
    for part in books.chunks(3) {
        bench.journaled(part).ok();
    }
    let ran = bench.journaled(&books).ok();
    assert!(ran.of_type("upload").iter().all(|r| r["by"] == "journal"));
}

#[test]
fn bug_c3_a_journal_is_only_appended_to() {
    let bench = Bench::new();
    let books = bench.books(12);
    bench.journaled(&books[..6]).ok();
    let before = fs::read(bench.journal()).unwrap();
    bench.journaled(&books).ok();
    let after = fs::read(bench.journal()).unwrap();
    assert!(after.starts_with(&before) && after.len() > before.len());
    // As much for each file, however many are done already.
    assert!(
        after.len() < before.len() * 5 / 2,
        "{} {}",
        before.len(),
        after.len()
    );
}

#[test]
fn joined_journals_are_one() {
    let bench = Bench::new();
    let books = bench.books(4);
    bench.journaled(&books[..2]).ok();
    let other = bench.dir.join("other");
    bench.tool(&books[2..]).arg("--journal").arg(&other).ok();
    let joined = [
        fs::read(bench.journal()).unwrap(),
        fs::read(&other).unwrap(),
    ]
    .concat();
    fs::write(bench.journal(), joined).unwrap();
    let ran = bench.journaled(&books).ok();
    assert!(ran.of_type("upload").iter().all(|r| r["by"] == "journal"));
}

#[test]
fn lines_and_fields_of_another_version_are_passed_by() {
    let bench = Bench::new();
    let books = bench.books(2);
    let mut header = head();
    header["shape"] = json!({"of": ["things", "to", "come"]});
    let done = json!({"type": "journal_end", "outcome": "duplicate", "by": "check", "new": [1],
        "sha1": books[0]["sha1"], "size": books[0]["size"]});
    bench.write_journal(&[
        header,
        json!({"type": "journal_pause", "at": 1}),
        json!([1]),
        done,
    ]);
    bench.tool(&books[..1]).ok();
    let ran = bench.journaled(&books).ok();
    assert_eq!(
        outcome(&ran, &books[0])["by"],
        "journal",
        "{}",
        ran.report()
    );
    assert_eq!(outcome(&ran, &books[1])["outcome"], "uploaded");
}

#[test]
fn the_schema_names_the_journal_s_lines_but_csv_has_no_columns_for_them() {
    let bench = Bench::new();
    let schema = bench.dir.tool("mbs-upload").args(["--schema", "json"]).ok();
    let schema: Value = serde_json::from_str(&schema.stdout()).unwrap();
    let kinds = schema["oneOf"].as_array().unwrap();
    let names: Vec<_> = kinds
        .iter()
        .filter_map(|k| k["properties"]["type"]["const"].as_str())
        .collect();
    for name in ["journal", "journal_step", "journal_end"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let csv = bench.tool(&[]).arg("--csv").ok();
    assert!(
        !csv.stdout().contains("server_languages"),
        "{}",
        csv.report()
    );
}
