use super::*;
use mbs_upload::model::claim;
use std::{
    io::{Read, Write},
    os::unix::process::ExitStatusExt,
    process::{Child, Command},
};

/// The tool on these records, its input at its end.
fn start(bench: &Bench, books: &[Value], args: &[&str]) -> Child {
    let mut child = bench.tool(&[]).args(args).spawn();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&lines(books)).unwrap();
    child
}

fn signal(child: &Child, signal: &str) {
    let done = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(done.unwrap().success());
}

/// Waits for the end by SIGTERM; gives the records and the messages.
fn end(mut child: Child) -> (Vec<Value>, String) {
    let status = harness::wait_for("the end", DEADLINE, || child.try_wait().unwrap());
    let (mut out, mut error) = (String::new(), String::new());
    let (stdout, stderr) = (child.stdout.as_mut(), child.stderr.as_mut());
    stdout.unwrap().read_to_string(&mut out).unwrap();
    stderr.unwrap().read_to_string(&mut error).unwrap();
    assert_eq!(status.signal(), Some(15), "{status} {error}");
    let records = out.lines().map(|line| serde_json::from_str(line).unwrap());
    (records.collect(), error)
}

fn wait_for(bench: &Bench, method: &str, path: &str, times: usize) {
    harness::wait_for("a request", DEADLINE, || {
        (bench.server.count(method, path) >= times).then_some(())
    });
}

/// A run whose second file hangs at `on` when the signal comes.
fn is_cut_short(order: Value, method: &str, path: &str) {
    let bench = Bench::new();
    let books = bench.books(4);
    bench.fault(order);
    let child = start(&bench, &books, &["-j", "1", "--grace", "200ms"]);
    wait_for(&bench, method, path, 2);
    signal(&child, "-TERM");
    let (records, error) = end(child);
    // The first one, and the summary: of the second nobody knows, and nobody says so.
    assert_eq!(records.len(), 2, "{records:?}");
    assert_eq!(records[0]["outcome"], "uploaded");
    assert_eq!(records[1]["complete"], false);
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains("stopped by a signal"), "{error}");
    assert!(error.contains("1 file was under way"), "{error}");
    bench.server.clear_faults();
    bench.tool(&books).ok();
    bench.holds(&books);
    assert_eq!(bench.ebooks(), 4);
}

#[test]
fn what_does_not_finish_in_the_grace_is_not_called_failed() {
    let order = json!({"on": "TASK metadata", "kind": "hang", "nth": 2});
    is_cut_short(order, "TASK", "metadata");
    let order = json!({"on": "POST /api/upload", "kind": "hang", "bytes": 1 << 20, "nth": 2});
    is_cut_short(order, "POST", "/api/upload");
    let order = json!({"on": "POST /api/ebooks/*/add-upload", "kind": "hang", "nth": 2});
    is_cut_short(order, "POST", "/api/ebooks/*/add-upload");
}

#[test]
fn a_signal_while_the_server_is_away_ends_the_wait_with_the_grace() {
    let mut bench = Bench::with(Settings {
        task_millis: 200,
        ..Settings::default()
    });
    let books = bench.books(8);
    let args = ["-j", "2", "--grace", "200ms", "--retry-wait", "30s"];
    let child = start(&bench, &books, &args);
    wait_for(&bench, "TASK", "metadata", 3);
    bench.server.stop();
    signal(&child, "-TERM");
    let (records, error) = end(child);
    let failed = records.iter().filter(|r| r["outcome"] == "failed").count();
    assert_eq!(failed, 0, "{error}");
    assert!(error.contains("which the next run settles"), "{error}");
    bench.server.resume();
    bench.tool(&books).ok();
    bench.holds(&books);
}

