use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::ExitStatusExt,
};

use rustix::process::{Pid, Signal, kill_process};

use super::*;

/// A folder `d` with so many small files.
fn many(work: &Workdir, number: usize) {
    for n in 0..number {
        work.write(format!("d/{n}"), format!("{n}"));
    }
}

#[test]
fn a_reader_that_has_enough_ends_it_quietly() {
    let work = Workdir::new();
    many(&work, 1500);
    for flags in ["", "--ordered", "--csv"] {
        let ran = work
            .shell(&format!("hash-files -r {flags} d | head -1"))
            .ok();
        assert_eq!(ran.stdout().lines().count(), 1);
        assert_eq!(ran.stderr(), "");
    }
}

#[test]
fn a_full_disk_is_one_line_and_255() {
    let work = Workdir::new();
    many(&work, 200);
    for flags in ["", "--ordered"] {
        let ran = work
            .shell(&format!("hash-files -r {flags} d > /dev/full"))
            .code(255);
        ran.one_line(&["hash-files: stdout: write: No space left"]);
    }
}

#[test]
fn an_unreadable_stdin_is_one_line_and_255() {
    let work = Workdir::new();
    work.shell("hash-files < .")
        .code(255)
        .one_line(&["hash-files: stdin: read: Is a directory"]);
    work.shell("hash-files -0 < .")
        .code(255)
        .one_line(&["hash-files: stdin: read: Is a directory"]);
    work.shell("hash-files <&-")
        .code(255)
        .one_line(&["hash-files: stdin: read: Bad file descriptor"]);
}

#[test]
fn nothing_to_do_is_done() {
    let work = Workdir::new();
    std::fs::create_dir(work.join("empty")).unwrap();
    let ran = work.tool("hash-files").args(["-r", "empty"]).ok();
    assert_eq!(ran.summary()["records"], 0);
    assert_eq!(ran.summary()["complete"], true);
    let ran = work.tool("hash-files").arg("-0").ok();
    assert_eq!(ran.summary()["records"], 0);
    let ran = work.tool("hash-files").stdin(whole(0)).ok();
    assert_eq!(ran.summary()["complete"], true);
    assert_eq!(ran.stderr(), "");
}

#[test]
fn sigterm_finishes_what_was_begun_and_says_that_it_is_not_all() {
    let work = Workdir::new();
    let path = work.write("a", "x");
    for (signal, flags) in [(Signal::TERM, &[][..]), (Signal::INT, &["--ordered"])] {
        let mut child = work.tool("hash-files").args(flags).spawn();
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdin
            .write_all(record("book_file", &path, "").as_bytes())
            .unwrap();
        let mut first = String::new();
        stdout.read_line(&mut first).unwrap();
        assert!(first.contains("file_hash"));
        // It waits for more, and must not wait for ever.
        kill_process(Pid::from_child(&child), signal).unwrap();
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).unwrap();
        let summary: serde_json::Value = serde_json::from_str(&rest).unwrap();
        assert_eq!(summary["type"], "summary");
        assert_eq!(summary["complete"], false);
        assert_eq!(summary["records"], 1);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.signal(), Some(signal.as_raw()));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}

#[test]
fn sigterm_in_a_long_run_ends_it_soon_with_whole_lines() {
    let work = Workdir::new();
    std::fs::File::create(work.join("f"))
        .unwrap()
        .set_len(2_000_000)
        .unwrap();
    let names = "f\0".repeat(100_000);
    for flags in [&[][..], &["--ordered"]] {
        let mut child = work.tool("hash-files").arg("-0").args(flags).spawn();
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let status = std::thread::scope(|scope| {
            scope.spawn(|| {
                let _ = stdin.write_all(names.as_bytes());
            });
            let mut lines = String::new();
            stdout.read_line(&mut lines).unwrap();
            kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
            stdout.read_to_string(&mut lines).unwrap();
            let records: Vec<serde_json::Value> = lines
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            let summary = records.last().unwrap();
            assert_eq!(summary["records"], records.len() - 1);
            assert_eq!(summary["complete"], false);
            assert!(records.len() < 100_000);
            child.wait().unwrap()
        });
        assert_eq!(status.signal(), Some(15));
    }
}

#[test]
fn four_at_once_on_one_pipe_never_tear_a_line() {
    let work = Workdir::new();
    many(&work, 2000);
    let script = "find d -type f -print0 | xargs -0 -n 100 -P 4 hash-files | cat";
    let ran = work.shell(script).ok();
    assert_eq!(ran.of_type("file_hash").len(), 2000);
    assert_eq!(ran.of_type("summary").len(), 20);
    assert_eq!(digests(&ran), sha1sum(&work, "d"));

    let joined = work.shell(&format!("{script} | hash-files")).ok();
    assert_eq!(joined.summary()["complete"], true);
}

#[test]
fn the_watchdog_gets_a_line_a_unit() {
    let work = Workdir::new();
    many(&work, 30);
    let script = "STALL_PROGRESS_FD=3 hash-files -r d absent 3> units || test $? -eq 1; sort units | uniq -c";
    let ran = work.shell(&format!("{{ {script}; }} | grep -v type")).ok();
    let counts = ran.stdout();
    assert!(counts.contains("31 work\n"), "{counts}");
}

#[test]
fn csv_has_a_header_and_a_row_a_file() {
    let work = Workdir::new();
    work.write("a, \"b\"", "hello");
    let ran = work.tool("hash-files").args(["--csv", "a, \"b\""]).ok();
    let text = ran.stdout();
    let mut lines = text.lines();
    assert!(
        lines
            .next()
            .unwrap()
            .starts_with("type,path,path_b64,sha1,size,mtime,")
    );
    let row = lines.next().unwrap();
    assert!(row.starts_with("file_hash,\"/"), "{row}");
    assert!(
        row.contains("a, \"\"b\"\"\",,aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d,5,"),
        "{row}"
    );
    assert_eq!(lines.next(), None);
}

#[test]
fn the_schema_is_printed_without_input() {
    let work = Workdir::new();
    let ran = work.tool("hash-files").args(["--schema", "json"]).ok();
    let schema: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert!(schema.to_string().contains("file_hash"));
}

#[test]
fn nothing_of_the_files_changes_not_even_the_time_of_access() {
    let work = Workdir::new();
    let path = work.write("a", "x");
    work.shell("touch -a -d '2001-01-01 UTC' a").ok();
    let before = work.shell("stat -c '%x %y %z %i %s' a").ok().stdout();
    work.tool("hash-files").arg(&path).ok();
    assert_eq!(
        work.shell("stat -c '%x %y %z %i %s' a").ok().stdout(),
        before
    );
}
