use std::thread::sleep;

use super::*;

/// A worker that works for ever.
const FOREVER: &str = "while :; do unit work; sleep 0.2; done";

/// The pool is killed as soon as all its workers run, and in the midst of starting them.
#[test]
fn killed_fifty_times_no_worker_is_doubled_and_none_is_lost() {
    let mut pool = Pool::of(FOREVER);
    for round in 0..50_u64 {
        pool.start(&["--workers", "4"]);
        match round % 5 {
            0 => drop(pool.wait_starts(4)),
            // Somewhere on the way.
            early => sleep(Duration::from_millis(early * round / 4)),
        }
        pool.kill();
        pool.never_doubled();
    }
    pool.start(&["--workers", "4"]);
    pool.wait_states(&["running"; 4]);
    pool.wait_alive(&[1, 2, 3, 4]);
    // All of them are those of the first round.
    let starts = pool.starts();
    assert_eq!(starts.len(), 4, "{starts:?}");
    pool.never_doubled();
    let ran = pool.stop();
    assert_eq!(pool.alive(), [0; 0], "{}", ran.report());
}

/// Workers that end by themselves while nobody watches them are started again, once each.
#[test]
fn workers_that_end_between_two_pools_are_neither_lost_nor_doubled() {
    let mut pool = Pool::of("sleep 0.$((RANDOM % 4)); exit 255");
    let flags = ["--workers", "3", "--cooldown", "0.001s"];
    for round in 0..20_u64 {
        pool.start(&[
            "--workers",
            "3",
            "--attempts",
            "1000",
            "--cooldown",
            "0.001s",
        ]);
        pool.wait_starts(3 * round as usize);
        pool.kill();
        pool.never_doubled();
    }
    // In one piece: somebody may be reading it.
    let new = pool.work.write("new.sh", format!("{ALONE}{FOREVER}\n"));
    fs::rename(new, pool.work.join("worker.sh")).unwrap();
    pool.start(&flags);
    pool.wait_alive(&[1, 2, 3]);
    pool.wait_states(&["running"; 3]);
    pool.never_doubled();
    pool.stop();
}

#[test]
fn how_a_worker_ended_is_known_although_the_pool_that_started_it_was_killed() {
    let mut pool = Pool::of("until [ -e go ]; do sleep 0.05; done; exit $((3 - $1))");
    pool.start(&["--workers", "3"]);
    pool.wait_starts(3);
    pool.kill();
    pool.work.write("go", "");
    pool.wait_alive(&[]);
    // 2 pauses, 1 and 0 are done.
    pool.start(&["--workers", "3"]);
    let ran = pool.end();
    assert_eq!(ran.status.code(), Some(255), "{}", ran.report());
    let states: Vec<Value> = pool.status().1.iter().map(|w| w["state"].clone()).collect();
    assert_eq!(states, ["paused", "done", "done"]);
    assert_eq!(pool.starts().len(), 3);
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
    pool.wait_told("started", 5);
    pool.wait_states(&["running", "paused"]);
    assert_eq!(pool.starts().len(), 4);
    pool.stop();
}

#[test]
fn a_second_pool_is_refused_and_changes_nothing() {
    let mut pool = Pool::of(FOREVER);
    pool.start(&["--workers", "1"]);
    pool.wait_starts(1);
    let other = pool.run(&["--workers", "2"]).code(3);
    other.one_line(&["pool: lock: another pool has it"]);
    // Nor is one whose workers do something else taken for its successor.
    pool.kill();
    let args = ["--state", "pool", "--", "sleep", "1"];
    let other = pool.work.tool("stall-pool").args(args).code(3);
    other.one_line(&["worker 1 of another command runs"]);
    assert_eq!((pool.starts().len(), pool.alive()), (1, vec![1]));
}

/// Out of memory, the kernel chooses whom it likes.
#[test]
fn a_keeper_that_was_killed_leaves_no_second_worker_beside_the_first() {
    let mut pool = Pool::of(FOREVER);
    pool.start(&["--workers", "1"]);
    let first = pool.wait_starts(1)[0].1;
    pool.wait_states(&["running"]);
    let keeper = pool.status().1[0]["pid"].as_u64().unwrap();
    kill(keeper as u32);
    pool.wait_starts(2);
    assert!(!lives(first));
    pool.never_doubled();
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

/// A pool that is killed in the midst of a start must not have its worker begin later, beside or after
/// the next pool's.
#[test]
fn a_keeper_whose_pool_is_gone_begins_nothing() {
    let work = Workdir::new();
    let keep = |pool: u32| {
        let pool = pool.to_string();
        work.tool("stall-pool")
            .args(["--keep", "seat", "log", "1", "1000", "1", "100", &pool])
            .args(["touch", "begun"])
            .run()
            .status
            .code()
    };
    assert_eq!(keep(1), Some(125));
    assert!(!work.join("begun").exists());
    assert_eq!(keep(std::process::id()), Some(0));
    assert!(work.join("begun").exists());
}

/// The pool was killed after it had written down that it starts a worker, and before it did.
#[test]
fn the_end_of_an_earlier_start_is_not_taken_for_that_of_the_last() {
    let pool = Pool::of("exit 0");
    pool.run(&["--workers", "1"]).ok();
    let state = fs::read_to_string(pool.work.join("pool")).unwrap();
    let state = state
        .replace("\"finished\":true", "\"finished\":false")
        .replace("\"state\":\"done\"", "\"state\":\"running\"");
    // As it is, the seat tells how this start has ended.
    pool.work.write("pool", &state);
    pool.run(&["--workers", "1"]).ok();
    assert_eq!(pool.starts().len(), 1);
    pool.work
        .write("pool", state.replace("\"starts\":1", "\"starts\":2"));
    pool.run(&["--workers", "1"]).ok();
    assert_eq!(pool.starts().len(), 2);
}
