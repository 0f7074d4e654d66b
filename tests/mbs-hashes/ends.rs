use std::{
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    os::unix::process::ExitStatusExt,
    process::Child,
};

use harness::{Run, Workdir, wait_for};

use crate::{DEADLINE, Server, insert};

/// More than all the buffers between the server and a reader that does not read hold.
const MANY: i64 = 60_000;

/// Starts the tool and reads one line, so that it is in the middle of its stream.
fn in_the_middle(run: Run) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = run.spawn();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert!(line.contains("known_hash"), "{line}");
    (child, stdout)
}

/// Reads the rest and gives exit code, stdout and stderr.
fn rest(mut child: Child, mut stdout: impl Read) -> (Option<i32>, String, String) {
    let (mut out, mut err) = (String::new(), String::new());
    stdout.read_to_string(&mut out).unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut err)
        .unwrap();
    (child.wait().unwrap().code(), out, err)
}

#[test]
fn a_server_that_dies_in_the_middle_is_no_end_of_the_stream() {
    let mut server = Server::own();
    server.sql(&insert(1..=MANY));
    let (child, stdout) = in_the_middle(server.mbs_hashes());
    server.cluster().crash();
    let (code, out, err) = rest(child, stdout);
    assert_eq!(code, Some(255), "{err}");
    assert!(!out.contains("summary"));
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(err.contains("ebooks: read: "), "{err}");
}

#[test]
fn a_session_ended_by_the_administrator_is_no_end_of_the_stream() {
    // A backend that is told to go while its client does not read can say no last word.
    for (function, reason) in [
        ("pg_terminate_backend", ""),
        (
            "pg_cancel_backend",
            "canceling statement due to user request",
        ),
    ] {
        let server = Server::own();
        server.sql(&insert(1..=MANY));
        let (child, stdout) = in_the_middle(server.mbs_hashes());
        let end = format!(
            "select {function}(pid) from pg_stat_activity where application_name = 'mbs-hashes' and backend_type = 'client backend'"
        );
        assert_eq!(server.client().query(&end, &[]).unwrap().len(), 1);
        let (code, out, err) = rest(child, stdout);
        assert_eq!(code, Some(255), "{function}: {err}");
        assert!(!out.contains("summary"));
        assert_eq!(err.lines().count(), 1, "{err}");
        assert!(err.contains(&format!("ebooks: read: {reason}")), "{err}");
    }
}

#[test]
fn a_signal_ends_the_stream_with_a_summary_that_says_so() {
    let server = Server::own();
    server.sql(&insert(1..=MANY));
    let (mut child, mut stdout) = in_the_middle(server.mbs_hashes());
    terminate(&child);
    let mut out = String::new();
    stdout.read_to_string(&mut out).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    let last = out.lines().last().unwrap();
    assert!(
        last.contains("summary") && last.contains("\"complete\":false"),
        "{last}"
    );
    let lines = out.lines().count() as i64;
    assert!(lines < MANY, "it stopped");
    assert!(
        last.contains(&format!("\"records\":{lines}")),
        "{last}: one line was read before, one is the summary"
    );
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let server = Server::own();
    server.sql(&insert(1..=MANY));
    let ran = server
        .work
        .shell("mbs-hashes | head -1")
        .env("MBS_DB", server.db())
        .ok();
    assert_eq!(ran.records().len(), 1);
    assert_eq!(ran.stderr(), "");
}

#[test]
fn a_full_disk_is_told() {
    let server = Server::start();
    server.add(1..=3);
    let ran = server
        .work
        .shell("mbs-hashes >/dev/full")
        .env("MBS_DB", server.db())
        .code(255);
    ran.one_line(&["mbs-hashes: stdout: write: No space left on device"]);
}

