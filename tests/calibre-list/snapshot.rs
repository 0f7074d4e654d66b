//! Journals, logs, locks, read-only folders: right rows, and no trace is left.

use std::{
    fs::{self, Permissions},
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use harness::{Workdir, wait_for};
use rusqlite::{Connection, OpenFlags};

use crate::tree::{assert_untouched, tree};

pub(crate) fn titles(dir: &Workdir, args: &[&str]) -> Vec<String> {
    let ran = dir.tool("calibre-list").args(args).arg("books").ok();
    let records = ran.of_type("book_file");
    records
        .iter()
        .map(|record| record["title"].as_str().unwrap().to_string())
        .collect()
}

fn open(dir: &Workdir) -> Connection {
    library::demo::make(&dir.join("books")).unwrap();
    Connection::open(dir.join("books/metadata.db")).unwrap()
}

#[test]
fn commits_that_are_only_in_the_log_are_listed() {
    let dir = Workdir::new();
    let db = open(&dir);
    db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0")
        .unwrap();
    db.execute_batch("UPDATE books SET title = 'only in the log'")
        .unwrap();
    let before = tree(&dir.join("books"));
    assert!(before.keys().any(|path| path.ends_with("metadata.db-wal")));
    assert!(
        titles(&dir, &[])
            .iter()
            .all(|title| title == "only in the log")
    );
    assert_untouched(&dir.join("books"), &before);
    // What is not committed is not.
    db.execute_batch("BEGIN; PRAGMA cache_size = 5; UPDATE books SET title = 'not yet'")
        .unwrap();
    assert!(
        titles(&dir, &[])
            .iter()
            .all(|title| title == "only in the log")
    );
}

#[test]
fn a_log_at_rest_gets_no_side_files() {
    let dir = Workdir::new();
    let db = open(&dir);
    db.execute_batch("PRAGMA journal_mode = WAL; UPDATE books SET title = 'moved in'")
        .unwrap();
    db.close().unwrap();
    let before = tree(&dir.join("books"));
    assert!(!before.keys().any(|path| path.ends_with("metadata.db-wal")));
    assert!(titles(&dir, &[]).iter().all(|title| title == "moved in"));
    assert_untouched(&dir.join("books"), &before);
}

/// SQLite reads a log whatever the database's header says, and makes an index beside it: a library
/// restored over one that crashed must not get side files, nor lose what SQLite would show of it.
#[test]
fn a_log_left_beside_a_restored_database_gets_no_side_files() {
    let dir = Workdir::new();
    let db = open(&dir);
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; UPDATE books SET title = 'log'",
    )
    .unwrap();
    let log = fs::read(dir.join("books/metadata.db-wal")).unwrap();
    db.close().unwrap();
    fs::remove_dir_all(dir.join("books")).unwrap();
    let db = open(&dir);
    db.execute_batch("UPDATE books SET title = 'restored'")
        .unwrap();
    db.close().unwrap();
    fs::write(dir.join("books/metadata.db-wal"), log).unwrap();
    let before = tree(&dir.join("books"));
    let listed = titles(&dir, &[]);
    assert_untouched(&dir.join("books"), &before);
    let shown: String = Connection::open(dir.join("books/metadata.db"))
        .and_then(|db| db.query_row("SELECT title FROM books WHERE id = 1", [], |row| row.get(0)))
        .unwrap();
    assert_eq!(listed[0], shown);
}

/// A program that crashes in the middle of writing. Only run by the test below.
#[test]
#[ignore = "a part of the next test, which kills it"]
fn writer_to_be_killed() {
    let path = std::env::var_os("TO_BE_KILLED").expect("run by a_crashed_writer_is_rolled_back");
    let db = Connection::open(path).unwrap();
    // With a small cache the changed pages are in the file before the commit.
    db.execute_batch(
        "PRAGMA cache_size = 5; BEGIN; UPDATE books SET title = 'half' || id, sort = title",
    )
    .unwrap();
    eprintln!("half done");
    loop {
        thread::park();
    }
}

