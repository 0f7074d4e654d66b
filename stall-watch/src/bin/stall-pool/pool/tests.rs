use stall_watch::load::Figures;

use super::*;
use crate::{scale::tests::BOUNDS, worker::tests::RULES};

const NOTHING: Count = Count {
    work: 0,
    discovery: 0,
};

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn pool(count: u32) -> Pool {
    Pool::new(RULES, at(60), count, Scale::new(BOUNDS, count))
}

/// The orders without what is only told.
fn acts(pool: &mut Pool, now: u64) -> Vec<Order> {
    let mut orders = pool.orders(at(now));
    orders.retain(|order| !matches!(order, Order::Report(_)));
    orders
}

fn words(pool: &Pool, now: u64) -> Vec<&'static str> {
    pool.workers
        .values()
        .map(|worker| worker.word(at(now)))
        .collect()
}

fn busy() -> Figures {
    Figures {
        disk: Some(97.0),
        io: Some(60.0),
        memory: Some(20.0),
    }
}

fn calm() -> Figures {
    Figures {
        disk: Some(7.0),
        io: Some(6.0),
        memory: Some(20.0),
    }
}

/// Looks that find nothing, until a worker stalls; the others make progress.
fn stall(pool: &mut Pool, number: u32, from: u64) -> u64 {
    (from..)
        .find(|now| {
            for other in pool.workers.keys().copied().collect::<Vec<_>>() {
                if other != number {
                    pool.look(at(*now), other, true, NOTHING);
                }
            }
            pool.look(at(*now), number, false, NOTHING) == WatchResult::Stalled
        })
        .unwrap()
}

#[test]
fn all_are_started_and_when_all_are_done_it_is_over() {
    let mut pool = pool(3);
    assert_eq!(acts(&mut pool, 0), [1, 2, 3].map(Order::Start));
    assert_eq!(acts(&mut pool, 1), []);
    for number in [2, 1, 3] {
        assert!(!pool.is_over());
        pool.ended(at(5), number, &WorkerEnd::Code(0));
        assert_eq!(acts(&mut pool, 5), []);
    }
    assert!(pool.is_over());
}

/// The highest was asked to end in its place, which worked, while this one waited on.
#[test]
fn under_a_saturated_disk_the_one_that_stalled_is_asked_to_end_and_nobody_is_restarted() {
    let mut pool = pool(4);
    acts(&mut pool, 0);
    let now = stall(&mut pool, 2, 1);
    assert_eq!(now, 300);
    let orders = pool.stalled(at(now), 2, &busy());
    assert!(orders.contains(&Order::Ask(2)), "{orders:?}");
    assert!(!orders.contains(&Order::End(2)), "{orders:?}");
    assert_eq!(acts(&mut pool, now), []);
    let all = ["running", "stopping", "running", "running"];
    assert_eq!(words(&pool, now), all);
    // It finishes its file first, and is not started again.
    assert_eq!(acts(&mut pool, now + 59), []);
    pool.ended(at(now + 59), 2, &WorkerEnd::Signal(15));
    assert_eq!(acts(&mut pool, now + 59), []);
    assert_eq!(words(&pool, now), ["running", "held", "running", "running"]);
    // Calm again: it comes back.
    pool.figures(at(now + 599), &calm());
    assert_eq!(acts(&mut pool, now + 599), []);
    pool.figures(at(now + 600), &calm());
    assert_eq!(acts(&mut pool, now + 600), [Order::Start(2)]);
}

#[test]
fn one_that_stalled_and_does_not_heed_is_killed_when_the_grace_is_over() {
    let mut pool = pool(2);
    acts(&mut pool, 0);
    let now = stall(&mut pool, 1, 1);
    pool.stalled(at(now), 1, &busy());
    assert_eq!(acts(&mut pool, now + 59), []);
    assert_eq!(acts(&mut pool, now + 60), [Order::Kill(1)]);
}

