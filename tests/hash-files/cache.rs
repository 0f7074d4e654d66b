use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader, Write},
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
    time::SystemTime,
};

use harness::wait_for;
use rusqlite::Connection;

use super::*;

/// Writes files `d/<n>` and waits until they are at rest, so that the cache takes them.
fn settled(work: &Workdir, number: usize) {
    for n in 0..number {
        work.write(format!("d/{n:05}"), format!("content {n}"));
    }
    at_rest(&work.join(format!("d/{:05}", number - 1)));
}

fn at_rest(path: &Path) {
    let metadata = fs::metadata(path).unwrap();
    let changed = Duration::new(metadata.ctime() as u64, metadata.ctime_nsec() as u32);
    wait_for("a file at rest", DEADLINE, || {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        (now > changed + Duration::from_millis(2010)).then_some(())
    });
}

fn run(work: &Workdir) -> Ran {
    work.tool("hash-files")
        .args(["-r", "-v", "--cache-still=2", "--cache", "cache.db", "d"])
        .ok()
}

fn hits(ran: &Ran) -> usize {
    let stderr = ran.stderr();
    let (before, _) = stderr
        .split_once(" files were known")
        .unwrap_or_else(|| panic!("{}", ran.report()));
    before.rsplit(' ').next().unwrap().parse().unwrap()
}

fn entries(work: &Workdir) -> i64 {
    let cache = Connection::open(work.join("cache.db")).unwrap();
    assert_eq!(
        cache
            .query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0))
            .unwrap(),
        "ok"
    );
    cache
        .query_row("SELECT count(*) FROM digest", [], |row| row.get(0))
        .unwrap()
}

#[test]
fn what_is_known_is_not_read_again() {
    let work = Workdir::new();
    settled(&work, 50);
    let first = run(&work);
    assert_eq!((hits(&first), entries(&work)), (0, 50));
    let second = run(&work);
    assert_eq!(hits(&second), 50);
    assert_eq!(digests(&second), sha1sum(&work, "d"));
    assert_eq!(digests(&first), digests(&second));
    let sorted = |ran: &Ran| {
        let mut lines: Vec<_> = ran.stdout().lines().map(String::from).collect();
        lines.sort();
        lines
    };
    assert_eq!(
        sorted(&first),
        sorted(&second),
        "a known hash looks like a new one"
    );

    // The proof that nothing was read: a lie in the cache is believed.
    let cache = Connection::open(work.join("cache.db")).unwrap();
    cache
        .execute("UPDATE digest SET sha1 = zeroblob(20)", [])
        .unwrap();
    drop(cache);
    assert!(
        digests(&run(&work))
            .into_values()
            .all(|sha1| sha1 == "0".repeat(40))
    );
}

/// Other programs change files by mmap, which leaves their times as they are until the system has written
/// the page to the disk.
#[test]
fn a_file_that_a_program_has_mapped_is_not_kept_as_it_was_before() {
    let work = Workdir::new();
    work.write("d/mapped", "x".repeat(5000));
    // Maps it, changes it, and once more when told to; then waits for its own end.
    let script = "import mmap, sys\n\
        f = open('d/mapped', 'r+b'); m = mmap.mmap(f.fileno(), 0); f.close()\n\
        for c in b'abc':\n  m[0] = c; print('changed', flush=True); sys.stdin.readline()";
    let mut writer = work.command("python3").args(["-c", script]).spawn();
    let mut told = BufReader::new(writer.stdout.take().unwrap());
    let mut changed = || told.read_line(&mut String::new()).unwrap();
    changed();
    at_rest(&work.join("d/mapped"));
    let hash = || {
        work.tool("hash-files")
            .args(["-v", "--cache", "cache.db", "d/mapped"])
            .ok()
    };
    let first = hash();
    writer.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    changed();
    let second = hash();
    // It changes the file once more when its stdin ends.
    writer.kill().unwrap();
    writer.wait().unwrap();
    assert_eq!((hits(&first), hits(&second)), (0, 0));
    assert_eq!(entries(&work), 0);
    assert_eq!(digests(&second), sha1sum(&work, "d"));
}

#[test]
fn a_file_that_was_just_written_is_not_kept() {
    let work = Workdir::new();
    work.write("d/new", "x");
    run(&work);
    assert_eq!(entries(&work), 0);
    // An old mtime does not help: the file may still be changing.
    work.shell("touch -d '2001-01-01' d/new").ok();
    run(&work);
    assert_eq!(entries(&work), 0);
    at_rest(&work.join("d/new"));
    run(&work);
    assert_eq!(entries(&work), 1);
}

