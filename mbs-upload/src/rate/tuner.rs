//! Measures a run for the [`Throttle`]. Pure: events and times are given.

use std::time::Duration;

use crate::rate::throttle::{Sample, Throttle};

/// Files that a measurement is made of: at least so many, and so many for each in flight.
const FILES: u32 = 8;
const ROUNDS: u32 = 3;

/// A throttle and the measurement under way.
#[derive(Clone, Debug)]
pub struct Tuner {
    throttle: Throttle,
    /// Ends that are not counted: those files began with another number in flight.
    settling: usize,
    since: Duration,
    ended: u32,
    seconds: f64,
    failures: u32,
    /// Looks taken, and the files that were in flight at each, added up.
    looks: usize,
    under_way: usize,
}

impl Tuner {
    /// Nothing measured yet.
    pub fn new(throttle: Throttle) -> Tuner {
        Tuner {
            throttle,
            settling: 0,
            since: Duration::ZERO,
            ended: 0,
            seconds: 0.0,
            failures: 0,
            looks: 0,
            under_way: 0,
        }
    }

    /// Files to have in flight.
    pub fn now(&self) -> usize {
        self.throttle.now()
    }

    /// A file was uploaded after this time with its worker.
    pub fn uploaded(&mut self, now: Duration, took: Duration) {
        if self.settling > 0 {
            self.settling -= 1;
            self.begin(now);
        } else {
            self.ended += 1;
            self.seconds += took.as_secs_f64();
        }
    }

    /// So many tries failed because the server could not cope.
    pub fn failed(&mut self, tries: u32) {
        if self.settling == 0 {
            self.failures += tries;
        }
    }

    /// Looks whether there is enough to decide upon; gives the new number if it changed.
    /// `under_way` files are in flight.
    pub fn look(&mut self, now: Duration, under_way: usize, disk: Option<f64>) -> Option<usize> {
        let before = self.now();
        self.looks += 1;
        self.under_way += under_way;
        let enough = FILES.max(ROUNDS * u32::try_from(before).unwrap_or(u32::MAX));
        if self.failures == 0 && self.ended < enough {
            return None;
        }
        let over = now.saturating_sub(self.since).as_secs_f64();
        // With a quarter of the places empty there was not enough to do.
        let busy = 4 * self.under_way >= 3 * self.looks * before;
        if self.failures > 0 || busy && over > 0.0 {
            self.throttle.decide(&Sample {
                rate: f64::from(self.ended) / over.max(f64::MIN_POSITIVE),
                latency: self.seconds / f64::from(self.ended.max(1)),
                failures: self.failures,
                disk,
            });
        }
        self.begin(now);
        let decided = self.now();
        if decided == before {
            return None;
        }
        self.settling = before.max(decided);
        Some(decided)
    }

    fn begin(&mut self, now: Duration) {
        self.since = now;
        (self.ended, self.seconds, self.failures) = (0, 0.0, 0);
        (self.looks, self.under_way) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn seconds(time: u32) -> Duration {
        SECOND * time
    }

    #[test]
    fn a_number_is_judged_by_files_that_began_with_it() {
        let mut tuner = Tuner::new(Throttle::new(1, 8));
        assert_eq!(tuner.now(), 2);
        (0..7).for_each(|_| tuner.uploaded(seconds(4), SECOND));
        assert_eq!(tuner.look(seconds(4), 2, None), None);
        tuner.uploaded(seconds(5), SECOND);
        assert_eq!(tuner.look(seconds(5), 2, None), Some(3));
        // Three are not counted, then nine are wanted.
        (0..11).for_each(|_| tuner.uploaded(seconds(8), SECOND));
        assert_eq!(tuner.look(seconds(8), 3, None), None);
        tuner.uploaded(seconds(9), SECOND);
        assert_eq!(tuner.look(seconds(9), 3, None), Some(4));
    }

    #[test]
    fn a_run_without_enough_to_do_tells_nothing() {
        let mut tuner = Tuner::new(Throttle::new(1, 8));
        tuner.look(seconds(1), 1, None);
        tuner.look(seconds(2), 0, None);
        (0..50).for_each(|_| tuner.uploaded(seconds(4), SECOND));
        assert_eq!(tuner.look(seconds(4), 2, None), None);
        (0..50).for_each(|_| tuner.uploaded(seconds(8), SECOND));
        assert_eq!(tuner.look(seconds(8), 2, None), Some(3));
    }

    #[test]
    fn failures_are_not_waited_upon_and_counted_once() {
        let mut tuner = Tuner::new(Throttle::new(1, 8));
        (0..8).for_each(|_| tuner.uploaded(seconds(4), SECOND));
        assert_eq!(tuner.look(seconds(4), 2, None), Some(3));
        (0..3).for_each(|_| tuner.uploaded(seconds(5), SECOND));
        tuner.failed(1);
        assert_eq!(tuner.look(seconds(5), 3, None), Some(2));
        // Those that were in flight then fail, too.
        tuner.failed(2);
        assert_eq!(tuner.look(seconds(6), 3, None), None);
    }
}
