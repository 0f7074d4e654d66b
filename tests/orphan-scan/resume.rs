//! Killed and started again; cut into shards.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    time::{Duration, SystemTime},
};

use harness::run::Ran;
use library::Book;

use crate::stage::{Stage, balance};

/// A library with untracked e-books that have the size of something on the server.
fn with_strays(count: usize) -> Stage {
    let mut stage = Stage::new();
    for i in 0..count {
        let stray = stage.put(
            &format!("Zed {}/stray {i}.epub", i % 7),
            format!("stray {i:06}"),
        );
        // Of some time ago: what changed a moment ago is not kept in a cache.
        let file = fs::File::options().write(true).open(stray).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(3600))
            .unwrap();
    }
    stage.stored("Z/1.epub", "stray 000001");
    stage.list();
    stage
}

fn sorted(ran: &Ran) -> Vec<String> {
    let mut lines: Vec<String> = ran.stdout().lines().map(Into::into).collect();
    lines.sort();
    lines
}

#[test]
fn what_was_hashed_is_not_hashed_again() {
    let stage = with_strays(60);
    // ctime cannot be set back, so the cache takes them only when they have been left alone.
    std::thread::sleep(Duration::from_millis(2100));
    let whole = stage.full().ok();
    let first = stage
        .full()
        .args(["--cache-still=2", "--cache", "cache"])
        .ok();
    assert_eq!(sorted(&first), sorted(&whole));
    // Whoever reads the files again does not believe a cache that says they are all alike.
    let cache = rusqlite::Connection::open(stage.dir.join("cache")).unwrap();
    let of = "(SELECT sha1 FROM digest WHERE CAST(path AS TEXT) LIKE '%stray 1.epub')";
    let changed = cache
        .execute(&format!("UPDATE digest SET sha1 = {of}"), [])
        .unwrap();
    assert_eq!(changed, 60);
    drop(cache);
    let second = stage
        .full()
        .args(["--cache-still=2", "--cache", "cache"])
        .ok();
    assert_eq!(second.summary()["untracked_on_server"], 60);
    assert_eq!(whole.summary()["untracked_on_server"], 1);
}

/// How many files a run hashed, and how many digests it took from the cache.
fn hashed_and_cached(ran: &Ran) -> (u64, u64) {
    let told = ran.stderr();
    let line = told
        .lines()
        .find(|line| line.contains("digests from the cache"));
    let numbers = line.unwrap().split(|c: char| !c.is_ascii_digit());
    let numbers: Vec<u64> = numbers.filter_map(|number| number.parse().ok()).collect();
    let [.., hashed, cached] = numbers[..] else {
        panic!("{told}");
    };
    (hashed, cached)
}

#[test]
fn a_scan_killed_while_it_hashes_and_started_again_hashes_nothing_twice() {
    const STRAYS: u64 = 2600;
    let stage = with_strays(STRAYS as usize);
    let last = format!("Zed {}/stray {}.epub", (STRAYS - 1) % 7, STRAYS - 1);
    let made = fs::metadata(stage.lib(&last)).unwrap().created().unwrap();
    harness::wait_for("the files to be at rest", Duration::from_secs(20), || {
        let age = SystemTime::now().duration_since(made).unwrap_or_default();
        (age > Duration::from_millis(2100)).then_some(())
    });
    let whole = stage.full().ok();
    let mut in_cache = 0;
    // What it has told of is as far as it can have come: it waits for its reader.
    for kill_after in [1200, 2300] {
        let mut child = stage
            .full()
            .args(["--cache-still=2", "--cache", "cache"])
            .spawn();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..kill_after {
            assert!(lines.next().unwrap().is_ok());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let cache = rusqlite::Connection::open(stage.dir.join("cache")).unwrap();
        let count = cache.query_row("SELECT count(*) FROM digest", [], |row| row.get(0));
        let count = i64::unsigned_abs(count.unwrap());
        assert!(in_cache < count && count < STRAYS, "{in_cache} {count}");
        in_cache = count;
    }
    let again = stage
        .full()
        .args(["--cache-still=2", "--cache", "cache", "-v"])
        .ok();
    assert_eq!(hashed_and_cached(&again), (STRAYS - in_cache, in_cache));
    assert_eq!(sorted(&again), sorted(&whole));
    balance(&again);
    let third = stage
        .full()
        .args(["--cache-still=2", "--cache", "cache", "-v"])
        .ok();
    assert_eq!(hashed_and_cached(&third), (0, STRAYS));
    assert_eq!(sorted(&third), sorted(&whole));
}

#[test]
fn a_scan_that_is_asked_to_stop_says_that_it_is_not_whole() {
    let stage = with_strays(10);
    // Its stdin never ends, so it waits for the list.
    let mut child = stage
        .dir
        .tool("orphan-scan")
        .args(["--tracked", "-", "lib"])
        .spawn();
    let _open = child.stdin.take();
    harness::wait_for(
        "the signals to be taken over",
        Duration::from_secs(20),
        || {
            let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
            let caught = status
                .lines()
                .find(|line| line.starts_with("SigCgt:"))
                .unwrap();
            let caught = u64::from_str_radix(caught[7..].trim(), 16).unwrap();
            (caught >> 14 & 1 == 1).then_some(())
        },
    );
    let term = stage.dir.command("kill").arg(child.id().to_string());
    term.ok();
    let status = child.wait().unwrap();
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(15),
        "{status}"
    );
}

#[test]
fn shards_come_to_the_whole_and_share_nothing() {
    let stage = with_strays(30);
    for i in 0..20 {
        let author = format!("Author {i}");
        stage.add(Book::new("Title").by(&author).file("EPUB", "x"));
    }
    stage.put("at the top.epub", "a stray");
    stage.list();
    fs::rename(stage.lib("Author 3"), stage.lib("AUTHOR 3")).unwrap();
    fs::remove_dir_all(stage.lib("Author 4")).unwrap();
    let whole = stage.full().ok();
    let (mut all, mut sums) = (Vec::new(), BTreeMap::<&str, u64>::new());
    for k in 1..=3 {
        let part = stage.full().args(["--shard", &format!("{k}/3")]).ok();
        balance(&part);
        let findings = part.of_type("finding").into_iter();
        all.extend(findings.map(|finding| finding.to_string()));
        let summary = part.summary();
        assert_eq!(summary["shard"], format!("{k}/3"));
        for name in [
            "walked",
            "walked_bytes",
            "rows",
            "rows_found",
            "missing",
            "untracked",
        ] {
            *sums.entry(name).or_default() += summary[name].as_u64().unwrap();
        }
        assert!(
            part.of_type("finding").len() > 3,
            "a shard of next to nothing"
        );
    }
    let mut findings: Vec<String> = whole
        .of_type("finding")
        .iter()
        .map(ToString::to_string)
        .collect();
    findings.sort();
    all.sort();
    assert_eq!(all, findings);
    for (name, sum) in sums {
        assert_eq!(whole.summary()[name], sum, "{name}");
    }
}
