use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::ExitStatusExt,
};

use rustix::process::{Pid, Signal, kill_process};

use super::*;

const OLD: &str = "{\"type\":\"summary\",\"tool\":\"hash-files\"}\n";

/// A folder with a file to hash and an output of an earlier run.
fn stage() -> Workdir {
    let work = Workdir::new();
    work.write("a", "x");
    work.write("out", OLD);
    work
}

fn left(work: &Workdir, name: &str) -> Option<String> {
    fs::read_to_string(work.join(name)).ok()
}

#[test]
fn a_run_that_went_to_its_end_takes_the_place_of_the_last_one() {
    let work = stage();
    for (args, code, records) in [(&["a"][..], 0, 1), (&["a", "absent"], 1, 2)] {
        let ran = work.tool("hash-files").args(["-o", "out"]).args(args);
        assert_eq!(ran.code(code).stdout(), "");
        let out = left(&work, "out").unwrap();
        assert_eq!(out.lines().count(), records + 1, "{out}");
        assert!(out.lines().last().unwrap().contains("summary"), "{out}");
        assert_eq!(left(&work, "out.partial"), None);
    }
    work.shell("hash-files --csv --output=out a").ok();
    assert!(left(&work, "out").unwrap().starts_with("type,path"));
    work.shell("hash-files -o out a; ln -s ../out d-link; mkdir d; mv d-link d/link; hash-files -o d/link a absent || test -L d/link")
        .ok();
    assert_eq!(
        left(&work, "out").unwrap().lines().count(),
        3,
        "written through the link"
    );
    assert_eq!(
        work.tool("hash-files")
            .args(["-o", "-", "a"])
            .ok()
            .records()
            .len(),
        2
    );
}

#[test]
fn a_run_that_gave_up_leaves_the_last_outcomes_as_they_were() {
    let work = stage();
    let ran = work.shell("hash-files -o out <.").code(255);
    ran.one_line(&["stdin: read: Is a directory"]);
    assert_eq!(left(&work, "out").unwrap(), OLD);
    assert_eq!(
        left(&work, "out.partial"),
        None,
        "nothing written, nothing left"
    );

    // The disk is full in the middle.
    let names = "a\0".repeat(2000);
    let script = "trap '' XFSZ; ulimit -f 64; hash-files -0 -o out";
    let ran = work.shell(script).stdin(names).code(255);
    assert!(
        ran.stderr().contains("out.partial: write: File too large"),
        "{}",
        ran.report()
    );
    assert!(
        ran.stderr().contains("out.partial holds what there is"),
        "{}",
        ran.report()
    );
    assert_eq!(left(&work, "out").unwrap(), OLD);
    assert!(left(&work, "out.partial").unwrap().len() > 10_000);

    // What was left of that is not touched before there is something in its place.
    work.shell("hash-files -o out <.").code(255);
    assert!(left(&work, "out.partial").unwrap().len() > 10_000);
    work.shell("hash-files -o out a").ok();
    assert_eq!(left(&work, "out").unwrap().lines().count(), 2);
    assert_eq!(left(&work, "out.partial"), None);
}

/// Says that it is at work, and waits for more on its stdin.
fn at_work(work: &Workdir) -> (std::process::Child, impl BufRead) {
    let command = work.shell("exec hash-files -0 -v -o out 2>&1");
    let mut child = command.env("STALL_PROGRESS_FD", "1").spawn();
    child.stdin.as_mut().unwrap().write_all(b"a\0").unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    told.read_line(&mut first).unwrap();
    assert_eq!(first, "work\n");
    (child, told)
}

#[test]
fn two_runs_at_a_time_do_not_write_into_each_other() {
    let work = stage();
    let (mut first, _told) = at_work(&work);
    let second = work.shell("hash-files -o out a").code(3);
    second.one_line(&["hash-files: ", "out.partial: lock: another process"]);
    assert_eq!(left(&work, "out").unwrap(), OLD);
    drop(first.stdin.take());
    assert!(first.wait().unwrap().success());
    assert_eq!(left(&work, "out").unwrap().lines().count(), 2);
    work.shell("hash-files -o out a").ok();
}

#[test]
fn what_an_interrupted_run_wrote_is_kept_and_said_where() {
    let work = stage();
    let (mut first, mut told) = at_work(&work);
    kill_process(Pid::from_child(&first), Signal::TERM).unwrap();
    assert_eq!(first.wait().unwrap().signal(), Some(15));
    let mut said = String::new();
    std::io::Read::read_to_string(&mut told, &mut said).unwrap();
    assert!(said.contains("out.partial holds what there is"), "{said}");
    assert_eq!(left(&work, "out").unwrap(), OLD);
    assert_eq!(left(&work, "out.partial").unwrap().lines().count(), 2);
}

#[test]
fn a_book_or_a_journal_is_not_written_over() {
    let work = stage();
    work.write("a.epub", "PK\x03\x04book");
    work.write("journal", "{\"type\":\"journal\",\"server\":\"s\"}\n");
    work.write("b.partial", "half a download");
    work.shell("mkfifo fifo; ln -s nowhere dangling; mkdir d")
        .ok();
    let listing = || {
        work.shell("ls -lR --time-style=full-iso; cat *.epub journal")
            .ok()
            .stdout()
    };
    let before = listing();
    for name in [
        "a.epub",
        "journal",
        "b",
        "fifo",
        "dangling",
        "d",
        "no/such/folder",
        "/",
    ] {
        let ran = work.tool("hash-files").args(["-o", name, "a"]).code(2);
        assert_eq!(ran.stdout(), "");
        assert_eq!(ran.stderr().lines().count(), 1, "{}", ran.report());
    }
    assert_eq!(listing(), before);
}