pub(crate) fn crash(database: &Path) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "snapshot::writer_to_be_killed",
            "--ignored",
            "--nocapture",
        ])
        .env("TO_BE_KILLED", database)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stderr.take().unwrap());
    assert!(said.lines().any(|line| line.unwrap().contains("half done")));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_crashed_writer_is_rolled_back() {
    let dir = Workdir::new();
    library::large::make(&dir.join("books"), 500).unwrap();
    let sound = titles(&dir, &[]);
    let database = dir.join("books/metadata.db");
    crash(&database);
    assert!(
        fs::metadata(dir.join("books/metadata.db-journal"))
            .unwrap()
            .len()
            > 512
    );
    // The trap is real: who ignores the journal reads what was never committed.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let careless =
        Connection::open_with_flags(format!("file:{}?immutable=1", database.display()), flags)
            .unwrap();
    let half = "SELECT count(*) FROM books WHERE title LIKE 'half%'";
    let halves: i64 = careless.query_row(half, [], |row| row.get(0)).unwrap();
    assert!(halves > 0);
    careless.close().unwrap();

    let before = tree(&dir.join("books"));
    let ran = dir.tool("calibre-list").arg("books").ok();
    ran.one_line(&["metadata.db: read: a program crashed while writing"]);
    let records = ran.of_type("book_file");
    assert_eq!(
        records
            .iter()
            .map(|record| record["title"].as_str().unwrap())
            .collect::<Vec<_>>(),
        sound
    );
    assert_untouched(&dir.join("books"), &before);
}

#[test]
fn a_lock_that_is_kept_is_told() {
    let dir = Workdir::new();
    let db = open(&dir);
    db.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let ran = dir
        .tool("calibre-list")
        .args(["--lock-wait", "1", "books"])
        .code(255);
    ran.one_line(&["metadata.db: read: another program has kept it locked for 1 s"]);
    assert!(ran.stdout.is_empty());
    // A watchdog is told that this is on purpose.
    let told = dir.tool("calibre-list").env("STALL_PROGRESS_FD", "2");
    let told = told.args(["--lock-wait", "1", "books"]).code(255).stderr();
    assert!(
        told.lines()
            .any(|line| line.starts_with("waiting ") && line.ends_with("the database is locked")),
        "{told}"
    );
    db.execute_batch("COMMIT").unwrap();
    // A writer that has not begun to write its pages is no obstacle.
    db.execute_batch("BEGIN IMMEDIATE; UPDATE books SET title = 'x'")
        .unwrap();
    assert_eq!(titles(&dir, &["--lock-wait", "1"]).len(), 43);
}

#[test]
fn a_lock_that_is_let_go_is_waited_for() {
    let dir = Workdir::new();
    let db = open(&dir);
    db.execute_batch("BEGIN EXCLUSIVE; UPDATE books SET title = 'later'")
        .unwrap();
    let run = dir.tool("calibre-list").args(["-v", "books"]);
    let waiting = thread::spawn(move || run.ok());
    // It has opened the database: it waits.
    wait_for("the reader", Duration::from_secs(20), || {
        let open = |link: fs::DirEntry| {
            fs::read_link(link.path()).is_ok_and(|to| to == dir.join("books/metadata.db"))
        };
        let others = fs::read_dir("/proc").unwrap().flatten().filter(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name != std::process::id().to_string() && name.parse::<u32>().is_ok()
        });
        others
            .filter_map(|process| fs::read_dir(process.path().join("fd")).ok())
            .any(|links| links.flatten().any(open))
            .then_some(())
    });
    db.execute_batch("COMMIT").unwrap();
    let records = waiting.join().unwrap().of_type("book_file");
    assert!(records.iter().all(|record| record["title"] == "later"));
}

/// Calibre gives up after 10 s. A writer as busy as none is must never wait nearly that long, and
/// what is listed must be one moment: both titles change in the same transactions.
#[test]
fn a_writer_in_a_loop_is_not_held_up() {
    let dir = Workdir::new();
    library::large::make(&dir.join("books"), 20_000).unwrap();
    let path = dir.join("books/metadata.db");
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let writer = thread::spawn(move || {
        let db = Connection::open(path).unwrap();
        db.busy_timeout(Duration::from_secs(10)).unwrap();
        let (mut rounds, mut longest) = (0, Duration::ZERO);
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            let started = Instant::now();
            db.execute(
                "UPDATE books SET title = 'round ' || ?1 WHERE id IN (1, 20000)",
                [rounds],
            )
            .unwrap();
            longest = longest.max(started.elapsed());
            rounds += 1;
        }
        (rounds, longest)
    });
    for _ in 0..4 {
        let ran = dir
            .tool("calibre-list")
            .args(["--ids", "1,20000", "books"])
            .ok();
        let records = ran.of_type("book_file");
        let titles = records
            .iter()
            .map(|record| record["title"].as_str().unwrap());
        let titles: std::collections::BTreeSet<&str> = titles.collect();
        assert_eq!(titles.len(), 1, "{titles:?}");
    }
    drop(stop);
    let (rounds, longest) = writer.join().unwrap();
    assert!(
        rounds > 10 && longest < Duration::from_secs(6),
        "{rounds} rounds, {longest:?}"
    );
}

