use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, symlink},
        net::UnixListener,
    },
};

use harness::run::{Run, tool};

use super::*;

/// A run that is ended with code 124 if it hangs.
fn in_time(work: &Workdir) -> Run {
    work.command("timeout").arg("60").arg(tool("hash-files"))
}

fn message(ran: &Ran, name: &str) -> String {
    let errors = ran.of_type("error");
    let ends = |error: &&serde_json::Value| error["path"].as_str().unwrap().ends_with(name);
    let error = errors
        .iter()
        .find(ends)
        .unwrap_or_else(|| panic!("{name}\n{}", ran.report()));
    assert_eq!(error["was"], "file_hash");
    assert_eq!(error["tool"], "hash-files");
    error["message"].as_str().unwrap().to_string()
}

/// A folder with one of each kind that is no file, and a good file.
fn zoo(work: &Workdir) -> Vec<&'static str> {
    fs::create_dir(work.join("folder")).unwrap();
    work.shell("mkfifo fifo").ok();
    UnixListener::bind(work.join("socket")).unwrap();
    symlink("/dev/zero", work.join("device")).unwrap();
    symlink("fifo", work.join("link-to-fifo")).unwrap();
    symlink("nowhere", work.join("dangling")).unwrap();
    symlink("loop", work.join("loop")).unwrap();
    work.write("file", "x");
    symlink("file", work.join("link")).unwrap();
    vec![
        "folder",
        "fifo",
        "socket",
        "device",
        "link-to-fifo",
        "dangling",
        "loop",
        "absent",
        "file/x",
    ]
}

#[test]
fn what_is_no_file_is_an_error_and_never_blocks() {
    let work = Workdir::new();
    let bad = zoo(&work);
    let ran = in_time(&work).args(&bad).arg("file").code(1);
    for (name, why) in [
        ("/folder", "-r"),
        ("/fifo", "a FIFO, not a regular file"),
        ("/socket", "a socket"),
        ("/device", "a character device"),
        ("/link-to-fifo", "a FIFO"),
        ("/dangling", "No such file"),
        ("/loop", "symbolic link"),
        ("/absent", "No such file"),
        ("/file/x", "Not a directory"),
    ] {
        let message = message(&ran, name);
        assert!(message.contains(why), "{name}: {message}");
    }
    assert_eq!(ran.of_type("file_hash").len(), 1);
    assert_eq!(ran.summary()["failed"], bad.len());
    assert_eq!(
        ran.summary()["complete"],
        true,
        "each failed item has its line"
    );
    assert!(
        ran.of_type("error")
            .iter()
            .all(|error| error["retry"] == false)
    );
    let stderr = ran.stderr();
    assert_eq!(stderr.lines().count(), bad.len(), "{stderr}");
    assert!(
        stderr.lines().all(|line| line.starts_with("hash-files: /")),
        "{stderr}"
    );
}

#[test]
fn an_empty_argument_names_no_file_and_hides_none() {
    let work = Workdir::new();
    work.write("file", "x");
    let ran = in_time(&work).args(["", "file"]).code(1);
    assert_eq!(ran.of_type("file_hash").len(), 1);
    let errors = ran.of_type("error");
    assert_eq!(
        (errors.len(), ran.summary()["failed"].as_u64()),
        (1, Some(1))
    );
    assert!(ran.stderr().contains("empty"), "{}", ran.report());
}

