use super::*;

#[test]
fn the_state_is_told_while_it_runs() {
    let mut pool = Pool::of("unit discovery; echo >>told.$1; sleep 1000");
    pool.start(&["--workers", "2", "--interval", "0.2s"]);
    pool.wait_alive(&[1, 2]);
    let (state, workers) = wait_for("a phase", DEADLINE, || {
        let (state, workers) = pool.work.join("pool").exists().then(|| pool.status())?;
        let known = workers.iter().all(|worker| worker["phase"] == "discovery");
        (known && state["memory"].is_f64()).then_some((state, workers))
    });
    assert_eq!(state["pid"], pool.pid().as_raw_nonzero().get());
    assert_eq!((&state["places"], &state["target"]), (&2.into(), &2.into()));
    for worker in &workers {
        assert_eq!(
            (&worker["state"], &worker["discovery"]),
            (&"running".into(), &1.into())
        );
        assert!(lives(worker["pid"].as_u64().unwrap() as u32));
    }
    pool.stop();
    assert_eq!(pool.status().0.get("pid"), None);
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let mut pool = Pool::of("[ $1 = 1 ] && exit 0; sleep 1000");
    let ran = pool.run(&["--workers", "3", "--dry-run"]).ok();
    let of = |ran: &Ran, field: &str| -> Vec<Value> {
        ran.of_type("worker")
            .iter()
            .map(|w| w[field].clone())
            .collect()
    };
    assert_eq!(of(&ran, "action"), ["start"; 3]);
    assert_eq!(of(&ran, "command")[2], "bash worker.sh 3");
    assert!(!pool.work.join("pool").exists() && pool.starts().is_empty());
    pool.start(&["--workers", "3"]);
    pool.wait_states(&["done", "running", "running"]);
    pool.kill();
    let ran = pool.run(&["--workers", "3", "--dry-run"]).ok();
    assert_eq!(of(&ran, "action"), ["leave", "start", "start"]);
    assert_eq!(pool.starts().len(), 3);
}

#[test]
fn logs_begin_anew_at_a_size_and_lose_no_line() {
    let pool = Pool::of("for i in {1000..1999}; do echo line $i; done");
    let flags = [
        "--workers",
        "1",
        "--logs",
        "logs",
        "--log-size",
        "2kB",
        "--log-keep",
        "9",
    ];
    pool.run(&flags).ok();
    let read =
        |name: &str| fs::read_to_string(pool.work.join("logs").join(name)).unwrap_or_default();
    let mut all = String::new();
    for n in (1..=9).rev() {
        all += &read(&format!("1.log.{n}"));
    }
    all += &read("1.log");
    let lines: Vec<&str> = all.lines().collect();
    assert!(
        lines
            .iter()
            .zip(1000..)
            .all(|(line, n)| *line == format!("line {n}")),
        "{all}"
    );
    assert_eq!(lines.len(), 1000);
    assert!(!read("1.log.1").is_empty());
}

#[test]
fn whoever_may_know_what_to_do_is_given_the_stall() {
    let mut pool = Pool::of("echo last words; sleep 1000");
    let flags = [
        "--workers",
        "1",
        "--stall",
        "1s",
        "--on-stall",
        "cat >advice.new; mv advice.new advice",
    ];
    pool.start(&flags);
    let path = pool.work.join("advice");
    let text = wait_for("advice", DEADLINE, || fs::read_to_string(&path).ok());
    let event: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(event["event"], "stalled");
    assert_eq!(event["last_lines"], serde_json::json!(["last words"]));
    pool.stop();
}

#[test]
fn a_closed_stdout_costs_no_cpu() {
    let mut pool = Pool::of("exec >&- 2>&-; unit work; sleep 1000");
    pool.start(&["--workers", "1", "--interval", "0.1s"]);
    pool.wait_states(&["running"]);
    let cpu = || proc::stat(pool.pid()).unwrap().cpu;
    let before = cpu();
    pool.wait_told("heartbeat", pool.told("heartbeat").len() + 10);
    assert!(cpu() - before < Duration::from_millis(200));
    pool.stop();
}