#[test]
fn a_database_that_refuses_is_tried_again_and_then_given_up() {
    let mut server = Server::own();
    server.cluster().stop();
    let url = crate::tcp(&server, "");
    let tool = || server.work.tool("mbs-hashes").args(["--db", &url]);
    let ran = tool().args(["--db-timeout", "2s"]).code(255);
    ran.one_line(&[&format!(
        "mbs-hashes: 127.0.0.1:{}/ebooks: connect: Connection refused",
        server.database.server().port()
    )]);
    // The server is back before the last try.
    let mut child = tool().arg("-v").spawn();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert!(line.contains("again in 1 s"), "{line}");
    server.cluster().resume();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{line}{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[test]
fn a_socket_without_a_server_is_told() {
    let work = Workdir::new();
    let folder = work.path().display();
    let ran = work
        .tool("mbs-hashes")
        .args([
            "--db-timeout",
            "1s",
            "--db",
            &format!("host={folder} user=u"),
        ])
        .code(255);
    ran.one_line(&["no server has its socket there"]);
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let work = Workdir::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = format!("postgresql://u@127.0.0.1:{port}/d");
    let ran = work
        .tool("mbs-hashes")
        .args(["--db", &url, "--db-timeout", "300ms"])
        .code(255);
    ran.one_line(&["connect: no answer within 0.3 s"]);
}

#[test]
fn a_server_that_falls_silent_in_the_middle_is_given_up() {
    let server = Server::own();
    server.sql(&insert(1..=MANY));
    let (child, stdout) = in_the_middle(server.mbs_hashes().args(["--db-timeout", "700ms"]));
    let backend = "select pid from pg_stat_activity where application_name = 'mbs-hashes' and backend_type = 'client backend'";
    let pid: i32 = server.client().query_one(backend, &[]).unwrap().get(0);
    signal("STOP", pid as u32);
    let (code, out, err) = rest(child, stdout);
    signal("CONT", pid as u32);
    assert_eq!(code, Some(255));
    assert!(!out.contains("summary"));
    assert!(err.contains("read: no answer within 0.7 s"), "{err}");
}

#[test]
fn a_locked_table_is_told() {
    let server = Server::start();
    let mut other = server.client();
    let mut lock = other.transaction().unwrap();
    lock.batch_execute("lock table source in access exclusive mode")
        .unwrap();
    let ran = server
        .mbs_hashes()
        .args(["--db-timeout", "800ms"])
        .code(255);
    assert_eq!(ran.stdout(), "");
    ran.one_line(&["read: canceling statement due to lock timeout"]);
}

#[test]
fn a_slow_reader_is_not_the_database_s_fault() {
    let server = Server::own();
    server.sql(&insert(1..=MANY));
    let (mut child, stdout) = in_the_middle(server.mbs_hashes().args(["--db-timeout", "300ms"]));
    // It now waits for us; longer than it would wait for the server.
    let start = std::time::Instant::now();
    wait_for("three times the patience", DEADLINE, || {
        assert!(child.try_wait().unwrap().is_none());
        (start.elapsed().as_millis() > 900).then_some(())
    });
    let (code, out, err) = rest(child, stdout);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.ends_with("\"complete\":true}\n"));
}

pub(crate) fn terminate(child: &Child) {
    signal("TERM", child.id());
}

fn signal(name: &str, pid: u32) {
    let sent = std::process::Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// stall-watch took it for a stall.
#[test]
fn waiting_for_the_database_is_announced() {
    let work = Workdir::new();
    let run = work.tool("mbs-hashes").env("STALL_PROGRESS_FD", "2");
    let nobody = "host=127.0.0.1 port=1 user=u dbname=d";
    let ran = run.args(["--db", nobody, "--db-timeout", "1s"]).code(255);
    let mut lines = ran
        .stderr()
        .lines()
        .map(String::from)
        .collect::<Vec<_>>()
        .into_iter();
    let waiting = |line: String| line.starts_with("waiting ") && line.ends_with(" the database");
    assert!(lines.any(waiting), "{}", ran.report());
}

/// The same between two looks of `--follow`.
#[test]
fn waiting_for_new_rows_is_announced() {
    let server = Server::start();
    server.add(1..=1);
    let run = server.mbs_hashes().env("STALL_PROGRESS_FD", "2");
    let mut child = run.args(["--follow", "--interval", "60s"]).spawn();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let (send, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            let _ = send.send(line);
        }
    });
    while !lines
        .recv_timeout(DEADLINE)
        .unwrap()
        .ends_with(" the next look for new rows")
    {}
    terminate(&child);
    assert_eq!(child.wait().unwrap().signal(), Some(15));
}
