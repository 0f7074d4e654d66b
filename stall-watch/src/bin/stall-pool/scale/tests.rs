use super::*;

pub(crate) const BOUNDS: Bounds = Bounds {
    min: 1,
    max: 8,
    disk_high: 90.0,
    disk_low: 50.0,
    mem_high: 85.0,
    mem_low: 70.0,
    down_cooldown: Duration::from_secs(300),
    up_cooldown: Duration::from_secs(600),
    interval: Duration::from_secs(60),
    disks: true,
};

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn figures(disk: f64, memory: f64) -> Figures {
    Figures {
        disk: Some(disk),
        io: None,
        memory: Some(memory),
    }
}

/// original.md, part 5: after a scale-down it never came back.
#[test]
fn a_saturated_disk_takes_one_and_a_calm_one_gives_it_back() {
    let mut scale = Scale::new(BOUNDS, 4);
    let busy = figures(97.0, 10.0);
    assert_eq!(scale.look(at(0), &busy, 4), None);
    let answer = scale.stalled(at(60), &busy, 4, at(300));
    assert!(matches!(answer, Answer::ScaleDown(_)), "{answer:?}");
    assert_eq!(
        scale.stalled(at(90), &busy, 4, at(300)),
        Answer::Forgive("another was given up just now".into())
    );
    assert_eq!(scale.limit(), 3);
    assert!(matches!(
        scale.stalled(at(360), &busy, 4, at(300)),
        Answer::ScaleDown(_)
    ));
    let calm = figures(20.0, 10.0);
    assert_eq!(scale.look(at(959), &calm, 4), None);
    assert!(scale.look(at(960), &calm, 4).is_some());
    assert_eq!(scale.look(at(1559), &calm, 4), None);
    assert!(scale.look(at(1560), &calm, 4).is_some());
    assert_eq!(scale.look(at(9999), &calm, 4), None);
    assert_eq!((scale.limit(), scale.target()), (4, 4));
}

#[test]
fn a_stall_under_a_disk_that_is_not_saturated_is_the_worker_s_own() {
    let mut scale = Scale::new(BOUNDS, 4);
    assert_eq!(
        scale.stalled(at(0), &figures(89.9, 10.0), 4, at(300)),
        Answer::Restart
    );
    let unknown = Figures::default();
    assert_eq!(scale.stalled(at(0), &unknown, 4, at(300)), Answer::Restart);
    let other = Bounds {
        disks: false,
        ..BOUNDS
    };
    let mut scale = Scale::new(other, 4);
    assert_eq!(
        scale.stalled(at(0), &figures(99.0, 10.0), 4, at(300)),
        Answer::Restart
    );
}

/// Found by the simulation: the disk was calm again in the moment of the stall that it had caused.
#[test]
fn a_stall_that_began_under_a_saturated_disk_is_the_disk_s() {
    let mut scale = Scale::new(BOUNDS, 4);
    let calm = figures(20.0, 10.0);
    scale.look(at(100), &figures(99.0, 10.0), 4);
    let answer = scale.stalled(at(460), &calm, 4, at(300));
    assert!(matches!(answer, Answer::Forgive(_)), "{answer:?}");
    assert_eq!(scale.stalled(at(461), &calm, 4, at(300)), Answer::Restart);
}

#[test]
fn the_last_worker_is_never_given_up() {
    let mut scale = Scale::new(BOUNDS, 2);
    let busy = figures(99.0, 99.0);
    for minute in 0..600 {
        scale.look(at(60 * minute), &busy, 2);
        scale.stalled(at(60 * minute), &busy, 2, at(300));
        assert!(scale.limit() >= 1);
    }
    assert_eq!(scale.limit(), 1);
    // Nothing is left to give up, so it is the worker's turn.
    assert_eq!(
        scale.stalled(at(99_999), &busy, 2, at(300)),
        Answer::Restart
    );
    let mut scale = Scale::new(BOUNDS, 4);
    assert_eq!(scale.stalled(at(0), &busy, 1, at(300)), Answer::Restart);
}

/// original.md 8.D.11: memory between the two marks was ignored on the way up.
#[test]
fn short_memory_takes_one_without_a_stall_and_only_plenty_gives_it_back() {
    let mut scale = Scale::new(BOUNDS, 4);
    assert!(scale.look(at(0), &figures(10.0, 85.0), 4).is_some());
    assert_eq!(scale.look(at(299), &figures(10.0, 99.0), 4), None);
    assert!(scale.look(at(300), &figures(10.0, 99.0), 4).is_some());
    assert_eq!(scale.limit(), 2);
    assert_eq!(scale.look(at(2000), &figures(10.0, 75.0), 4), None);
    assert!(scale.look(at(2000), &figures(10.0, 69.0), 4).is_some());
}

