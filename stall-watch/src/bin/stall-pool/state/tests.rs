use harness::Workdir;

use super::*;
use crate::worker::{Why, WorkerEnd, tests::RULES};

fn at(seconds: u64) -> Duration {
    Duration::from_secs(1_000_000_000 + seconds)
}

#[test]
fn every_worker_comes_back_with_its_counters_and_one_that_ran_is_started_again() {
    let mut running = Worker::new(&RULES);
    running.start(at(0), &RULES);
    let units = Count {
        work: 0,
        discovery: 5,
    };
    running.look(at(1), &RULES, true, units);
    let mut ended = vec![Worker::new(&RULES)];
    for end in [0, 2, 7] {
        let mut worker = running.clone();
        worker.ended(at(5), &WorkerEnd::Code(end), &RULES);
        ended.push(worker);
    }
    let mut cooling = ended[3].clone();
    cooling.start(at(6), &RULES);
    let verified = cooling.clone();
    cooling.ended(at(7), &WorkerEnd::Signal(9), &RULES);
    ended.push(cooling.clone());
    cooling.state = State::Held;
    ended.push(cooling);
    for worker in &ended {
        let saved = record(1, worker, at(10));
        assert_eq!(record(1, &super::worker(&saved, &RULES), at(10)), saved);
    }
    let mut asked = running.clone();
    asked.end(at(9), Why::Asked);
    for worker in [running, asked, verified] {
        let back = super::worker(&record(1, &worker, at(10)), &RULES);
        assert_eq!((&back.state, back.due), (&State::Held, Duration::ZERO));
        let counters =
            |worker: &Worker| (worker.starts, worker.failed, worker.restarted, worker.units);
        assert_eq!(counters(&back), counters(&worker));
    }
}

#[test]
fn a_state_is_replaced_as_a_whole_and_what_is_none_is_refused() {
    let work = Workdir::new();
    let paths = Paths::new(&work.join("state"), None).unwrap();
    assert!(paths.load().unwrap().is_none());
    let saved = Saved {
        pool: records::Pool {
            command: "c {worker}".into(),
            disks: vec!["sda".into()],
            ..records::Pool::default()
        },
        workers: vec![record(3, &Worker::new(&RULES), at(0))],
    };
    paths.save(&saved.text()).unwrap();
    let back = paths.load().unwrap().unwrap();
    assert_eq!((&back.pool, &back.workers), (&saved.pool, &saved.workers));
    for text in [
        "",
        "{\"type\":\"worker\"}\n",
        "nonsense",
        "{\"type\":\"pool\"\n",
    ] {
        work.write("state", text);
        let error = paths.load().unwrap_err();
        assert!(
            format!("{error:#}").contains("state: read: no state: "),
            "{error:#}"
        );
    }
}

#[test]
fn one_pool_has_a_state() {
    let work = Workdir::new();
    let paths = Paths::new(&work.join("new/state"), None).unwrap();
    assert!(!paths.is_locked());
    let lock = paths.lock().unwrap();
    assert!(paths.is_locked());
    let error = paths.lock().unwrap_err();
    assert_eq!(error.downcast::<Fatal>().unwrap().exit, Exit::Refused);
    drop(lock);
    assert!(!paths.is_locked());
}
