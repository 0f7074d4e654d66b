use super::*;
use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStderr, ExitStatus},
    thread::JoinHandle,
};

/// A run under way, its messages read as they come.
struct Running {
    child: Child,
    said: BufReader<ChildStderr>,
    heard: String,
    stdout: JoinHandle<String>,
}

/// How a run ended.
struct Ended {
    status: ExitStatus,
    records: Vec<Value>,
    stderr: String,
}

impl Running {
    fn start(tool: Run, records: &[Value]) -> Running {
        let mut child = tool.spawn();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&lines(records)).unwrap();
        drop(stdin);
        let said = BufReader::new(child.stderr.take().unwrap());
        let mut stdout = child.stdout.take().unwrap();
        let stdout = std::thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).unwrap();
            text
        });
        let heard = String::new();
        Running {
            child,
            said,
            heard,
            stdout,
        }
    }

    /// Waits for a message that holds this text.
    fn says(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            let count = self.said.read_line(&mut line).unwrap();
            assert!(count > 0, "{text:?} is not said: {}", self.heard);
            self.heard += &line;
        }
    }

    /// Waits for the end.
    fn end(mut self) -> Ended {
        self.said.read_to_string(&mut self.heard).unwrap();
        let status = self.child.wait().unwrap();
        let records = self.stdout.join().unwrap();
        let records = records
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        Ended {
            status,
            records: records.collect(),
            stderr: self.heard,
        }
    }
}

impl Ended {
    fn outcomes(&self, name: &str) -> usize {
        let same = |record: &&Value| record["outcome"] == name;
        self.records.iter().filter(same).count()
    }

    /// All arrived, and the absence was told with one line at its beginning and one at its end.
    fn is_whole(&self, files: usize) {
        assert_eq!(self.status.code(), Some(0), "{}", self.stderr);
        assert_eq!(self.outcomes("uploaded"), files, "{}", self.stderr);
        let lines: Vec<_> = self.stderr.lines().collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("away: ") && lines[0].contains("for up to 30m"));
        assert!(lines[1].contains("away: back after "), "{lines:?}");
    }
}

/// Some files under way through a server whose tasks take a while, the first of them stored.
fn under_way(bench: &Bench, books: &[Value], args: &[&str]) -> Running {
    let tool = bench.tool(&[]).args(["-j", "3"]).args(args);
    let running = Running::start(tool, books);
    harness::wait_for("a file", DEADLINE, || {
        (bench.stored().len() >= 2).then_some(())
    });
    running
}

fn slow() -> Bench {
    Bench::with(Settings {
        task_millis: 150,
        ..Settings::default()
    })
}

#[test]
fn a_server_that_comes_back_is_waited_for_and_no_file_failed() {
    let mut bench = slow();
    let books = bench.books(12);
    let mut running = under_way(&bench, &books, &["--retries", "1"]);
    bench.server.stop();
    running.says("waiting for it");
    bench.server.resume();
    running.end().is_whole(12);
    bench.holds(&books);
}

/// A watchdog took the half hour for which a server may be away for a stall, and killed the upload.
#[test]
fn a_watchdog_is_told_how_long_the_server_may_be_waited_for() {
    let mut bench = slow();
    let books = bench.books(12);
    let tool = bench.tool(&[]).args(["-j", "3"]);
    let mut running = Running::start(tool.env("STALL_PROGRESS_FD", "2"), &books);
    harness::wait_for("a file", DEADLINE, || {
        (bench.stored().len() >= 2).then_some(())
    });
    bench.server.stop();
    // Of thirty minutes.
    running.says("waiting 179");
    bench.server.resume();
    running.says("waiting 0\n");
    assert_eq!(running.end().outcomes("uploaded"), 12);
}

#[test]
fn an_engine_that_comes_back_is_waited_for_and_no_file_failed() {
    let mut bench = slow();
    let books = bench.books(12);
    let mut running = under_way(&bench, &books, &["--retries", "1"]);
    bench.server.stop_engine();
    running.says("waiting for it");
    bench.server.resume_engine();
    running.end().is_whole(12);
    bench.holds(&books);
}

