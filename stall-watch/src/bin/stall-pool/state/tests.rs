use harness::Workdir;

use super::*;
use crate::life::{End, Why, tests::RULES};

fn at(seconds: u64) -> Duration {
    Duration::from_secs(1_000_000_000 + seconds)
}

#[test]
fn every_life_comes_back_as_it_was() {
    let mut lives = vec![Life::new(&RULES)];
    let mut running = Life::new(&RULES);
    running.start(at(0), &RULES);
    running.look(
        at(1),
        &RULES,
        true,
        Count {
            work: 0,
            discovery: 5,
        },
    );
    lives.push(running.clone());
    for end in [0, 2, 7] {
        let mut ended = running.clone();
        ended.ended(at(5), &End::Code(end), &RULES);
        lives.push(ended);
    }
    let mut cooling = lives[4].clone();
    cooling.start(at(6), &RULES);
    cooling.ended(at(7), &End::Signal(9), &RULES);
    lives.push(cooling.clone());
    cooling.state = State::Held;
    lives.push(cooling);
    for one in &lives {
        let saved = record(1, one, at(10));
        let back = life(&saved, at(10), &RULES);
        let again = record(1, &back, at(10));
        let but_since = |mut record: records::Worker| {
            record.begun = None;
            record
        };
        assert_eq!(but_since(again), but_since(saved));
    }
    running.end(at(9), Why::Asked);
    let back = life(&record(1, &running, at(10)), at(10), &RULES);
    assert!(matches!(back.state, State::Running { .. }));
}

#[test]
fn a_state_is_replaced_as_a_whole_and_what_is_none_is_refused() {
    let work = Workdir::new();
    let place = Place::new(&work.join("state"), None).unwrap();
    assert!(place.load().unwrap().is_none());
    let saved = Saved {
        pool: records::Pool {
            command: "c {worker}".into(),
            disks: vec!["sda".into()],
            ..records::Pool::default()
        },
        workers: vec![record(3, &Life::new(&RULES), at(0))],
    };
    place.save(&saved.text()).unwrap();
    let back = place.load().unwrap().unwrap();
    assert_eq!((&back.pool, &back.workers), (&saved.pool, &saved.workers));
    for text in [
        "",
        "{\"type\":\"worker\"}\n",
        "nonsense",
        "{\"type\":\"pool\"\n",
    ] {
        work.write("state", text);
        let error = place.load().unwrap_err();
        assert!(
            format!("{error:#}").contains("state: read: no state: "),
            "{error:#}"
        );
    }
}

#[test]
fn one_pool_has_a_state() {
    let work = Workdir::new();
    let place = Place::new(&work.join("new/state"), None).unwrap();
    assert!(!place.is_locked());
    let lock = place.lock().unwrap();
    assert!(place.is_locked());
    let error = place.lock().unwrap_err();
    assert_eq!(error.downcast::<Fatal>().unwrap().exit, Exit::Refused);
    drop(lock);
    assert!(!place.is_locked());
}

#[test]
fn seats_are_found_by_their_names_alone() {
    let work = Workdir::new();
    for name in ["s.1.seat", "s.12.seat", "s.x.seat", "t.3.seat", "s.4.units"] {
        work.write(name, "");
    }
    let mut seats = Place::new(&work.join("s"), None).unwrap().seats();
    seats.sort();
    assert_eq!(seats, [1, 12]);
}