#[test]
fn given_up_is_who_does_the_least_and_of_equals_the_highest() {
    // It works: the highest.
    let mut all = pool(4);
    acts(&mut all, 0);
    all.change_target(at(10), false, true);
    assert_eq!(acts(&mut all, 10), [Order::Ask(4)]);
    // One is about to be taken for stalled.
    let mut warned = pool(4);
    acts(&mut warned, 0);
    for now in 1..=200 {
        for number in [1, 3, 4] {
            warned.look(at(now), number, true, NOTHING);
        }
        warned.look(at(now), 2, false, NOTHING);
    }
    warned.change_target(at(200), false, true);
    assert_eq!(acts(&mut warned, 200), [Order::Ask(2)]);
    // One is being ended, for it stalled: what becomes of it is seen then.
    let mut stalled = pool(4);
    acts(&mut stalled, 0);
    let now = stall(&mut stalled, 2, 1);
    stalled.stalled(at(now), 2, &calm());
    stalled.change_target(at(now), false, true);
    assert_eq!(acts(&mut stalled, now), []);
    stalled.ended(at(now + 1), 2, &WorkerEnd::Signal(15));
    assert_eq!(acts(&mut stalled, now + 1), []);
    assert_eq!(words(&stalled, now)[1], "held");
    // One is not even there.
    let mut waits = pool(4);
    acts(&mut waits, 0);
    for now in [10, 20] {
        waits.ended(at(now), 1, &WorkerEnd::Code(7));
        acts(&mut waits, now);
    }
    assert_eq!(words(&waits, 20)[0], "cooldown");
    waits.change_target(at(20), false, true);
    assert_eq!(acts(&mut waits, 20), []);
    assert_eq!(words(&waits, 20)[0], "held");
}

/// One that was given up while it had to wait was started at once when it had a place again.
#[test]
fn one_that_is_let_in_again_after_scaling_has_its_cooldown_all_the_same() {
    let mut pool = pool(2);
    acts(&mut pool, 0);
    // Its second restart may be made at 610.
    for now in [10, 20] {
        pool.ended(at(now), 2, &WorkerEnd::Code(7));
        acts(&mut pool, now);
    }
    pool.change_target(at(30), false, true);
    assert_eq!(acts(&mut pool, 30), []);
    assert_eq!(words(&pool, 30), ["running", "held"]);
    pool.change_target(at(40), true, true);
    assert_eq!(acts(&mut pool, 609), []);
    assert_eq!(acts(&mut pool, 610), [Order::Start(2)]);
}

#[test]
fn on_a_calm_disk_a_worker_that_stalled_is_ended_and_started_again() {
    let mut pool = pool(2);
    acts(&mut pool, 0);
    let now = stall(&mut pool, 1, 1);
    let orders = pool.stalled(at(now), 1, &calm());
    assert!(orders.contains(&Order::End(1)), "{orders:?}");
    assert_eq!(acts(&mut pool, now), []);
    pool.ended(at(now + 1), 1, &WorkerEnd::Signal(15));
    assert_eq!(acts(&mut pool, now + 1), [Order::Start(1)]);
    assert_eq!(words(&pool, now + 1), ["verify", "running"]);
}

#[test]
fn who_does_not_heed_is_killed_when_the_grace_is_over() {
    let mut pool = pool(2);
    acts(&mut pool, 0);
    pool.change_target(at(10), false, true);
    assert_eq!(acts(&mut pool, 10), [Order::Ask(2)]);
    assert_eq!(acts(&mut pool, 69), []);
    assert_eq!(acts(&mut pool, 70), [Order::Kill(2)]);
}

#[test]
fn a_place_that_somebody_left_is_the_next_one_s() {
    let mut pool = pool(4);
    pool.scale.resume(4, 2, None);
    assert_eq!(acts(&mut pool, 0), [1, 2].map(Order::Start));
    pool.ended(at(5), 1, &WorkerEnd::Code(0));
    assert_eq!(acts(&mut pool, 5), [Order::Start(3)]);
    pool.ended(at(6), 2, &WorkerEnd::Code(2));
    assert_eq!(acts(&mut pool, 6), [Order::Start(4)]);
    assert_eq!(words(&pool, 6), ["done", "paused", "running", "running"]);
}

#[test]
fn one_that_gave_up_holds_all_starts_but_no_worker_that_runs() {
    let mut pool = pool(3);
    acts(&mut pool, 0);
    pool.ended(at(10), 1, &WorkerEnd::Code(255));
    pool.ended(at(20), 2, &WorkerEnd::Signal(9));
    assert_eq!(acts(&mut pool, 609), []);
    assert_eq!(acts(&mut pool, 610), [1, 2].map(Order::Start));
    assert_eq!(pool.workers[&1].failed, 0);
    assert_eq!(pool.workers[&2].failed, 1);
}

/// original.md 8.J: starts of all workers at once, and ends of all at once.
#[test]
fn the_end_is_one_after_another_within_the_grace() {
    let mut pool = pool(3);
    acts(&mut pool, 0);
    pool.stop(at(100));
    assert_eq!(acts(&mut pool, 100), [Order::Ask(3)]);
    assert_eq!(acts(&mut pool, 119), []);
    // A third of the time is over.
    assert_eq!(acts(&mut pool, 120), [Order::Ask(2)]);
    pool.ended(at(121), 3, &WorkerEnd::Code(0));
    assert_eq!(acts(&mut pool, 121), []);
    pool.ended(at(125), 2, &WorkerEnd::Signal(15));
    assert_eq!(acts(&mut pool, 125), [Order::Ask(1)]);
    assert_eq!(acts(&mut pool, 159), []);
    assert_eq!(acts(&mut pool, 160), [Order::Kill(1)]);
    pool.ended(at(160), 1, &WorkerEnd::Signal(9));
    assert!(pool.is_over() && acts(&mut pool, 161).is_empty());
    assert_eq!(words(&pool, 161), ["held"; 3]);
}