#[test]
fn a_change_that_keeps_size_and_mtime_is_still_a_change() {
    let work = Workdir::new();
    settled(&work, 2);
    run(&work);
    let path = work.join("d/00001");
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    let before = file.metadata().unwrap().modified().unwrap();
    file.write_all_at(b"C", 0).unwrap();
    file.set_modified(before).unwrap();
    let ran = run(&work);
    assert_eq!(hits(&ran), 1);
    assert_eq!(digests(&ran), sha1sum(&work, "d"));
}

#[test]
fn another_file_at_a_known_path_is_another_file() {
    let work = Workdir::new();
    settled(&work, 2);
    run(&work);
    fs::rename(work.join("d/00000"), work.join("d/00001")).unwrap();
    let ran = run(&work);
    assert_eq!(hits(&ran), 0);
    assert_eq!(digests(&ran), sha1sum(&work, "d"));
}

#[test]
fn names_are_kept_to_the_byte() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let work = Workdir::new();
    for name in [
        &b"d/caf\xe9"[..],
        b"d/caf\xe8",
        "d/caf\u{fffd}".as_bytes(),
        b"d/CAF\xe9",
        b"d/a\nb",
    ] {
        work.write(OsStr::from_bytes(name), name);
    }
    at_rest(&work.join("d/a\nb"));
    run(&work);
    let ran = run(&work);
    assert_eq!(hits(&ran), 5);
    assert_eq!(digests(&ran), sha1sum(&work, "d"));
}

#[test]
fn a_file_that_is_no_cache_of_ours_is_refused_and_left_alone() {
    let work = Workdir::new();
    work.write("d/a", "x");
    work.write("text", "not a database, but long enough to look for a header of one hundred bytes in it, is it not?\n".repeat(9));
    let calibre = Connection::open(work.join("metadata.db")).unwrap();
    calibre
        .execute_batch("CREATE TABLE books (id); INSERT INTO books VALUES (1)")
        .unwrap();
    drop(calibre);
    let newer = Connection::open(work.join("newer.db")).unwrap();
    newer
        .execute_batch(
            "PRAGMA application_id = 0x6d627368; PRAGMA user_version = 2; CREATE TABLE digest (x)",
        )
        .unwrap();
    drop(newer);
    fs::create_dir(work.join("folder")).unwrap();
    work.shell("mkfifo fifo").ok();
    for (name, why) in [
        ("text", "no SQLite database"),
        ("metadata.db", "not a hash cache"),
        ("newer.db", "another version"),
        ("folder", "not a regular file"),
        ("fifo", "not a regular file"),
        ("nowhere/cache.db", "unable to open"),
    ] {
        let sum = || {
            work.shell("find . -type f -print0 | sort -z | xargs -0 sha1sum; find . | sort")
                .ok()
                .stdout()
        };
        let before = sum();
        let ran = work
            .tool("hash-files")
            .args(["--cache-still=2", "--cache", name, "d/a"])
            .code(2);
        ran.one_line(&[&format!("hash-files: {name}: open the hash cache: "), why]);
        assert!(ran.stdout.is_empty());
        assert_eq!(sum(), before, "{name}");
    }
}

#[test]
fn an_empty_file_becomes_a_cache() {
    let work = Workdir::new();
    settled(&work, 3);
    File::create(work.join("cache.db")).unwrap();
    run(&work);
    assert_eq!(entries(&work), 3);
}

#[test]
fn two_runs_share_a_new_cache() {
    let work = Workdir::new();
    settled(&work, 3000);
    let spawn = || {
        work.tool("hash-files")
            .args(["-r", "--cache-still=2", "--cache", "cache.db", "d"])
            .spawn()
    };
    let runs: Vec<_> = (0..3).map(|_| spawn()).collect();
    for run in runs {
        let output = run.wait_with_output().unwrap();
        assert!(output.status.success());
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert_eq!(
            output.stdout.iter().filter(|&&byte| byte == b'\n').count(),
            3001
        );
    }
    assert_eq!(entries(&work), 3000);
    assert_eq!(hits(&run(&work)), 3000);
}

#[test]
fn kill_9_costs_no_more_than_the_last_entries() {
    let work = Workdir::new();
    settled(&work, 4000);
    let mut child = work
        .tool("hash-files")
        .args(["-r", "--cache-still=2", "--cache", "cache.db", "d"])
        .spawn();
    let mut stdout = child.stdout.take().unwrap();
    let drain = std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
    let kept = || {
        let cache = Connection::open_with_flags(
            work.join("cache.db"),
            rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
        )
        .ok()?;
        let number: i64 = cache
            .query_row("SELECT count(*) FROM digest", [], |row| row.get(0))
            .ok()?;
        (number > 0).then_some(number)
    };
    let number = wait_for("the first entries", DEADLINE, kept);
    child.kill().unwrap();
    child.wait().unwrap();
    drain.join().unwrap().unwrap();
    assert!(entries(&work) >= number);
    let ran = run(&work);
    assert!(hits(&ran) >= number as usize);
    assert_eq!(digests(&ran), sha1sum(&work, "d"));
    assert_eq!(entries(&work), 4000);
}

