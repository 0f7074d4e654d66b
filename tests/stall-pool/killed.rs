use std::thread::sleep;

use super::*;

/// A worker that works for ever.
const FOREVER: &str = "while :; do unit work; sleep 0.2; done";

/// The pool is killed as soon as all its workers run, and in the midst of starting them.
#[test]
fn killed_thirty_times_no_worker_is_doubled_and_none_is_lost() {
    let mut pool = Pool::of(FOREVER);
    for round in 0..30_u64 {
        pool.start(&["--workers", "4"]);
        match round % 5 {
            0 => pool.wait_alive(&[1, 2, 3, 4]),
            // Somewhere on the way.
            early => sleep(Duration::from_millis(early * round / 3)),
        }
        pool.kill();
        pool.never_doubled();
    }
    pool.start(&["--workers", "4"]);
    pool.wait_states(&["running"; 4]);
    pool.wait_alive(&[1, 2, 3, 4]);
    pool.never_doubled();
    let ran = pool.stop();
    assert_eq!(pool.alive(), [0; 0], "{}", ran.report());
}

/// A new session and closed files do not hide one, nor does it help not to heed TERM.
#[test]
fn what_a_killed_pool_left_is_ended_before_its_successor_starts_anything_and_that_is_said() {
    let script = "trap '' TERM; [ -e again ] && exit 0
        setsid bash -c 'echo $$ >>tree; exec sleep 1000' 8>&- </dev/null >/dev/null 2>&1 &
        while :; do sleep 0.05; done";
    let mut pool = Pool::of(script);
    pool.start(&["--workers", "2"]);
    let tree = || fs::read_to_string(pool.work.join("tree")).unwrap_or_default();
    wait_for("a tree", DEADLINE, || {
        (tree().lines().count() == 2).then_some(())
    });
    let left: Vec<u32> = tree().lines().map(|pid| pid.parse().unwrap()).collect();
    pool.kill();
    assert!(left.iter().all(|pid| lives(*pid)) && pool.alive() == [1, 2]);
    pool.work.write("again", "");
    let ran = pool.run(&["--workers", "2", "--grace", "0.5s"]).ok();
    ran.one_line(&[
        "pool: a pool was killed; ending what it left (",
        " processes)",
    ]);
    assert!(!left.iter().any(|pid| lives(*pid)));
    pool.never_doubled();
    assert_eq!(pool.starts().len(), 4);
}

/// A backup reads the lock, too.
#[test]
fn who_only_reads_the_lock_of_a_killed_pool_is_not_ended() {
    let mut pool = Pool::of("[ -e again ] && exit 0; while :; do sleep 0.05; done");
    pool.start(&["--workers", "1"]);
    pool.wait_alive(&[1]);
    let lock = pool.work.join("pool.workers.lock");
    let mut reader = std::process::Command::new("sleep")
        .arg("1000")
        .stdin(fs::File::open(lock).unwrap())
        .spawn()
        .unwrap();
    pool.kill();
    pool.work.write("again", "");
    pool.run(&["--workers", "1", "--grace", "5s"]).ok();
    let lives = reader.try_wait().unwrap().is_none();
    reader.kill().unwrap();
    reader.wait().unwrap();
    assert!(lives);
}

/// They finish what they are at, as when the pool itself ends them.
#[test]
fn what_a_killed_pool_left_is_asked_before_it_is_killed() {
    let script = "[ -e again ] && exit 0
        exec 2>/dev/null
        trap 'sh -c \"sleep 0.5; echo finished >>files\"; exit 0' TERM; echo >ready
        while :; do sleep 0.05; done";
    let mut pool = Pool::of(script);
    pool.start(&["--workers", "1", "--grace", "1000s"]);
    wait_for("a worker", DEADLINE, || {
        pool.work.join("ready").exists().then_some(())
    });
    pool.kill();
    pool.work.write("again", "");
    pool.run(&["--workers", "1", "--grace", "1000s"]).ok();
    let files = fs::read_to_string(pool.work.join("files")).unwrap();
    assert_eq!(files, "finished\n");
}

/// original.md 8.D.7: pauses lived in memory.
#[test]
fn a_pause_and_the_attempts_outlive_the_pool() {
    let mut pool = Pool::of("[ $1 = 2 ] && exit 7; sleep 1000");
    let flags = ["--workers", "2", "--attempts", "2", "--cooldown", "0.01s"];
    pool.start(&flags);
    pool.wait_told("paused", 1);
    pool.wait_states(&["running", "paused"]);
    let starts = pool.starts();
    assert_eq!(starts.iter().filter(|(number, _)| *number == 2).count(), 3);
    pool.kill();
    pool.start(&flags);
    pool.wait_states(&["running", "paused"]);
    // The one that ran was started again, the other was not.
    let again: Vec<u32> = pool.wait_starts(5).iter().map(|start| start.0).collect();
    assert_eq!(again[4..], [1]);
    assert_eq!(pool.status().1[0]["starts"], 2);
    pool.stop();
}

#[test]
fn a_second_pool_is_refused_and_changes_nothing() {
    let mut pool = Pool::of(FOREVER);
    pool.start(&["--workers", "1"]);
    pool.wait_starts(1);
    let other = pool.run(&["--workers", "2"]).code(3);
    other.one_line(&["pool: lock: another pool has it"]);
    let other = pool.run(&["--workers", "1", "--dry-run"]).code(3);
    other.one_line(&["pool: lock: another pool has it"]);
    assert_eq!((pool.starts().len(), pool.alive()), (1, vec![1]));
    pool.stop();
}

#[test]
fn a_state_that_is_none_is_refused_not_overwritten() {
    let pool = Pool::of(FOREVER);
    pool.work.write("pool", "{\"type\":\"poo");
    pool.run(&[]).code(3).one_line(&["pool: read: no state: "]);
    assert_eq!(
        fs::read(pool.work.join("pool")).unwrap(),
        b"{\"type\":\"poo"
    );
    assert!(pool.starts().is_empty());
}