#[test]
fn a_second_signal_does_not_wait() {
    let bench = Bench::new();
    bench.fault(json!({"on": "TASK metadata", "kind": "hang"}));
    let child = start(&bench, &bench.books(1), &["--grace", "1h"]);
    wait_for(&bench, "TASK", "metadata", 1);
    // Not the same one twice: the system may make one of them.
    signal(&child, "-INT");
    signal(&child, "-TERM");
    end(child);
}

#[test]
fn a_signal_before_anything_is_under_way_does_not_wait() {
    let bench = Bench::new();
    bench.fault(json!({"on": "POST /login", "kind": "hang"}));
    let child = start(&bench, &bench.books(1), &["--grace", "1h"]);
    wait_for(&bench, "POST", "/login", 1);
    signal(&child, "-TERM");
    let (records, error) = end(child);
    assert!(records.is_empty());
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn an_addition_that_is_asked_about_when_the_grace_ends_is_not_called_failed() {
    let bench = Bench::new();
    let books = bench.books(2);
    bench.fault(
        json!({"on": "POST /api/ebooks/*/add-upload", "kind": "drop", "nth": 2, "times": 0}),
    );
    // Two files, a second try of the second one, and then the question what became of it.
    bench.fault(json!({"on": "POST /api/upload/check", "kind": "drop", "nth": 4, "times": 0}));
    let args = [
        "-j",
        "1",
        "--grace",
        "1ms",
        "--retries",
        "1",
        "--retry-wait",
        "4s",
    ];
    let child = start(&bench, &books, &args);
    wait_for(&bench, "POST", "/api/upload/check", 4);
    signal(&child, "-TERM");
    let (records, error) = end(child);
    assert_eq!(records.len(), 2, "{records:?}");
    assert!(error.contains("1 file was under way"), "{error}");
    assert_eq!(bench.server.count("DELETE", "/api/ebooks/*"), 0);
}

#[test]
fn a_line_that_a_signal_cuts_is_no_error() {
    let bench = Bench::new();
    let books = bench.books(1);
    let mut child = bench.tool(&[]).spawn();
    let mut stdin = child.stdin.take().unwrap();
    stdin
        .write_all(format!("{}\n{{\"type\":\"file_", books[0]).as_bytes())
        .unwrap();
    let done = || (!bench.stored().is_empty()).then_some(());
    harness::wait_for("the whole line's file", DEADLINE, done);
    signal(&child, "-TERM");
    let (records, error) = end(child);
    drop(stdin);
    assert_eq!(records.len(), 2, "{records:?}");
    assert_eq!(records[0]["outcome"], "uploaded");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains("stopped by a signal: "), "{error}");
    assert!(error.contains("the rest was not read"), "{error}");
}

#[test]
fn locks_that_were_lost_are_waited_for_in_the_grace() {
    let bench = Bench::new();
    let book = bench.book("T", "A", "epub");
    bench.fault(json!({"on": "TASK metadata", "kind": "delay", "millis": 2000}));
    let child = start(
        &bench,
        std::slice::from_ref(&book),
        &["--db", bench.server.db_url(), "--grace", "1h"],
    );
    wait_for(&bench, "POST", "/api/upload", 1);
    let sessions = "from pg_stat_activity where datname = current_database() and application_name = 'mbs-upload'";
    let cut = format!("select pg_terminate_backend(pid) {sessions}");
    assert_eq!(bench.server.query(&cut).len(), 1);
    let mut rival = postgres::Client::connect(bench.server.db_url(), postgres::NoTls).unwrap();
    let lock = format!("select pg_advisory_lock({})", claim::book("T", "A") as i64);
    rival.simple_query(&lock).unwrap();
    signal(&child, "-TERM");
    let tried = format!("select 1 {sessions} and query like '%advisory%'");
    harness::wait_for("a try", DEADLINE, || {
        (!bench.server.query(&tried).is_empty()).then_some(())
    });
    drop(rival);
    let (records, error) = end(child);
    assert_eq!(records[0]["outcome"], "uploaded", "{records:?} {error}");
    bench.holds(&[book]);
}
