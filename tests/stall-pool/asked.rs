use std::{
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
};

use super::*;

const FOREVER: &str = "while :; do unit work; sleep 0.1; done";

/// original.md 8.D.8: KILL, by a pattern, in the midst of an upload.
#[test]
fn the_end_is_gentle_and_one_after_another() {
    // Each finishes its file, and says when.
    let script = "trap 'echo asked $1 >>order; sleep 0.2; echo ended $1 >>order; exit 0' TERM
        while :; do sleep 0.05; done";
    let mut pool = Pool::of(script);
    pool.start(&["--workers", "3"]);
    pool.wait_alive(&[1, 2, 3]);
    let ran = pool.stop();
    assert_eq!(ran.status.signal(), Some(15), "{}", ran.report());
    let order = fs::read_to_string(pool.work.join("order")).unwrap();
    assert_eq!(
        order,
        "asked 3\nended 3\nasked 2\nended 2\nasked 1\nended 1\n"
    );
    // The next pool goes on where this one was.
    let (state, workers) = pool.status();
    assert_eq!(state["finished"], false);
    assert!(workers.iter().all(|worker| worker["state"] == "held"));
}

/// The shell dies of the signal; what it had started finishes its file, for longer than --kill-after.
#[test]
fn what_an_asked_worker_had_started_ends_in_its_own_time() {
    let script = "(trap 'sleep 3; echo finished >>files; exit 0' TERM; echo >ready
        while :; do sleep 0.05; done) & wait";
    let mut pool = Pool::of(script);
    pool.start(&["--workers", "1", "--kill-after", "0.5s"]);
    wait_for("a worker", DEADLINE, || {
        pool.work.join("ready").exists().then_some(())
    });
    pool.stop();
    let files = fs::read_to_string(pool.work.join("files")).unwrap();
    assert_eq!(files, "finished\n");
}

#[test]
fn who_does_not_heed_is_killed_when_the_grace_is_over() {
    let mut pool = Pool::of("trap '' TERM; while :; do sleep 0.05; done");
    pool.start(&["--workers", "2", "--grace", "0.5s"]);
    pool.wait_alive(&[1, 2]);
    let ran = pool.stop();
    assert_eq!(ran.status.signal(), Some(15), "{}", ran.report());
    assert_eq!(pool.alive(), [0; 0]);
}

#[test]
fn a_second_signal_does_not_wait() {
    let mut pool = Pool::of("trap 'touch heard' TERM; while :; do sleep 0.05; done");
    pool.start(&["--workers", "2", "--grace", "1000s"]);
    pool.wait_alive(&[1, 2]);
    pool.signal(Signal::TERM);
    wait_for("TERM", DEADLINE, || {
        pool.work.join("heard").exists().then_some(())
    });
    pool.signal(Signal::INT);
    let ran = pool.end();
    assert_eq!(ran.status.signal(), Some(15), "{}", ran.report());
    assert_eq!(pool.alive(), [0; 0]);
}

#[test]
fn hangup_and_quit_end_it_as_term_does_and_a_terminal_may_hang_up_twice() {
    for signal in [Signal::HUP, Signal::QUIT] {
        let script = "trap 'touch heard; until [ -e go ]; do sleep 0.05; done; exit 0' TERM
            while :; do sleep 0.05; done";
        let mut pool = Pool::of(script);
        pool.start(&["--workers", "1", "--grace", "1000s"]);
        pool.wait_alive(&[1]);
        pool.signal(signal);
        wait_for("TERM", DEADLINE, || {
            pool.work.join("heard").exists().then_some(())
        });
        pool.signal(Signal::HUP);
        pool.signal(Signal::USR1);
        // Both were heard by the time that this is answered.
        let mut stderr = BufReader::new(pool.child.as_mut().unwrap().stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("1 of 1 workers at work, 0 units done") {
            line.clear();
            assert!(stderr.read_line(&mut line).unwrap() > 0);
        }
        assert_eq!(pool.alive(), [1]);
        pool.work.write("go", "");
        let ran = pool.end();
        assert_eq!(
            ran.status.signal(),
            Some(signal.as_raw()),
            "{}",
            ran.report()
        );
    }
}

#[test]
fn one_less_and_one_more() {
    let mut pool = Pool::of(FOREVER);
    pool.start(&["--workers", "3", "--max", "4"]);
    pool.wait_alive(&[1, 2, 3]);
    pool.signal_by_name("RTMIN+1");
    pool.wait_alive(&[1, 2]);
    pool.wait_states(&["running", "running", "held"]);
    pool.signal_by_name("RTMIN+2");
    pool.wait_alive(&[1, 2, 3]);
    pool.signal_by_name("RTMIN+2");
    pool.wait_alive(&[1, 2, 3, 4]);
    pool.signal_by_name("RTMIN+2");
    let told = pool.wait_told("scaled", 4);
    assert_eq!(told[3]["reason"], "4 of 4 workers: that is the bound");
    // It outlives the pool.
    pool.kill();
    pool.start(&["--workers", "3", "--max", "4"]);
    pool.wait_states(&["running"; 4]);
    pool.wait_alive(&[1, 2, 3, 4]);
    pool.stop();
}

#[test]
fn parameters_are_read_again_and_paused_workers_get_another_try() {
    let mut pool = Pool::of("");
    pool.work.write("params", "# what it is\ncode = 2\n");
    let run = |pool: &Pool| {
        pool.work
            .tool("stall-pool")
            .args(["--state", "pool", "--events", "events", "--sample", "0.1s"])
            .args(["--workers", "2", "--params", "params", "--"])
            .args([
                "bash",
                "-c",
                "[ {worker} = 1 ] && exec sleep 1000; exit {code}",
            ])
    };
    pool.child = Some(run(&pool).start());
    pool.wait_told("paused", 1);
    // A mistake changes nothing but that.
    pool.work.write("params", "coed=0\n");
    pool.signal(Signal::USR2);
    pool.wait_told("paused", 2);
    pool.work.write("params", "code=0\n");
    pool.signal(Signal::USR2);
    pool.wait_states(&["running", "done"]);
    let ran = pool.stop();
    assert!(
        ran.stderr()
            .contains("coed=0: the command has no {coed}; the old values stay")
    );
}