#[test]
fn a_locked_cache_costs_the_cache_and_no_hash() {
    let work = Workdir::new();
    settled(&work, 20);
    run(&work);
    let cache = Connection::open(work.join("cache.db")).unwrap();
    cache
        .execute_batch("DELETE FROM digest; BEGIN IMMEDIATE")
        .unwrap();
    let ran = work
        .tool("hash-files")
        .args(["-r", "--cache-still=2", "--cache", "cache.db", "d"])
        .ok();
    ran.one_line(&[
        "hash-files: cache: use: database is locked",
        "going on without it",
    ]);
    assert_eq!(digests(&ran), sha1sum(&work, "d"));
    assert_eq!(ran.summary()["complete"], true);
}

#[test]
fn a_full_disk_costs_the_cache_and_no_hash() {
    let work = Workdir::new();
    settled(&work, 3000);
    // No file may grow beyond 40 KiB; stdout is a pipe.
    let script = "trap '' XFSZ; ulimit -f 40; hash-files -r --cache-still=2 --cache cache.db d";
    let ran = work.shell(script).ok();
    ran.one_line(&["hash-files: cache: use: ", "going on without it"]);
    assert_eq!(digests(&ran), sha1sum(&work, "d"));
    assert!(entries(&work) < 3000);
    run(&work);
    assert_eq!(entries(&work), 3000);
}

#[test]
fn a_damaged_cache_costs_the_cache_and_no_hash() {
    let work = Workdir::new();
    settled(&work, 3000);
    run(&work);
    let file = OpenOptions::new()
        .write(true)
        .open(work.join("cache.db"))
        .unwrap();
    let size = file.metadata().unwrap().len();
    file.write_all_at(&vec![0xa5; size as usize - 4096], 4096)
        .unwrap();
    let ran = work
        .tool("hash-files")
        .args(["-r", "--cache-still=2", "--cache", "cache.db", "d"])
        .ok();
    ran.one_line(&["malformed", "going on without it"]);
    assert_eq!(digests(&ran), sha1sum(&work, "d"));
}

#[test]
fn what_cannot_be_hashed_is_not_kept() {
    let work = Workdir::new();
    settled(&work, 1);
    let ran = work
        .tool("hash-files")
        .args([
            "--cache-still=2",
            "--cache",
            "cache.db",
            "d/00000",
            "d/absent",
            "d",
        ])
        .code(1);
    assert_eq!(ran.summary()["failed"], 2);
    assert_eq!(entries(&work), 1);
}

/// SQLite waits in a pipe for ever, and computes a view that has no end.
#[test]
fn a_cache_that_would_hold_the_run_up_is_refused() {
    let work = Workdir::new();
    settled(&work, 1);
    let refused = |why: &str| {
        let run = work.command("timeout").args(["-s", "KILL", "30"]);
        let run = run.arg(harness::run::tool("hash-files"));
        let ran = run.args(["--cache", "cache.db", "-r", "d"]).code(2);
        ran.one_line(&["hash-files: cache.db: open the hash cache: ", why]);
    };
    for side in ["-wal", "-journal"] {
        run(&work);
        let side = format!("cache.db{side}");
        let _ = fs::remove_file(work.join(&side));
        work.shell(&format!("mkfifo {side}")).ok();
        refused("is not a regular file");
        fs::remove_file(work.join(side)).unwrap();
    }
    let cache = Connection::open(work.join("cache.db")).unwrap();
    cache
        .execute_batch(
            "ALTER TABLE digest RENAME TO d;
             CREATE VIEW digest AS WITH RECURSIVE n(path) AS (SELECT 1 UNION ALL SELECT path FROM n)
             SELECT path, 1 AS inode, 1 AS size, 1 AS mtime, 1 AS ctime, 1 AS sha1 FROM n",
        )
        .unwrap();
    refused("what this tool did not make");
    cache
        .execute_batch(
            "DROP VIEW digest; ALTER TABLE d RENAME TO digest;
             CREATE TRIGGER t AFTER INSERT ON digest BEGIN DELETE FROM digest; END",
        )
        .unwrap();
    refused("what this tool did not make");
}