#[test]
fn an_unreadable_database_is_told() {
    let dir = Workdir::new();
    open(&dir).close().unwrap();
    let database = dir.join("books/metadata.db");
    fs::set_permissions(&database, Permissions::from_mode(0o000)).unwrap();
    // Permissions do not bind root.
    if fs::File::open(&database).is_err() {
        dir.tool("calibre-list")
            .arg("books")
            .code(255)
            .one_line(&["metadata.db", "Permission denied"]);
    }
    let ran = as_nobody(&dir, "calibre-list books").run();
    if ran.stderr().contains("setpriv") {
        return;
    }
    assert_eq!(ran.status.code(), Some(255), "{}", ran.report());
    ran.one_line(&["metadata.db: read: Permission denied"]);
}

/// A shell command as a user who may not write here; root runs it as nobody.
fn as_nobody(dir: &Workdir, script: &str) -> harness::Run {
    let root = fs::metadata("/proc/self")
        .is_ok_and(|about| std::os::unix::fs::MetadataExt::uid(&about) == 0);
    // The tool's own folder may be closed to others: it is copied to where it is not.
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let copy = dir.join("calibre-list");
    fs::copy(harness::run::tool("calibre-list"), &copy).unwrap();
    let priv_drop = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    let prefix = if root { priv_drop } else { "" };
    dir.shell(&format!("exec {prefix} ./{script}"))
}

#[test]
fn a_read_only_folder_is_enough() {
    let dir = Workdir::new();
    open(&dir).close().unwrap();
    let root = dir.join("books");
    for mode in ["PRAGMA journal_mode = DELETE", "PRAGMA journal_mode = WAL"] {
        let db = Connection::open(root.join("metadata.db")).unwrap();
        db.execute_batch(mode).unwrap();
        db.close().unwrap();
        fs::set_permissions(&root, Permissions::from_mode(0o555)).unwrap();
        fs::set_permissions(root.join("metadata.db"), Permissions::from_mode(0o444)).unwrap();
        let before = tree(&root);
        let ran = as_nobody(&dir, "calibre-list books").ok();
        assert_eq!(ran.of_type("book_file").len(), 43);
        assert_untouched(&root, &before);
        fs::set_permissions(&root, Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(root.join("metadata.db"), Permissions::from_mode(0o644)).unwrap();
    }
}

#[test]
fn a_read_only_mount_is_enough() {
    let dir = Workdir::new();
    open(&dir).close().unwrap();
    let script = "mkdir mounted && mount --bind books mounted && mount -o remount,ro,bind mounted \
                  && ! touch mounted/x 2>/dev/null && calibre-list mounted";
    let before = tree(&dir.join("books"));
    let ran = dir
        .shell(&format!("exec unshare -r -m bash -eu -c '{script}'"))
        .run();
    if !ran.status.success() && ran.stdout.is_empty() && !ran.stderr().contains("calibre-list:") {
        // A kernel that does not let users have mounts of their own.
        return;
    }
    assert_eq!(ran.of_type("book_file").len(), 43, "{}", ran.report());
    assert_untouched(&dir.join("books"), &before);
}

#[test]
fn the_private_copy_is_gone_even_after_kill_9() {
    let dir = Workdir::new();
    library::large::make(&dir.join("books"), 5000).unwrap();
    let copies = dir.join("copies");
    fs::create_dir(&copies).unwrap();
    let mut command = dir
        .tool("calibre-list")
        .arg("books")
        .env("TMPDIR", &copies)
        .into_command();
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.starts_with("{\"type\":\"book_file\""));
    assert_eq!(fs::read_dir(&copies).unwrap().count(), 0);
}

#[test]
fn too_little_room_is_told() {
    let dir = Workdir::new();
    library::large::make(&dir.join("books"), 5000).unwrap();
    fs::create_dir(dir.join("small")).unwrap();
    let script = "mount -t tmpfs -o size=2m none small && TMPDIR=$PWD/small calibre-list books";
    let ran = dir
        .shell(&format!("exec unshare -r -m bash -eu -c '{script}'"))
        .run();
    if ran.stderr().contains("mount:") || ran.stderr().contains("unshare:") {
        return;
    }
    assert_eq!(ran.status.code(), Some(255), "{}", ran.report());
    ran.one_line(&[
        "small: copy the database here: ",
        "MB are needed and 2 MB are free; set TMPDIR",
    ]);
}
