use super::*;

#[test]
fn when_all_are_done_so_is_the_pool() {
    let pool = Pool::of("unit work; echo hello $1");
    let ran = pool.run(&["--workers", "3"]).ok();
    assert_eq!((ran.stdout(), ran.stderr()), (String::new(), String::new()));
    assert_eq!(pool.starts().len(), 3);
    for number in 1..=3 {
        let log = fs::read_to_string(pool.work.join(format!("pool.{number}.log")));
        assert_eq!(log.unwrap(), format!("hello {number}\n"));
    }
    let (state, workers) = pool.status();
    assert_eq!(state["finished"], true);
    assert!(
        workers
            .iter()
            .all(|w| w["work"] == 1 && w["state"] == "done")
    );
    // A new start is a new run.
    pool.run(&["--workers", "3"]).ok();
    assert_eq!(pool.starts().len(), 6);
}

/// original.md 8.D.6: workers that had done their part looked stopped, and were restarted for ever.
#[test]
fn a_worker_that_is_done_but_for_some_items_is_done() {
    let pool = Pool::of("exit $(($1 - 1))");
    pool.run(&["--workers", "2"]).code(1);
    assert_eq!(pool.starts().len(), 2);
}

#[test]
fn a_worker_that_was_called_in_a_wrong_way_or_refuses_is_paused_at_once() {
    for code in [2, 3] {
        let pool = Pool::of(&format!("[ $1 = 1 ] && exit {code}; exit 0"));
        let ran = pool.run(&["--workers", "2"]).code(255);
        ran.one_line(&["worker 1: paused: it ended with"]);
        assert_eq!(pool.starts().len(), 2);
    }
}

/// original.md 8.D.6: every restart was a success.
#[test]
fn a_command_that_cannot_be_started_is_said_so_and_not_tried_again() {
    let work = Workdir::new();
    let args = ["--workers", "1", "--", "no-such-command"];
    let ran = work.tool("stall-pool").args(args).code(255);
    ran.one_line(&["worker 1: paused: it cannot be started: No such file or directory"]);
}

#[test]
fn what_fails_is_restarted_and_after_the_attempts_paused() {
    let pool = Pool::of("echo failing; exit 7");
    let flags = ["--workers", "1", "--attempts", "2", "--cooldown", "0.05s"];
    let ran = pool.run(&flags).code(255);
    let stderr = ran.stderr();
    let told: Vec<&str> = stderr.lines().collect();
    let [first, second, paused, why] = told[..] else {
        panic!("{}", ran.report());
    };
    for again in [first, second] {
        assert!(
            again.contains("worker 1: ended: with 7: failing; again in 0 s; its log: /"),
            "{again}"
        );
    }
    assert!(
        paused.contains("paused: ended with 7 after 2 restarts without work"),
        "{paused}"
    );
    assert!(
        why.contains("worker 1: ended: with 7: failing; its log: /"),
        "{why}"
    );
    assert_eq!(pool.starts().len(), 3);
    let attempts: Vec<Value> = pool
        .told("started")
        .iter()
        .map(|e| e["attempt"].clone())
        .collect();
    assert_eq!(attempts, [1, 2, 3]);
    assert_eq!(pool.told("restarted").len(), 2);
    // A log goes on over restarts.
    let log = fs::read_to_string(pool.work.join("pool.1.log")).unwrap();
    assert_eq!(log, "failing\n".repeat(3));
}

#[test]
fn a_restart_that_brings_work_back_is_forgiven() {
    let script = "echo >>tries; unit work; sleep 0.3; [ $(wc -l <tries) -gt 6 ] && exit 0; exit 7";
    let pool = Pool::of(script);
    pool.run(&["--workers", "1", "--attempts", "1", "--cooldown", "0.01s"])
        .ok();
    assert_eq!(pool.starts().len(), 7);
}

#[test]
fn one_that_gives_up_holds_all_starts_for_a_while() {
    let script = "[ $1 = 1 ] && [ ! -e again ] && { touch again; exit 255; }
        [ $1 = 2 ] && [ ! -e more ] && { until [ -e again ]; do sleep 0.02; done; touch more; exit 7; }
        exit 0";
    let pool = Pool::of(script);
    let begun = std::time::Instant::now();
    pool.run(&["--workers", "2", "--cooldown", "2s"]).ok();
    assert!(begun.elapsed() >= Duration::from_secs(2));
    assert_eq!(pool.starts().len(), 4);
    assert_eq!(pool.told("warned")[0]["action"], "hold");
}

#[test]
fn what_a_worker_leaves_behind_is_ended_before_it_is_done() {
    let pool = Pool::of(
        "(trap '' TERM; echo $BASHPID >left; exec sleep 1000) & until [ -s left ]; do :; done",
    );
    pool.run(&["--workers", "1"]).ok();
    let left = fs::read_to_string(pool.work.join("left")).unwrap();
    assert!(!lives(left.trim().parse().unwrap()));
}