#[test]
fn records_that_point_to_no_file_stay_the_rows_that_they_are() {
    let work = Workdir::new();
    let bad = zoo(&work);
    let lines: String = bad
        .iter()
        .map(|name| {
            record(
                "book_file",
                work.join(name),
                ",\"book_id\":7,\"new\":[{\"a\":1e0}]",
            )
        })
        .collect();
    let ran = in_time(&work)
        .arg("--ordered")
        .stdin(lines + &whole(bad.len()))
        .code(1);
    let errors = ran.of_type("error");
    assert_eq!(errors.len(), bad.len());
    for (error, name) in errors.iter().zip(&bad) {
        assert_eq!(error["was"], "book_file");
        assert_eq!(error["book_id"], 7);
        assert_eq!(error["path"], work.join(name).to_str().unwrap());
    }
    assert!(ran.stdout().contains(r#","new":[{"a":1e0}]"#));
    assert_eq!(ran.summary()["complete"], true);
}

#[test]
fn links_are_followed_by_name_and_skipped_in_folders() {
    let work = Workdir::new();
    zoo(&work);
    let named = work.tool("hash-files").arg("link").ok();
    assert!(digests(&named).contains_key(&work.join("link")));

    symlink("..", work.join("folder/up")).unwrap();
    let walked = in_time(&work).args(["-r", "."]).code(0);
    assert_eq!(
        digests(&walked).into_keys().collect::<Vec<_>>(),
        [work.join("file")]
    );
    assert_eq!(walked.stderr(), "");

    symlink("folder", work.join("shelf")).unwrap();
    let inside = work.write("folder/inside", "y");
    assert!(inside.exists());
    let ran = work.tool("hash-files").args(["-r", "shelf"]).ok();
    assert!(digests(&ran).contains_key(&work.join("shelf/inside")));
}

#[test]
fn a_folder_that_cannot_be_read_is_told_and_the_stream_is_not_whole() {
    let work = Workdir::new();
    work.write("books/open/a", "a");
    work.write("books/shut/b", "b");
    work.write("books/secret", "c");
    let mode = |path: &str, mode| {
        fs::set_permissions(work.join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("books/shut", 0o000);
    mode("books/secret", 0o000);
    // Nothing is shut to root.
    mode("", 0o755);
    fs::copy(tool("hash-files"), work.join("tool")).unwrap();
    let program = if rustix::process::geteuid().is_root() {
        work.command("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "./tool"])
    } else {
        work.command("./tool")
    };
    let ran = program.args(["-r", "books"]).code(1);
    mode("books/shut", 0o755);
    assert_eq!(
        digests(&ran).into_keys().collect::<Vec<_>>(),
        [work.join("books/open/a")]
    );
    assert!(message(&ran, "/shut").contains("Permission denied"));
    assert!(message(&ran, "/secret").contains("Permission denied"));
    assert_eq!(ran.summary()["failed"], 2);
    assert_eq!(ran.summary()["complete"], false);
}

#[test]
fn a_folder_among_the_arguments_needs_r() {
    let work = Workdir::new();
    work.write("folder/file", "x");
    let ran = work.tool("hash-files").arg("folder").code(1);
    ran.one_line(&["hash-files: ", "/folder: open: a directory", "-r"]);
    assert_eq!(ran.of_type("file_hash").len(), 0);
}

#[test]
fn hostile_names_are_one_escaped_line_on_stderr() {
    let work = Workdir::new();
    let ran = work
        .tool("hash-files")
        .arg("a\nhash-files: all is well\x1b[2J")
        .code(1);
    ran.one_line(&["a\\nhash-files: all is well\\u{1b}[2J"]);
}

#[test]
fn contradictions_are_usage_errors() {
    let work = Workdir::new();
    work.write("f", "x");
    for flags in [
        &["-r"][..],
        &["-0", "f"],
        &["--ext", "epub", "f"],
        &["-j", "0", "f"],
        &["--io-threads", "0", "f"],
        &["--tar", "--cache", "c", "f"],
    ] {
        let ran = work.tool("hash-files").args(flags).code(2);
        assert!(ran.stdout.is_empty(), "{}", ran.report());
        assert!(!ran.stderr.is_empty());
    }
}

#[test]
fn ext_selects_in_folders_only_and_says_so() {
    let work = Workdir::new();
    for name in [
        "d/a.epub",
        "d/b.EPUB",
        "d/e/c.pdf",
        "d/x.mobi",
        "d/epub",
        "d/.epub",
        "y.mobi",
    ] {
        work.write(name, name);
    }
    let ran = work
        .tool("hash-files")
        .args(["-r", "--ext", "epub,.PDF", "d", "y.mobi"])
        .ok();
    let names: Vec<_> = digests(&ran).into_keys().collect();
    let expected = ["d/a.epub", "d/b.EPUB", "d/e/c.pdf", "y.mobi"].map(|name| work.join(name));
    assert_eq!(names, expected);
    assert_eq!(ran.summary()["complete"], false);
    assert_eq!(ran.summary()["selection"], "--ext epub,pdf");
}
