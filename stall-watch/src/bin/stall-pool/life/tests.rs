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

fn started(now: u64) -> Life {
    let mut life = Life::new(&RULES);
    life.start(at(now), &RULES);
    life
}

/// Silence from `from` on; the second in which it is called stalled.
fn silent(life: &mut Life, from: u64) -> u64 {
    (from..)
        .find(|now| life.look(at(*now), &RULES, false, NOTHING) == Verdict::Stalled)
        .unwrap()
}

/// When it is to be started again.
fn until(life: &Life) -> u64 {
    match &life.state {
        State::Waiting { until } => until.as_secs(),
        other => panic!("{other:?}"),
    }
}

/// original.md 8.D.2: the threshold of discovery was never used.
#[test]
fn discovery_has_its_own_time_and_work_has_it_no_more() {
    let mut life = started(0);
    assert_eq!(silent(&mut life, 1), 300);
    let mut life = started(0);
    life.look(at(1), &RULES, true, DISCOVERY);
    assert_eq!(silent(&mut life, 2), 1201);
    let mut life = started(0);
    life.look(at(1), &RULES, true, DISCOVERY);
    life.look(at(2), &RULES, true, WORK);
    assert_eq!(silent(&mut life, 3), 302);
}

#[test]
fn one_that_waits_on_purpose_has_not_stalled_but_may_not_wait_for_ever() {
    let mut life = started(0);
    life.waits = Some(Waits {
        until: at(99_999),
        what: "a server".into(),
    });
    assert_eq!(silent(&mut life, 1), 3600 + 300);
    let mut life = started(0);
    life.waits = Some(Waits {
        until: at(1000),
        what: "a server".into(),
    });
    for now in 1..1000 {
        assert_eq!(life.look(at(now), &RULES, false, NOTHING), Verdict::Fine);
    }
    life.waits = None;
    assert_eq!(silent(&mut life, 1000), 1299);
    life.ended(at(1300), &End::Signal(9), &RULES);
    assert_eq!(life.waits, None);
}

#[test]
fn codes_mean_what_they_mean_for_xargs_and_make() {
    let after = |end: End| {
        let mut life = started(0);
        let outcome = life.ended(at(9), &end, &RULES);
        (life.word(at(9)), outcome)
    };
    use Outcome::*;
    assert_eq!(after(End::Code(0)), ("done", Settled));
    assert_eq!(after(End::Code(1)), ("done", Settled));
    assert_eq!(after(End::Code(2)), ("paused", Settled));
    assert_eq!(after(End::Code(3)), ("paused", Settled));
    assert_eq!(after(End::NotStarted("no".into())), ("paused", Settled));
    assert_eq!(after(End::Code(255)), ("waiting", HoldAll));
    assert_eq!(after(End::Code(7)), ("waiting", Settled));
    assert_eq!(after(End::Signal(9)), ("waiting", Settled));
}

#[test]
fn the_first_restart_is_at_once_then_after_a_cooldown_that_doubles_then_never() {
    let mut life = started(0);
    life.ended(at(5), &End::Code(7), &RULES);
    let mut starts = Vec::new();
    while life.word(at(0)) != "paused" {
        let now = until(&life);
        starts.push(now);
        life.start(at(now), &RULES);
        life.ended(at(now + 5), &End::Code(7), &RULES);
    }
    assert_eq!(starts, [5, 605, 1805]);
    let State::Paused { reason } = &life.state else {
        panic!()
    };
    assert_eq!(
        reason,
        "ended with 7 after 3 restarts that brought no work back"
    );
    life.resume();
    assert_eq!((life.state.clone(), life.failed), (State::Held, 0));
}

/// original.md 8.D.7: a restart emptied the log, and that was taken for success.
#[test]
fn that_it_was_started_is_no_success() {
    let mut life = started(0);
    life.ended(at(5), &End::Code(7), &RULES);
    life.start(at(5), &RULES);
    // It reads its libraries, says hello.
    for now in 6..20 {
        life.look(at(now), &RULES, true, NOTHING);
    }
    assert_eq!((life.failed, life.word(at(20))), (1, "verify"));
    // Still moving in the second half: it works.
    life.look(at(70), &RULES, true, NOTHING);
    assert_eq!((life.failed, life.word(at(71))), (0, "running"));
}