#[test]
fn a_second_signal_waits_for_nobody() {
    let mut pool = pool(2);
    acts(&mut pool, 0);
    pool.stop(at(5));
    acts(&mut pool, 5);
    pool.stop_now(at(6));
    assert_eq!(acts(&mut pool, 6), [1, 2].map(Order::Kill));
}

/// original.md 8.D.9: a new number began a scan of its own.
#[test]
fn one_more_is_a_new_number_only_where_the_work_is_not_cut() {
    let mut pool = pool(2);
    acts(&mut pool, 0);
    pool.change_target(at(1), true, false);
    assert_eq!(acts(&mut pool, 1), []);
    pool.change_target(at(2), true, true);
    assert_eq!(acts(&mut pool, 2), [Order::Start(3)]);
    pool.change_target(at(3), false, true);
    assert_eq!(acts(&mut pool, 3), [Order::Ask(3)]);
    pool.ended(at(4), 3, &WorkerEnd::Code(0));
    pool.change_target(at(5), true, false);
    assert_eq!(acts(&mut pool, 5), [Order::Start(3)]);
}

#[test]
fn a_paused_worker_is_tried_again_when_asked_for() {
    let mut pool = pool(1);
    acts(&mut pool, 0);
    pool.ended(at(1), 1, &WorkerEnd::Code(2));
    assert!(pool.is_over());
    pool.resume();
    assert_eq!(acts(&mut pool, 2), [Order::Start(1)]);
}

#[test]
fn a_person_s_word_ends_a_hold() {
    let mut pool = pool(1);
    acts(&mut pool, 0);
    pool.ended(at(10), 1, &WorkerEnd::Code(255));
    assert_eq!(acts(&mut pool, 11), []);
    pool.resume();
    assert_eq!(acts(&mut pool, 12), [Order::Start(1)]);
}

#[test]
fn at_the_end_nothing_is_scaled_and_no_stall_ends_anybody() {
    let mut pool = pool(4);
    acts(&mut pool, 0);
    let now = stall(&mut pool, 2, 1);
    pool.stop(at(now));
    assert_eq!(acts(&mut pool, now), [Order::Ask(4)]);
    let orders = pool.stalled(at(now), 2, &calm());
    assert!(!orders.contains(&Order::End(2)), "{orders:?}");
    let short = Figures {
        memory: Some(99.0),
        ..calm()
    };
    assert_eq!(pool.figures(at(now), &short), []);
    // A second word of it gives nobody more time.
    pool.stop(at(now + 50));
    let orders = acts(&mut pool, now + 60);
    assert!(orders.contains(&Order::Kill(4)), "{orders:?}");
}

#[test]
fn no_more_patience_is_none_for_those_that_are_being_ended_already() {
    let mut pool = pool(2);
    acts(&mut pool, 0);
    let now = stall(&mut pool, 1, 1);
    pool.stalled(at(now), 1, &calm());
    pool.stop(at(now));
    pool.stop_now(at(now));
    assert_eq!(acts(&mut pool, now), [1, 2].map(Order::Kill));
}

#[test]
fn one_that_is_spared_has_all_of_its_time_again() {
    let mut pool = pool(4);
    acts(&mut pool, 0);
    for now in 1..=300 {
        for number in [1, 4] {
            pool.look(at(now), number, true, NOTHING);
        }
        for number in [2, 3] {
            pool.look(at(now), number, false, NOTHING);
        }
    }
    pool.stalled(at(300), 2, &busy());
    let orders = pool.stalled(at(300), 3, &busy());
    assert!(matches!(&orders[..], [Order::Report(_)]), "{orders:?}");
    assert_eq!(words(&pool, 300)[2], "running");
    assert_eq!(stall(&mut pool, 3, 301), 600);
}

#[test]
fn that_one_is_paused_is_told() {
    let mut pool = pool(1);
    acts(&mut pool, 0);
    let orders = pool.ended(at(1), 1, &WorkerEnd::Code(3));
    let [Order::Report(note)] = &orders[..] else {
        panic!("{orders:?}");
    };
    assert_eq!((note.event, note.action), ("paused", Some("pause")));
}