/// KILL alone would leave no word.
#[test]
fn what_a_worker_leaves_behind_is_asked_before_it_is_killed() {
    let pool = Pool::of(
        "(trap 'echo >asked; exit' TERM; echo >ready; while :; do sleep 0.05; done) & \
         until [ -e ready ]; do sleep 0.05; done",
    );
    pool.run(&["--workers", "1", "--kill-after", "60s"]).ok();
    assert!(pool.work.join("asked").exists());
}

/// A misspelt path would be another pool, over the same work.
#[test]
fn no_folder_is_made_above_that_of_the_state() {
    let work = Workdir::new();
    let run = work.tool("stall-pool");
    let ran = run.args(["--state", "a/b/state", "--", "true"]).code(2);
    assert!(ran.stderr().contains("a/b: make: "), "{}", ran.report());
}

/// original.md 8.F: names of the shell's own and of the pool's.
#[test]
fn placeholders_are_filled_and_mistakes_told() {
    let work = Workdir::new();
    let script = "echo {worker}/{workers} {size} ${HOME:+{x}} $STALL_WORKER >out.{worker}";
    let args = [
        "--workers",
        "2",
        "--param",
        "size=7",
        "--",
        "bash",
        "-c",
        script,
    ];
    work.tool("stall-pool").args(args).ok();
    assert_eq!(
        fs::read_to_string(work.join("out.2")).unwrap(),
        "2/2 7 {x} 2\n"
    );
    let usage = |args: &[&str]| work.tool("stall-pool").args(args).code(2);
    usage(&["--param", "szie=7", "--", "echo", "{size}"]).one_line(&["the command has no {szie}"]);
    usage(&["--params", "none", "--", "echo"]).one_line(&["none: read: "]);
    usage(&["--workers", "9", "--", "echo"]).one_line(&["--workers 9: it is more than --max 8"]);
    usage(&["--disk", "nowhere", "--", "echo"]).one_line(&["--disk nowhere: "]);
    usage(&["--status", "--state", "none"]).one_line(&["none: read: there is no pool"]);
}

/// It was told in the worker's log alone.
#[test]
fn a_usage_error_is_told_by_the_pool_in_the_worker_s_own_words() {
    let script = "echo working; echo \"error: unexpected argument '--shad' found\" >&2
        printf '\\nUsage: x\\n\\nFor more, try --help.\\n'; exit 2";
    for quiet in [&[][..], &["--quiet"]] {
        let pool = Pool::of(script);
        let flags = [&["--workers", "1"][..], quiet].concat();
        let ran = pool.run(&flags).code(255);
        let told = ran.stderr();
        assert!(
            told.contains("worker 1: paused: it ended with 2 (usage)"),
            "{told}"
        );
        let own = "ended: with 2: error: unexpected argument '--shad' found; its log: ";
        assert!(told.contains(own), "{told}");
    }
}

/// "no worker starts for 15 s" was followed by "again in 0 s".
#[test]
fn while_all_starts_are_held_no_earlier_one_is_promised() {
    let mut pool = Pool::of("exit 255");
    pool.start(&["--workers", "1", "--cooldown", "1000s"]);
    pool.wait_told("warned", 1);
    let told = pool.stop().stderr();
    assert!(told.contains("no worker starts for 1000 s"), "{told}");
    assert!(told.contains("ended: with 255; again in 1000 s"), "{told}");
}

#[test]
fn a_worker_without_a_first_line_is_a_script_of_sh() {
    let mut pool = Pool::of("");
    let script = pool.work.write("plain", "echo \"$0 $1\" >ran\n");
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let run = pool
        .work
        .tool("stall-pool")
        .args(["--workers", "1", "--state", "pool"]);
    pool.child = Some(run.args(["./plain", "word"]).start());
    assert!(pool.end().status.success());
    assert_eq!(
        fs::read_to_string(pool.work.join("ran")).unwrap(),
        "./plain word\n"
    );
}

/// It has begun a session of its own, closed what it inherited, and nobody saw it in time.
#[test]
fn what_a_worker_leaves_behind_hidden_is_ended_too() {
    let script = "setsid bash -c '(echo $BASHPID >left; exec sleep 1000 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- \
        10>&- 11>&- 12>&-) & exit' >/dev/null 2>&1; until [ -s left ]; do :; done";
    let pool = Pool::of(script);
    pool.run(&["--workers", "1", "--sample", "60s"]).ok();
    let left = fs::read_to_string(pool.work.join("left")).unwrap();
    assert!(!lives(left.trim().parse().unwrap()));
}

/// It ended with 134, as all that Rust aborts.
#[test]
fn where_there_is_no_memory_it_ends_with_255() {
    let work = Workdir::new();
    let long = "x".repeat(100_000);
    let mut failed = 0;
    for mib in 8..32 {
        let run = work.command("prlimit").arg(format!("--as={}", mib << 20));
        let run = run.args(["timeout", "-s", "KILL", "60"]);
        let run = run.arg(harness::run::tool("stall-pool"));
        let run = run.args(["--workers", "1", "--state", "s", "--", "true"]);
        let ran = run.args(vec![&long; 14]).run();
        // With still less not even its libraries find room.
        if ran.stderr().contains("memory allocation of ") {
            assert_eq!(ran.status.code(), Some(255), "{}", ran.report());
            failed += 1;
        }
    }
    assert!(failed > 0);
}
