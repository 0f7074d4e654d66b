use super::*;
use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, Stdio},
};

#[test]
fn a_refused_login_ends_the_run_with_one_line() {
    let bench = Bench::new();
    let books = bench.books(1);
    let wrong = bench.dir.write("wrong", "not it\n");
    let ran = bench
        .tool(&books)
        .env("MBS_PASSWORD_FILE", &wrong)
        .code(255);
    ran.one_line(&["log in as user", "login refused", "Invalid Login"]);
    assert!(!ran.stderr().contains("not it"));
    assert_eq!(bench.server.count("POST", "/login"), 1);
    let ran = bench
        .tool(&books)
        .env("MBS_USER", "guest")
        .env("MBS_PASSWORD_FILE", bench.server.password_file("guest"))
        .code(255);
    ran.one_line(&["Access denied"]);
}

#[test]
fn the_password_may_come_by_file_or_environment_but_not_in_an_address() {
    let bench = Bench::new();
    let run = |run: Run| run.env("MBS_PASSWORD_FILE", "").env("MBS_PASSWORD", "user");
    let mut command = run(bench.tool(&[])).into_command();
    command.env_remove("MBS_PASSWORD_FILE");
    assert!(
        command
            .stdin(Stdio::null())
            .output()
            .unwrap()
            .status
            .success()
    );
    for flag in ["--api", "--ws"] {
        let scheme = if flag == "--ws" { "ws" } else { "http" };
        let ran = bench
            .tool(&[])
            .args([flag, &format!("{scheme}://me:geheim@127.0.0.1:1")])
            .code(2);
        ran.one_line(&[flag, "--password-file"]);
        assert!(!ran.stderr().contains("geheim"));
    }
    bench
        .tool(&[])
        .args(["--password-file", "/nowhere"])
        .code(2)
        .one_line(&["/nowhere"]);
    bench
        .tool(&[])
        .args(["--known", "/nowhere"])
        .code(2)
        .one_line(&["/nowhere", "open"]);
}

#[test]
fn a_server_out_of_reach_ends_the_run_after_the_tries() {
    let bench = Bench::new();
    let books = bench.books(1);
    for (flag, url) in [
        ("--api", "http://127.0.0.1:1"),
        ("--ws", "ws://127.0.0.1:1/ws"),
    ] {
        let ran = bench
            .tool(&books)
            .args([flag, url, "--outage", "0"])
            .code(255);
        ran.one_line(&[url, "refused"]);
        assert!(ran.stdout.is_empty());
    }
}

#[test]
fn a_record_without_hash_is_told_where_to_get_one_and_others_pass() {
    let bench = Bench::new();
    let book = bench.book("T", "A", "epub");
    let listed = json!({"type": "book_file", "path": "/x.epub", "book_id": 1});
    let strange = json!({"type": "from_the_future", "x": {"y": 1}});
    let error = json!({"type": "error", "was": "file_hash", "tool": "hash-files", "path": "/y", "op": "read",
        "message": "gone", "retry": true});
    let mut finding = bench.book("U", "A", "epub");
    (finding["type"], finding["class"]) = (json!("finding"), json!("not_uploaded"));
    let ran = bench
        .tool(&[
            listed,
            strange.clone(),
            error.clone(),
            book.clone(),
            finding.clone(),
        ])
        .code(1);
    ran.one_line(&["/x.epub", "no sha1: pipe through hash-files"]);
    assert_eq!(ran.of_type("from_the_future"), [strange]);
    let errors = ran.of_type("error");
    assert_eq!(errors.len(), 2);
    assert!(errors.contains(&error));
    assert!(
        errors
            .iter()
            .any(|e| e["was"] == "book_file" && e["tool"] == "mbs-upload" && e["book_id"] == 1)
    );
    assert_eq!(outcome(&ran, &finding)["class"], "not_uploaded");
    bench.holds(&[book, finding]);
    assert_eq!(
        (&ran.summary()["records"], &ran.summary()["failed"]),
        (&json!(5), &json!(2))
    );
}

#[test]
fn an_input_cut_short_is_told() {
    let bench = Bench::new();
    let book = bench.book("T", "A", "epub");
    let ran = bench.tool(&[]).stdin(format!("{book}\n")).ok();
    ran.one_line(&["no summary"]);
    assert_eq!(ran.summary()["complete"], false);
}

/// Starts the tool and hands over the records, but not the end of the input.
fn start(run: Run, records: &[Value]) -> Child {
    let mut child = run.spawn();
    let text: String = records.iter().map(|record| format!("{record}\n")).collect();
    child
        .stdin
        .as_mut()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    child
}