#[test]
fn a_database_that_comes_back_is_waited_for_and_no_file_failed() {
    let mut bench = Bench::with(Settings {
        task_millis: 150,
        own_cluster: true,
        ..Settings::default()
    });
    let books = bench.books(12);
    let mut running = under_way(&bench, &books, &["--retries", "1"]);
    bench.server.cluster().stop();
    running.says("waiting for it");
    bench.server.cluster().resume();
    running.end().is_whole(12);
    bench.holds(&books);
}

#[test]
fn a_proxy_before_a_dead_server_is_asked_by_one_worker_for_all() {
    let bench = slow();
    let books = bench.books(12);
    let mut running = under_way(&bench, &books, &["--retries", "1"]);
    bench.fault(json!({"on": "api", "kind": 502, "times": 0}));
    running.says("waiting for it");
    let refused = || {
        let log = bench.server.log();
        let refused = log.into_iter().filter(|entry| entry.fault.is_some());
        refused.collect::<Vec<_>>()
    };
    harness::wait_for("questions", DEADLINE, || {
        (refused().len() > 7).then_some(())
    });
    let others = refused();
    let others = others.iter().filter(|e| e.path != "/api/languages");
    assert!(others.count() <= 2 * 3);
    bench.server.clear_faults();
    running.end().is_whole(12);
    bench.holds(&books);
}

#[test]
fn a_dead_server_behind_a_proxy_ends_the_run_after_the_outage() {
    let bench = slow();
    let books = bench.books(12);
    let running = under_way(&bench, &books, &["--outage", "500ms"]);
    bench.fault(json!({"on": "api", "kind": 502, "times": 0}));
    let ended = running.end();
    assert_eq!(ended.status.code(), Some(255), "{}", ended.stderr);
    // What was under way is not failed: nobody knows.
    assert_eq!(ended.outcomes("failed"), 0);
    let last = ended.stderr.lines().last().unwrap();
    for text in [
        &bench.server.api(),
        "gone for ",
        "HTTP 502",
        "under way",
        "not tried",
    ] {
        assert!(last.contains(text), "{last}");
    }
    assert_eq!(ended.records.last().unwrap()["complete"], false);
    bench.server.clear_faults();
    bench.tool(&books).ok();
    bench.holds(&books);
}

#[test]
fn an_engine_that_drops_each_connection_is_not_asked_for_ever() {
    let bench = slow();
    let books = bench.books(6);
    bench.fault(json!({"on": "WS /ws", "kind": "drop", "nth": 1, "times": 0}));
    let ran = bench.tool(&books).args(["--outage", "500ms"]).code(255);
    assert_eq!(counts(&ran), BTreeMap::new(), "{}", ran.report());
    let last = ran.stderr().lines().last().unwrap().to_string();
    assert!(last.contains("drops each connection at once"), "{last}");
    assert!(last.contains("gone for "), "{last}");
    // With growing pauses, not in a loop.
    assert!(bench.server.count("GET", "/ws") < 12);
    bench.server.clear_faults();
    bench.fault(json!({"on": "WS /ws", "kind": "drop", "times": 4}));
    let ran = bench.tool(&books).args(["--retries", "0"]).ok();
    assert_eq!(counts(&ran)["uploaded"], 6, "{}", ran.report());
    bench.holds(&books);
}

#[test]
fn a_login_refused_in_the_middle_ends_the_run_at_once() {
    let bench = slow();
    let books = bench.books(30);
    let running = under_way(&bench, &books, &["--retry-wait", "30s"]);
    let change = r#"update "user" set active = false returning id"#;
    assert!(!bench.server.query(change).is_empty());
    let ended = running.end();
    assert_eq!(ended.status.code(), Some(255), "{}", ended.stderr);
    assert_eq!(ended.outcomes("failed"), 0, "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("Access denied"), "{}", ended.stderr);
}

#[test]
fn a_run_that_is_over_does_not_read_on_through_what_is_known() {
    let bench = Bench::new();
    let books = bench.books(2);
    let known = bench.has(&books[..1]);
    let known = bench.dir.write("known.ndjson", lines(&known));
    bench.fault(json!({"on": "POST /api/upload", "kind": "drop", "times": 0}));
    let tool = bench.tool(&[]).arg("--known").arg(&known);
    let mut child = tool.args(["--outage", "0"]).spawn();
    let mut stdin = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || {
        // Without an end: the file that cannot be sent, and then one that the server has.
        let mut next = format!("{}\n", books[1]);
        while stdin.write_all(next.as_bytes()).is_ok() {
            next = format!("{}\n", books[0]);
        }
    });
    let mut stdout = child.stdout.take().unwrap();
    let drain = std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
    harness::wait_for("the first try", DEADLINE, || {
        (bench.server.count("POST", "/api/upload") > 0).then_some(())
    });
    bench.fault(json!({"on": "api", "kind": 502, "times": 0}));
    let status = harness::wait_for("the end", DEADLINE, || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(255));
    feeder.join().unwrap();
    drain.join().unwrap().unwrap();
}