/// original.md 8.D.10
#[test]
fn without_a_figure_of_the_disk_memory_still_counts_but_nothing_is_calm() {
    let mut scale = Scale::new(BOUNDS, 4);
    let blind = |memory| Figures {
        memory: Some(memory),
        ..Figures::default()
    };
    assert!(scale.look(at(0), &blind(90.0), 4).is_some());
    assert_eq!(scale.look(at(5000), &blind(10.0), 4), None);
    let unknown = Figures {
        disk: Some(1.0),
        ..Figures::default()
    };
    assert_eq!(scale.look(at(5000), &unknown, 4), None);
    assert!(scale.look(at(5000), &figures(10.0, 10.0), 4).is_some());
}

#[test]
fn where_many_wait_the_disk_is_not_calm() {
    let mut scale = Scale::new(BOUNDS, 4);
    scale.resume(4, 3, None);
    let mut waits = figures(10.0, 10.0);
    waits.io = Some(80.0);
    assert_eq!(scale.look(at(5000), &waits, 4), None);
    waits.io = Some(8.0);
    assert!(scale.look(at(5000), &waits, 4).is_some());
}

#[test]
fn a_person_s_wish_stays_within_the_bounds() {
    let mut scale = Scale::new(BOUNDS, 7);
    assert!(scale.more(at(0)) && !scale.more(at(0)));
    assert_eq!((scale.target(), scale.limit()), (8, 8));
    for _ in 0..7 {
        assert!(scale.less(at(0), 8));
    }
    assert!(!scale.less(at(0), 8));
    assert_eq!((scale.target(), scale.limit()), (1, 1));
    // Of five places two are in use.
    scale.resume(5, 5, None);
    assert!(scale.less(at(0), 2));
    assert_eq!((scale.target(), scale.limit()), (1, 1));
}

#[test]
fn a_limit_that_nobody_reaches_is_lowered_to_where_it_holds_one_back() {
    let mut scale = Scale::new(BOUNDS, 8);
    assert!(matches!(
        scale.stalled(at(0), &figures(95.0, 1.0), 3, at(300)),
        Answer::ScaleDown(_)
    ));
    assert_eq!(scale.limit(), 2);
}

/// Two hours, a look a minute: the disk is saturated for the first half hour, and workers stall.
fn decisions(bounds: Bounds) -> Vec<(u64, &'static str, u32)> {
    let mut scale = Scale::new(bounds, 4);
    let mut decided = Vec::new();
    for minute in 0..120 {
        let now = at(60 * minute);
        let figures = figures(if minute < 30 { 96.0 } else { 20.0 }, 40.0);
        let before = scale.limit();
        if scale.look(now, &figures, 4).is_some() {
            let up = scale.limit() > before;
            decided.push((minute, if up { "up" } else { "down" }, scale.limit()));
        }
        if [10, 11, 20, 70].contains(&minute) {
            let what = match scale.stalled(now, &figures, 4, at(300)) {
                Answer::Restart => "restart",
                Answer::ScaleDown(_) => "down",
                Answer::Forgive(_) => "spare",
            };
            decided.push((minute, what, scale.limit()));
        }
    }
    decided
}

#[test]
fn a_morning_of_a_saturated_disk_is_decided_as_it_should() {
    let wanted = [
        (10, "down", 3),
        (11, "spare", 3),
        (20, "down", 2),
        (30, "up", 3),
        (40, "up", 4),
        (70, "restart", 4),
    ];
    assert_eq!(decisions(BOUNDS), wanted);
    // Other limits, other decisions.
    let restarts = decisions(Bounds {
        disk_high: 97.0,
        ..BOUNDS
    });
    assert_eq!(restarts.len(), 4);
    assert!(restarts.iter().all(|(_, what, _)| *what == "restart"));
}

#[test]
fn a_person_cannot_take_the_last_worker_away() {
    let mut scale = Scale::new(BOUNDS, 5);
    // Of five places one is in use.
    assert!(!scale.less(at(0), 1));
    assert_eq!((scale.target(), scale.limit()), (5, 5));
}

#[test]
fn what_a_former_pool_had_come_to_is_kept_within_the_bounds_of_this_one() {
    let resumed = |target, limit| {
        let mut scale = Scale::new(BOUNDS, 4);
        scale.resume(target, limit, None);
        (scale.target(), scale.limit())
    };
    assert_eq!(resumed(99, 99), (8, 8));
    assert_eq!(resumed(3, 5), (3, 3));
    assert_eq!(resumed(0, 0), (1, 1));
}

#[test]
fn where_the_disk_s_own_figure_cannot_be_had_those_that_wait_for_it_tell() {
    let waits = |io| Figures {
        io: Some(io),
        ..figures(0.0, 10.0)
    };
    let answer = |io| {
        let figures = Figures {
            disk: None,
            ..waits(io)
        };
        Scale::new(BOUNDS, 4).stalled(at(0), &figures, 4, at(300))
    };
    assert!(matches!(answer(95.0), Answer::ScaleDown(_)));
    assert_eq!(answer(20.0), Answer::Restart);
}