#[test]
fn who_speaks_of_units_is_back_when_it_does() {
    let mut life = started(0);
    life.look(at(1), &RULES, true, WORK);
    life.ended(at(5), &End::Signal(11), &RULES);
    life.start(at(5), &RULES);
    life.look(at(100), &RULES, true, NOTHING);
    assert_eq!(life.failed, 1);
    life.look(at(101), &RULES, true, DISCOVERY);
    assert_eq!(life.failed, 0);
}

#[test]
fn work_that_is_back_late_counts_when_it_lasts() {
    let mut life = started(0);
    life.ended(at(0), &End::Code(7), &RULES);
    life.start(at(0), &RULES);
    assert!(!life.is_late(at(120)));
    assert!(life.is_late(at(121)) && !life.is_late(at(122)));
    life.look(at(200), &RULES, true, WORK);
    assert_eq!(life.failed, 1);
    life.look(at(600), &RULES, true, WORK);
    assert_eq!(life.failed, 0);
}

#[test]
fn a_worker_that_stalls_now_and_then_is_restarted_for_ever() {
    let mut life = started(0);
    let mut now = 0;
    for _ in 0..20 {
        life.look(at(now + 10), &RULES, true, WORK);
        let stalled = silent(&mut life, now + 11);
        life.end(at(stalled), Why::Stalled);
        assert_eq!(life.word(at(stalled)), "stalled");
        life.ended(at(stalled + 1), &End::Signal(15), &RULES);
        now = until(&life);
        life.start(at(now), &RULES);
    }
    assert!(now >= 19 * 600, "{now}");
}

#[test]
fn who_was_asked_to_end_has_not_failed_and_is_not_done() {
    for end in [End::Code(0), End::Code(7), End::Signal(15), End::Code(255)] {
        let mut life = started(0);
        life.end(at(1), Why::Asked);
        assert_eq!(life.ended(at(2), &end, &RULES), Outcome::Settled);
        assert_eq!((life.state, life.failing), (State::Held, false));
    }
}

#[test]
fn who_finds_more_while_it_works_is_at_work() {
    let mut life = started(0);
    let both = Count {
        work: 1,
        discovery: 5,
    };
    life.look(at(1), &RULES, true, both);
    assert_eq!(silent(&mut life, 2), 301);
}

#[test]
fn one_that_stalled_is_not_done_whatever_its_code() {
    let mut life = started(0);
    life.end(at(1), Why::Stalled);
    life.ended(at(2), &End::Code(0), &RULES);
    assert_eq!((until(&life), life.failing), (2, true));
}

#[test]
fn one_that_a_person_lets_try_again_begins_anew() {
    let mut life = started(0);
    for now in [5, 6] {
        life.ended(at(now), &End::Code(7), &RULES);
        life.start(at(now), &RULES);
    }
    life.ended(at(7), &End::Code(2), &RULES);
    life.resume();
    life.start(at(8), &RULES);
    assert_eq!((life.failed, life.word(at(8))), (0, "running"));
    // Its first restart is at once.
    life.ended(at(9), &End::Code(7), &RULES);
    assert_eq!(until(&life), 9);
}

#[test]
fn a_start_has_no_phase_and_no_wait_of_the_one_before() {
    let waits = Waits {
        until: at(5000),
        what: "a server".into(),
    };
    let mut life = started(0);
    life.look(at(1), &RULES, true, DISCOVERY);
    life.waits = Some(waits.clone());
    life.start(at(2), &RULES);
    assert_eq!((life.phase, &life.waits), (None, &None));
    life.waits = Some(waits);
    life.ended(at(3), &End::Code(7), &RULES);
    assert_eq!(life.waits, None);
}