#[test]
fn an_absence_is_no_failed_try() {
    let bench = Bench::new();
    let books = bench.books(1);
    // The server is away when the bytes come, and when it is asked whether it is there.
    bench.fault(json!({"on": "POST /api/upload", "kind": 502}));
    bench.fault(json!({"on": "GET /api/languages", "kind": 502, "nth": 2}));
    let ran = bench.tool(&books).args(["--retries", "0"]).ok();
    assert_eq!(outcome(&ran, &books[0])["outcome"], "uploaded");
    bench.holds(&books);
}

#[test]
fn c6_an_api_that_is_down_at_the_start_is_waited_for() {
    let mut bench = Bench::new();
    let books = bench.books(2);
    bench.server.stop();
    let tool = bench.tool(&[]).args(["--retries", "0"]);
    let mut running = Running::start(tool, &books);
    running.says("waiting for it");
    assert!(running.heard.contains("http://"), "{}", running.heard);
    bench.server.resume();
    running.end().is_whole(2);
}

#[test]
fn c6_an_engine_that_is_down_at_the_start_is_waited_for_and_named() {
    let mut bench = Bench::new();
    let books = bench.books(2);
    bench.server.stop_engine();
    let tool = bench.tool(&[]).args(["--retries", "0"]);
    let mut running = Running::start(tool, &books);
    running.says("waiting for it");
    let named = |text: &str| text.contains("ws://") && !text.contains("http://");
    assert!(named(&running.heard), "{}", running.heard);
    bench.server.resume_engine();
    running.end().is_whole(2);

    bench.server.stop_engine();
    let books = bench.books(3);
    let ran = bench.tool(&books).args(["--outage", "1s"]).code(255);
    assert!(
        named(&ran.stderr()) && ran.stderr().contains("gone for 1s"),
        "{}",
        ran.report()
    );
}

#[test]
fn c6_an_engine_that_goes_away_in_mid_run_is_named() {
    let mut bench = slow();
    let books = bench.books(12);
    let running = under_way(&bench, &books, &["--outage", "500ms"]);
    bench.server.stop_engine();
    let ended = running.end();
    assert_eq!(ended.status.code(), Some(255));
    let last = ended.stderr.lines().last().unwrap();
    assert!(
        last.contains("ws://") && !last.contains("http://"),
        "{}",
        ended.stderr
    );
}

#[test]
fn c6_a_retry_after_of_hours_lasts_no_longer_than_the_outage() {
    let begun = std::time::Instant::now();
    for (on, code) in [("POST /login", 255), ("POST /api/upload/check", 1)] {
        let bench = Bench::new();
        let books = bench.books(1);
        bench.fault(json!({"on": on, "kind": "429", "retry_after": 99_999, "times": 0}));
        bench
            .tool(&books)
            .args(["--outage", "1s", "--retries", "2"])
            .code(code);
    }
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn c6_an_engine_that_takes_the_connection_and_is_silent_is_bounded_by_stall() {
    let bench = Bench::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let begun = std::time::Instant::now();
    let ran = bench
        .tool(&bench.books(1))
        .env(
            "MBS_WS",
            format!("ws://{}/ws", silent.local_addr().unwrap()),
        )
        .args(["--outage", "2s", "--stall", "1s"])
        .code(255);
    assert!(
        ran.stderr()
            .contains("no answer to the WebSocket's handshake for 1s"),
        "{}",
        ran.report()
    );
    // And one that shakes hands and says nothing more.
    let address = bounds::engine(|socket| {
        std::thread::sleep(DEADLINE);
        drop(socket);
    });
    let ran = bench
        .tool(&bench.books(1))
        .env("MBS_WS", address)
        .args(["--stall", "1s", "--retries", "0"])
        .code(1);
    assert!(
        begun.elapsed() < Duration::from_secs(40),
        "{}",
        ran.report()
    );
}
