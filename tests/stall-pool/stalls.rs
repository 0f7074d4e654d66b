use super::*;

const SHORT: [&str; 4] = ["--stall", "1s", "--discovery-stall", "60s"];

/// original.md 8.D.1: the log of a stuck worker always read as empty.
#[test]
fn a_stall_is_told_with_its_last_lines_and_what_it_waits_for() {
    let mut pool = Pool::of("echo one; echo two; printf thr; exec sleep 1000");
    pool.start(&[&SHORT[..], &["--workers", "1"]].concat());
    let told = pool.wait_told("stalled", 1);
    assert_eq!(
        told[0]["last_lines"],
        serde_json::json!(["one", "two", "thr"])
    );
    let facts = told[0]["evidence"].as_array().unwrap();
    assert!(
        facts
            .iter()
            .any(|fact| fact.as_str().unwrap().contains(" sleep sleeps in ")),
        "{facts:?}"
    );
    let started = pool.wait_told("restarted", 1);
    assert_eq!(started[0]["worker"], 1);
    let ran = pool.stop();
    assert!(
        ran.stderr()
            .contains("worker 1: stalled: no progress for 1."),
        "{}",
        ran.report()
    );
}

/// original.md 8.D.2, 8.D.3: silent discovery was taken for a stall.
#[test]
fn discovery_may_be_silent_for_longer_than_work() {
    let script = "case $1 in
        1) unit discovery; until [ -e seen ]; do read -t 0.5 <>fifo; done; unit work; sleep 1000 ;;
        2) unit work; sleep 1000 ;;
        esac";
    let mut pool = Pool::of(script);
    pool.work.command("mkfifo").arg("fifo").ok();
    pool.start(&[&SHORT[..], &["--workers", "2", "--signals", "units"]].concat());
    // By the time that one has stalled twice, the other would have as well.
    let stalled = pool.wait_told("stalled", 2);
    assert!(
        stalled.iter().all(|event| event["worker"] == 2),
        "{stalled:?}"
    );
    pool.work.write("seen", "");
    wait_for("a stall of the first", DEADLINE, || {
        pool.told("stalled")
            .iter()
            .any(|e| e["worker"] == 1)
            .then_some(())
    });
    pool.stop();
}

/// original.md 8.D.3: what went on was to be seen in the output alone, of every tenth file.
#[test]
fn units_arrive_although_the_output_goes_to_a_file() {
    let script = "exec >out 2>&1; for i in {1..30}; do unit work; sleep 0.1; done";
    let pool = Pool::of(script);
    pool.run(&["--workers", "1", "--stall", "2s", "--signals", "units"])
        .ok();
    assert!(pool.told("stalled").is_empty());
    assert_eq!(pool.status().1[0]["work"], 30);
}

/// original.md 8.D.5: a busy worker that says nothing was killed.
#[test]
fn a_busy_worker_that_says_nothing_is_left_alone() {
    let pool = Pool::of("end=$((SECONDS + 3)); while ((SECONDS < end)); do :; done");
    // One of many on a busy machine gets little of it.
    pool.run(&["--workers", "1", "--stall", "2s", "--cpu-min", "0.01s"])
        .ok();
    assert!(pool.told("stalled").is_empty());
}

#[test]
fn one_that_talks_but_does_no_work_can_be_told_apart() {
    let mut pool = Pool::of("while :; do echo here; sleep 0.1; done");
    pool.start(&[&SHORT[..], &["--workers", "1", "--signals", "units"]].concat());
    pool.wait_told("stalled", 1);
    pool.stop();
}

/// original.md 8.D.4: what was killed was only the client of what went on.
#[test]
fn of_a_worker_that_stalled_nothing_is_left() {
    let script = "[ $(wc -l <starts) = 2 ] && exit 0
        trap '' TERM
        for n in {1..10}; do
            case $((n % 2)) in 0) start=setsid ;; *) start= ;; esac
            ( $start bash -c \"trap '' TERM; echo \\$\\$ >>tree; exec sleep 1000\" 8>&- & )
        done
        until [ $(wc -l <tree) = 10 ]; do sleep 0.05; done
        sleep 1000";
    let pool = Pool::of(script);
    let ran = pool
        .run(&["--workers", "1", "--stall", "3s", "--kill-after", "0.3s"])
        .run();
    assert_eq!(ran.status.code(), Some(0), "{}", ran.report());
    let tree = fs::read_to_string(pool.work.join("tree")).unwrap();
    let left: Vec<u32> = tree
        .lines()
        .map(|pid| pid.parse().unwrap())
        .filter(|pid| lives(*pid))
        .collect();
    assert_eq!(left, [0; 0]);
    assert_eq!(pool.told("killed")[0]["action"], "KILL");
    pool.never_doubled();
}

/// original.md 8.D.8, 8.J: a pattern that meant worker 1 hit 10, 12 and an editor.
#[test]
fn a_stranger_of_the_same_name_lives_on() {
    let mut pool = Pool::of("exec sleep 1000");
    let mut stranger = pool
        .work
        .command("bash")
        .args(["-c", "exec sleep 1000"])
        .spawn();
    pool.start(&[&SHORT[..], &["--workers", "1"]].concat());
    pool.wait_told("killed", 2);
    pool.stop();
    assert!(lives(stranger.id()));
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn one_that_waits_on_purpose_is_let_be_and_the_status_says_for_what() {
    let mut pool = Pool::of(
        "unit 'waiting 600 a server far away'; until [ -e back ]; do sleep 0.1; done; exit 0",
    );
    pool.start(&["--workers", "1", "--stall", "1s", "--signals", "units"]);
    let begun = std::time::Instant::now();
    let worker = wait_for("a worker that waits", DEADLINE, || {
        if !pool.work.join("pool").exists() {
            return None;
        }
        let worker = pool.status().1.remove(0);
        // Three times as long as it may stand still.
        (worker["reason"].is_string() && begun.elapsed() > Duration::from_secs(3)).then_some(worker)
    });
    assert_eq!(worker["reason"], "waits on purpose: a server far away");
    assert_eq!(
        (&worker["state"], &worker["starts"]),
        (&"running".into(), &1.into())
    );
    assert!(worker["until"].as_str() > worker["begun"].as_str());
    pool.work.write("back", "");
    assert_eq!(pool.end().status.code(), Some(0));
    assert_eq!(pool.starts().len(), 1);
}