fn kill(child: &Child, signal: &str) {
    let done = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(done.unwrap().success());
}

#[test]
fn a_signal_lets_what_is_in_flight_arrive_and_takes_no_more() {
    let bench = Bench::with(Settings {
        task_millis: 400,
        ..Settings::default()
    });
    let books = bench.books(12);
    let mut child = start(bench.tool(&[]).args(["-j", "2"]), &books);
    harness::wait_for("a task", DEADLINE, || {
        (bench.server.count("TASK", "metadata") >= 2).then_some(())
    });
    kill(&child, "-TERM");
    let mut out = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut out)
        .unwrap();
    let mut error = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut error)
        .unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(15), "{error}");
    let records: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let arrived: Vec<_> = records
        .iter()
        .filter(|r| r["outcome"] == "uploaded")
        .cloned()
        .collect();
    assert!((2..12).contains(&arrived.len()), "{out}");
    bench.holds(&arrived);
    assert_eq!(records.last().unwrap()["complete"], false);
    assert!(
        error.contains("not tried") || error.contains("not read"),
        "{error}"
    );
}

#[test]
fn a_closed_output_takes_no_more_work_and_loses_none() {
    let bench = Bench::with(Settings {
        task_millis: 100,
        ..Settings::default()
    });
    let books = bench.books(60);
    // The input stays open: the end must not wait for it.
    let mut child = start(bench.tool(&[]).args(["-j", "2"]), &books);
    let mut first = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut first).unwrap();
    assert!(first.contains("uploaded"));
    drop(stdout);
    let status = harness::wait_for("the end", DEADLINE, || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(255));
    let mut error = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut error)
        .unwrap();
    assert!(error.lines().count() <= 1, "{error}");
    let stored = bench.stored();
    assert!(stored.len() < 60);
    assert!(stored.values().all(|&times| times == 1));
    assert_eq!(
        bench.number("select count(*) from ebook"),
        stored.len() as i64
    );
}

#[test]
fn a_server_gone_for_good_ends_the_run_and_says_what_was_not_tried() {
    let mut bench = Bench::with(Settings {
        task_millis: 200,
        ..Settings::default()
    });
    let books = bench.books(40);
    let tool = bench.tool(&[]).args(["-j", "2", "--outage", "1s"]);
    let mut child = start(tool, &books);
    harness::wait_for("a file", DEADLINE, || {
        (bench.stored().len() >= 2).then_some(())
    });
    bench.server.stop();
    let status = harness::wait_for("the end", DEADLINE, || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(255));
    let mut out = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut out)
        .unwrap();
    let mut error = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut error)
        .unwrap();
    let records: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(records.last().unwrap()["complete"], false);
    let answered = records.len() - 1;
    assert!((2..10).contains(&answered), "{out}");
    assert!(error.contains("not tried"), "{error}");
    // It comes back: the next run brings the rest.
    bench.server.resume();
    bench.tool(&books).ok();
    bench.holds(&books);
}

#[test]
fn a_short_absence_is_waited_for() {
    let mut bench = Bench::with(Settings {
        task_millis: 100,
        ..Settings::default()
    });
    let books = bench.books(10);
    let tool = bench
        .tool(&[])
        .args(["-j", "2", "--retry-wait", "500ms", "--retries", "6"]);
    let mut child = start(tool, &books);
    harness::wait_for("a file", DEADLINE, || {
        (bench.stored().len() >= 2).then_some(())
    });
    bench.server.stop();
    bench.server.resume();
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    bench.holds(&books);
}

#[test]
fn the_schema_and_the_table_are_to_be_had() {
    let bench = Bench::new();
    let ran = bench.dir.tool("mbs-upload").args(["--schema", "json"]).ok();
    assert!(ran.stdout().contains("outcome"));
    let book = bench.book("T", "A", "epub");
    let ran = bench.tool(std::slice::from_ref(&book)).arg("--csv").ok();
    let text = ran.stdout();
    let mut lines = text.lines();
    assert!(lines.next().unwrap().starts_with("type,path,"));
    assert!(lines.next().unwrap().contains(",uploaded,"));
}

#[test]
fn an_odd_server_is_told_apart() {
    // A server that speaks HTTP but is no MyBookshelf2.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer);
            let _ = stream.write_all(
                b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere/\r\nContent-Length: 0\r\n\r\n",
            );
        }
    });
    let bench = Bench::new();
    let ran = bench.tool(&[]).args(["--api", &url]).code(255);
    ran.one_line(&["redirects to https://elsewhere/"]);
}
