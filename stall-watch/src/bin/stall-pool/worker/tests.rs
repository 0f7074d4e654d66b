use super::*;

pub(crate) const RULES: Rules = Rules {
    stall: Duration::from_secs(300),
    discovery_stall: Duration::from_secs(1200),
    sample: Duration::from_secs(1),
    wait: Duration::from_secs(3600),
    attempts: 3,
    cooldown: Duration::from_secs(600),
    verify: Duration::from_secs(120),
};
const WORK: Count = Count {
    work: 1,
    discovery: 0,
};
const DISCOVERY: Count = Count {
    work: 0,
    discovery: 1,
};
const NOTHING: Count = Count {
    work: 0,
    discovery: 0,
};

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn started(now: u64) -> Worker {
    let mut worker = Worker::new(&RULES);
    worker.start(at(now), &RULES);
    worker
}

/// Silence from `from` on; the second in which it is called stalled.
fn silent(worker: &mut Worker, from: u64) -> u64 {
    (from..)
        .find(|now| worker.look(at(*now), &RULES, false, NOTHING) == WatchResult::Stalled)
        .unwrap()
}

/// When it is to be started again.
fn until(worker: &Worker) -> u64 {
    match &worker.state {
        State::Waiting { until } => until.as_secs(),
        other => panic!("{other:?}"),
    }
}

/// original.md 8.D.2: the threshold of discovery was never used.
#[test]
fn discovery_has_its_own_time_and_work_has_it_no_more() {
    let mut worker = started(0);
    assert_eq!(silent(&mut worker, 1), 300);
    let mut worker = started(0);
    worker.look(at(1), &RULES, true, DISCOVERY);
    assert_eq!(silent(&mut worker, 2), 1201);
    let mut worker = started(0);
    worker.look(at(1), &RULES, true, DISCOVERY);
    worker.look(at(2), &RULES, true, WORK);
    assert_eq!(silent(&mut worker, 3), 302);
}

#[test]
fn one_that_waits_on_purpose_has_not_stalled_but_may_not_wait_for_ever() {
    let mut worker = started(0);
    worker.waits = Some(Waits {
        until: at(99_999),
        what: "a server".into(),
    });
    assert_eq!(silent(&mut worker, 1), 3600 + 300);
    let mut worker = started(0);
    worker.waits = Some(Waits {
        until: at(1000),
        what: "a server".into(),
    });
    for now in 1..1000 {
        assert_eq!(
            worker.look(at(now), &RULES, false, NOTHING),
            WatchResult::Fine
        );
    }
    worker.waits = None;
    assert_eq!(silent(&mut worker, 1000), 1299);
    worker.ended(at(1300), &WorkerEnd::Signal(9), &RULES);
    assert_eq!(worker.waits, None);
}

#[test]
fn codes_mean_what_they_mean_for_xargs_and_make() {
    let after = |end: WorkerEnd| {
        let mut worker = started(0);
        let outcome = worker.ended(at(9), &end, &RULES);
        (worker.word(at(9)), outcome)
    };
    use Outcome::*;
    assert_eq!(after(WorkerEnd::Code(0)), ("done", Settled));
    assert_eq!(after(WorkerEnd::Code(1)), ("done", Settled));
    assert_eq!(after(WorkerEnd::Code(2)), ("paused", Settled));
    assert_eq!(after(WorkerEnd::Code(3)), ("paused", Settled));
    assert_eq!(
        after(WorkerEnd::NotStarted("no".into())),
        ("paused", Settled)
    );
    assert_eq!(after(WorkerEnd::Code(255)), ("waiting", HoldAll));
    assert_eq!(after(WorkerEnd::Code(7)), ("waiting", Settled));
    assert_eq!(after(WorkerEnd::Signal(9)), ("waiting", Settled));
}

#[test]
fn the_first_restart_is_at_once_then_after_a_cooldown_that_doubles_then_never() {
    let mut worker = started(0);
    worker.ended(at(5), &WorkerEnd::Code(7), &RULES);
    let mut starts = Vec::new();
    while worker.word(at(0)) != "paused" {
        let now = until(&worker);
        starts.push(now);
        worker.start(at(now), &RULES);
        worker.ended(at(now + 5), &WorkerEnd::Code(7), &RULES);
    }
    assert_eq!(starts, [5, 605, 1805]);
    let State::Paused { reason } = &worker.state else {
        panic!()
    };
    assert_eq!(reason, "ended with 7 after 3 restarts without work");
    worker.resume();
    assert_eq!((worker.state.clone(), worker.failed), (State::Held, 0));
}

