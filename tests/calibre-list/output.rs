//! Pipes, full disks, signals, the other forms of output.

use std::{io::Read, os::unix::process::ExitStatusExt, process::Stdio, time::Duration};

use harness::{Workdir, wait_for};

fn demo(dir: &Workdir) {
    library::demo::make(&dir.join("books")).unwrap();
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let dir = Workdir::new();
    library::large::make(&dir.join("books"), 2000).unwrap();
    let ran = dir.shell("calibre-list books | head -1").ok();
    assert_eq!(ran.records().len(), 1);
    assert_eq!(ran.stderr(), "");
}

#[test]
fn a_full_disk_is_told_once() {
    let dir = Workdir::new();
    library::large::make(&dir.join("books"), 2000).unwrap();
    let ran = dir.shell("calibre-list books >/dev/full").code(255);
    ran.one_line(&["stdout: write: No space left on device"]);
}

#[test]
fn a_signal_ends_it_by_that_signal() {
    let dir = Workdir::new();
    library::large::make(&dir.join("books"), 5000).unwrap();
    let mut command = dir.tool("calibre-list").arg("books").into_command();
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    // The pipe is full and nobody reads: it is in the middle of its work.
    stdout.read_exact(&mut [0; 10]).unwrap();
    let kill = |pid: u32| dir.command("kill").args(["-TERM", &pid.to_string()]).ok();
    kill(child.id());
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).unwrap();
    let status = wait_for("its end", Duration::from_secs(20), || {
        child.try_wait().unwrap()
    });
    assert_eq!(status.signal(), Some(15));
    let text = String::from_utf8(rest).unwrap();
    assert!(text.ends_with('\n'), "a torn line");
    assert!(!text.contains("\"complete\":true"));
}

#[test]
fn a_spreadsheet_gets_a_header_and_a_row_a_file() {
    let dir = Workdir::new();
    demo(&dir);
    let ran = dir.tool("calibre-list").args(["--csv", "books"]).ok();
    let text = ran.stdout();
    assert!(
        text.starts_with("type,path,path_b64,book_id,format,title,authors,"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1 + 43);
    assert!(text.contains("Mark Twain;Warner, Jr., Charles"));
    assert!(!text.contains("summary"));
}

#[test]
fn its_records_can_be_described() {
    let dir = Workdir::new();
    for (form, says) in [
        ("json", "\"const\": \"book_file\""),
        ("duckdb", "\"authors\": 'VARCHAR[]'"),
        ("sqlite", "VIEW IF NOT EXISTS book_file"),
    ] {
        let ran = dir.tool("calibre-list").args(["--schema", form]).ok();
        assert!(ran.stdout().contains(says), "{}", ran.report());
    }
}

#[test]
fn the_environment_names_the_library() {
    let dir = Workdir::new();
    demo(&dir);
    library::large::make(&dir.join("elsewhere"), 3).unwrap();
    let count = |run: harness::Run| run.ok().of_type("book_file").len();
    let tool = || dir.tool("calibre-list");
    assert_eq!(count(tool().env("CALIBRE_LIBRARY", dir.join("books"))), 43);
    // An argument goes before the environment, and a database brings its own folder.
    let args = ["--db", "elsewhere/metadata.db"];
    let small = count(tool().args(args).env("CALIBRE_LIBRARY", dir.join("books")));
    assert!(small < 10);
    let db = dir.join("elsewhere/metadata.db");
    std::fs::remove_file(dir.join("books/metadata.db")).unwrap();
    let ran = tool()
        .arg("books")
        .env("CALIBRE_OVERRIDE_DATABASE_PATH", db)
        .ok();
    assert_eq!(ran.of_type("book_file").len(), small);
    let path = ran.of_type("book_file")[0]["path"]
        .as_str()
        .unwrap()
        .to_string();
    assert!(
        path.starts_with(dir.join("books").to_str().unwrap()),
        "{path}"
    );
}

#[test]
fn paths_are_absolute_and_links_in_them_stay() {
    let dir = Workdir::new();
    demo(&dir);
    std::os::unix::fs::symlink("books", dir.join("link")).unwrap();
    let ran = dir
        .tool("calibre-list")
        .args(["--limit", "1", "./link/"])
        .ok();
    let path = ran.of_type("book_file")[0]["path"]
        .as_str()
        .unwrap()
        .to_string();
    assert!(
        path.starts_with(dir.join("link/H. G. Wells/").to_str().unwrap()),
        "{path}"
    );
    assert!(std::fs::metadata(path).is_ok());
}
