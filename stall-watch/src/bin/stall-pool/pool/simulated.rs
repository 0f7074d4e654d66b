//! Whole days of a pool in a moment: made-up workers, a made-up disk, a clock that is a number.

use super::*;
use crate::{scale::tests::BOUNDS, worker::tests::RULES};

const DAY: u64 = 86_400;

/// A simple generator of numbers, the same in every run (Knuth's MMIX constants).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// What a worker does until it ends.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// Units of discovery up to 19 minutes apart, then of work up to nearly 5.
    Uploads,
    /// No units, a sign of some kind at least every 4 minutes.
    Speechless,
    /// As the first, and some time hangs for ever.
    Hangs,
    /// As the second, and some time dies.
    Crashes,
}

struct Process {
    manner: Manner,
    since: u64,
    next: u64,
    fate: u64,
}

impl Process {
    fn start(manner: Manner, now: u64, dice: &mut Dice) -> Process {
        Process {
            manner,
            since: now,
            next: now + 1 + dice.below(200),
            fate: now + 1800 + dice.below(6 * 3600),
        }
    }

    fn hangs(&self, now: u64) -> bool {
        matches!(self.manner, Manner::Hangs) && now >= self.fate
    }

    fn crashes(&self, now: u64) -> bool {
        matches!(self.manner, Manner::Crashes) && now >= self.fate
    }

    /// What a look at this second finds.
    fn look(&mut self, now: u64, slow: bool, dice: &mut Dice) -> (bool, Count) {
        if now < self.next || self.hangs(now) {
            return (false, Count::default());
        }
        let speaks = !matches!(self.manner, Manner::Speechless | Manner::Crashes);
        let discovers = speaks && now - self.since < 3600;
        let count = Count {
            work: (speaks && !discovers).into(),
            discovery: discovers.into(),
        };
        let longest = match (discovers, speaks) {
            (true, _) => 1140,
            (false, true) => 290,
            (false, false) => 240,
        };
        let slower = if slow && !discovers { 280 } else { 0 };
        self.next = now + 1 + dice.below(longest) + slower;
        (true, count)
    }
}

#[derive(Default, Debug)]
struct Tally {
    wrong_kills: Vec<(u64, u32)>,
    right_kills: u32,
    restarts: u32,
    downs: u32,
    fewest: u32,
    most: u32,
    paused: u32,
}

/// Runs a pool of these workers for a day; the disk is saturated between two hours, as long as more
/// than two workers run.
fn day(seed: u64, manners: &[Manner], rush: std::ops::Range<u64>) -> (Tally, Pool) {
    let mut dice = Dice(seed);
    let count = manners.len() as u32;
    let mut pool = Pool::new(
        RULES,
        Duration::from_secs(60),
        count,
        Scale::new(BOUNDS, count),
    );
    let mut processes: BTreeMap<u32, Process> = BTreeMap::new();
    let mut leaving: BTreeMap<u32, (u64, WorkerEnd)> = BTreeMap::new();
    let mut tally = Tally {
        fewest: count,
        ..Tally::default()
    };
    for second in 0..DAY {
        let now = Duration::from_secs(second);
        let busy = rush.contains(&(second / 3600)) && processes.len() > 2;
        let figures = Figures {
            disk: Some(if busy { 98.0 } else { 30.0 }),
            io: Some(if busy { 70.0 } else { 5.0 }),
            memory: Some(40.0),
        };
        let mut orders = Vec::new();
        if second % 60 == 0 {
            orders.extend(pool.figures(now, &figures));
        }
        for (&number, process) in &mut processes {
            if process.crashes(second) {
                leaving.insert(number, (second, WorkerEnd::Signal(11)));
                continue;
            }
            let (progress, units) = process.look(second, busy, &mut dice);
            if pool.look(now, number, progress, units) == WatchResult::Stalled {
                orders.extend(pool.stalled(now, number, &figures));
            }
        }
        let gone = leaving.extract_if(.., |_, (at, _)| *at <= second);
        for (number, (_, end)) in gone {
            processes.remove(&number);
            orders.extend(pool.ended(now, number, &end));
        }
        orders.extend(pool.orders(now));
        for order in orders {
            match order {
                Order::Start(number) => {
                    let manner = manners[number as usize - 1];
                    let doubled =
                        processes.insert(number, Process::start(manner, second, &mut dice));
                    assert!(doubled.is_none(), "two workers {number} at {second}");
                    tally.restarts += u32::from(second > 0);
                }
                Order::End(number) => {
                    match processes[&number].hangs(second) {
                        true => tally.right_kills += 1,
                        false => tally.wrong_kills.push((second, number)),
                    }
                    leaving.insert(number, (second + 2, WorkerEnd::Signal(15)));
                }
                // It finishes its file.
                Order::Ask(number) => {
                    leaving.insert(number, (second + 20, WorkerEnd::Signal(15)));
                }
                Order::Kill(number) => tally.wrong_kills.push((second, number)),
                Order::Report(note) => {
                    tally.downs +=
                        u32::from(note.action == Some("scale_down") && note.event == "scaled");
                    tally.paused += u32::from(note.event == "paused");
                }
            }
        }
        if second > 0 {
            tally.fewest = tally.fewest.min(processes.len() as u32);
        }
        tally.most = tally.most.max(processes.len() as u32);
    }
    (tally, pool)
}

/// original.md 8.D.3: healthy workers looked stuck, so limits were raised until nothing was found.
#[test]
fn in_a_day_no_worker_that_works_is_killed() {
    for seed in 1..=2 {
        let manners = [
            Manner::Uploads,
            Manner::Speechless,
            Manner::Uploads,
            Manner::Uploads,
        ];
        let (tally, _) = day(seed, &manners, 24..24);
        assert_eq!(tally.wrong_kills, [], "{tally:?}");
        assert_eq!(
            (tally.restarts, tally.downs, tally.fewest),
            (0, 0, 4),
            "{tally:?}"
        );
    }
}

#[test]
fn in_a_day_of_a_saturated_disk_workers_are_held_back_not_killed_and_come_back() {
    for seed in 1..=2 {
        let manners = [
            Manner::Uploads,
            Manner::Speechless,
            Manner::Uploads,
            Manner::Uploads,
        ];
        let (tally, pool) = day(seed, &manners, 6..9);
        assert_eq!(tally.wrong_kills, [], "{tally:?}");
        assert!(tally.downs >= 2 && tally.fewest >= 1, "{tally:?}");
        assert_eq!((pool.scale.limit(), tally.most), (4, 4), "{tally:?}");
    }
}

#[test]
fn in_a_day_those_that_hang_or_crash_are_brought_back_and_only_those() {
    for seed in 1..=2 {
        let manners = [
            Manner::Uploads,
            Manner::Hangs,
            Manner::Crashes,
            Manner::Hangs,
        ];
        let (tally, pool) = day(seed, &manners, 24..24);
        assert_eq!(tally.wrong_kills, [], "{tally:?}");
        assert!(
            tally.right_kills >= 4 && tally.restarts > tally.right_kills,
            "{tally:?}"
        );
        assert_eq!((tally.paused, pool.live()), (0, 4), "{tally:?}");
    }
}