/// original.md 8.D.7: a restart emptied the log, and that was taken for success.
#[test]
fn that_it_was_started_is_no_success() {
    let mut worker = started(0);
    worker.ended(at(5), &WorkerEnd::Code(7), &RULES);
    worker.start(at(5), &RULES);
    // It reads its libraries, says hello.
    for now in 6..20 {
        worker.look(at(now), &RULES, true, NOTHING);
    }
    assert_eq!((worker.failed, worker.word(at(20))), (1, "verify"));
    // Still moving in the second half: it works.
    worker.look(at(70), &RULES, true, NOTHING);
    assert_eq!((worker.failed, worker.word(at(71))), (0, "running"));
}

#[test]
fn who_speaks_of_units_is_back_when_it_does() {
    let mut worker = started(0);
    worker.look(at(1), &RULES, true, WORK);
    worker.ended(at(5), &WorkerEnd::Signal(11), &RULES);
    worker.start(at(5), &RULES);
    worker.look(at(100), &RULES, true, NOTHING);
    assert_eq!(worker.failed, 1);
    worker.look(at(101), &RULES, true, DISCOVERY);
    assert_eq!(worker.failed, 0);
}

#[test]
fn work_that_is_back_late_counts_when_it_lasts() {
    let mut worker = started(0);
    worker.ended(at(0), &WorkerEnd::Code(7), &RULES);
    worker.start(at(0), &RULES);
    assert!(!worker.is_late(at(120)));
    assert!(worker.is_late(at(121)) && !worker.is_late(at(122)));
    worker.look(at(200), &RULES, true, WORK);
    assert_eq!(worker.failed, 1);
    worker.look(at(600), &RULES, true, WORK);
    assert_eq!(worker.failed, 0);
}

#[test]
fn a_worker_that_stalls_now_and_then_is_restarted_for_ever() {
    let mut worker = started(0);
    let mut now = 0;
    for _ in 0..20 {
        worker.look(at(now + 10), &RULES, true, WORK);
        let stalled = silent(&mut worker, now + 11);
        worker.end(at(stalled), Why::Stalled);
        assert_eq!(worker.word(at(stalled)), "stalled");
        worker.ended(at(stalled + 1), &WorkerEnd::Signal(15), &RULES);
        now = until(&worker);
        worker.start(at(now), &RULES);
    }
    assert!(now >= 19 * 600, "{now}");
}

#[test]
fn who_was_asked_to_end_has_not_failed_and_is_not_done() {
    for end in [
        WorkerEnd::Code(0),
        WorkerEnd::Code(7),
        WorkerEnd::Signal(15),
        WorkerEnd::Code(255),
    ] {
        let mut worker = started(0);
        worker.end(at(1), Why::Asked);
        assert_eq!(worker.ended(at(2), &end, &RULES), Outcome::Settled);
        assert_eq!((worker.state, worker.failing), (State::Held, false));
    }
}

#[test]
fn who_finds_more_while_it_works_is_at_work() {
    let mut worker = started(0);
    let both = Count {
        work: 1,
        discovery: 5,
    };
    worker.look(at(1), &RULES, true, both);
    assert_eq!(silent(&mut worker, 2), 301);
}

#[test]
fn one_that_stalled_is_not_done_whatever_its_code() {
    let mut worker = started(0);
    worker.end(at(1), Why::Stalled);
    worker.ended(at(2), &WorkerEnd::Code(0), &RULES);
    assert_eq!((until(&worker), worker.failing), (2, true));
}

#[test]
fn one_that_a_person_lets_try_again_begins_anew() {
    let mut worker = started(0);
    for now in [5, 6] {
        worker.ended(at(now), &WorkerEnd::Code(7), &RULES);
        worker.start(at(now), &RULES);
    }
    worker.ended(at(7), &WorkerEnd::Code(2), &RULES);
    worker.resume();
    worker.start(at(8), &RULES);
    assert_eq!((worker.failed, worker.word(at(8))), (0, "running"));
    // Its first restart is at once.
    worker.ended(at(9), &WorkerEnd::Code(7), &RULES);
    assert_eq!(until(&worker), 9);
}

#[test]
fn a_start_has_no_phase_and_no_wait_of_the_one_before() {
    let waits = Waits {
        until: at(5000),
        what: "a server".into(),
    };
    let mut worker = started(0);
    worker.look(at(1), &RULES, true, DISCOVERY);
    worker.waits = Some(waits.clone());
    worker.start(at(2), &RULES);
    assert_eq!((worker.phase, &worker.waits), (None, &None));
    worker.waits = Some(waits);
    worker.ended(at(3), &WorkerEnd::Code(7), &RULES);
    assert_eq!(worker.waits, None);
}
