//! The number of files in flight that suits the server: one more after each round without trouble,
//! half as many when the server cannot cope (additive increase, multiplicative decrease). Pure: events
//! and times are given.

use std::time::Duration;

/// Files in a round: at least so many, and so many for each in flight.
const FILES: usize = 8;
const PER_JOB: usize = 3;
/// A round that takes so many times as long a file as the best one shows a server that suffers.
const SLOWER: f64 = 2.0;
/// The best round counts for less in each that follows, since servers and books change.
const AGE: f64 = 1.05;

/// The number in flight, and the round under way.
#[derive(Clone, Debug)]
pub struct Auto {
    min: usize,
    max: usize,
    limit: usize,
    /// Seconds a file in the best round.
    best: f64,
    /// Ends that do not count: those files began with another number in flight.
    settling: usize,
    ended: usize,
    seconds: f64,
    /// Tries that failed because the server could not cope.
    strained: u32,
    /// Looks taken in this round, and the files that were in flight at each, added up.
    looks: usize,
    under_way: usize,
}

impl Auto {
    /// Between `min` and `max`, both included.
    pub fn new(min: usize, max: usize) -> Auto {
        Auto {
            min,
            max,
            limit: 2.clamp(min, max),
            best: f64::INFINITY,
            settling: 0,
            ended: 0,
            seconds: 0.0,
            strained: 0,
            looks: 0,
            under_way: 0,
        }
    }

    /// Files to have in flight.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// A file was uploaded after this time with its worker.
    pub fn uploaded(&mut self, took: Duration) {
        if self.settling > 0 {
            self.settling -= 1;
            self.begin();
        } else {
            self.ended += 1;
            self.seconds += took.as_secs_f64();
        }
    }

    /// So many tries failed because the server could not cope.
    pub fn strained(&mut self, tries: u32) {
        if self.settling == 0 {
            self.strained += tries;
        }
    }

    /// Decides anew when a round is over; returns the number if it changed. `under_way` files are in
    /// flight.
    pub fn look(&mut self, under_way: usize) -> Option<usize> {
        self.looks += 1;
        self.under_way += under_way;
        let before = self.limit;
        if self.strained > 0 {
            self.limit = (before / 2).max(self.min);
        } else if self.ended >= FILES.max(PER_JOB * before) {
            let took = self.seconds / self.ended as f64;
            let slow = took > SLOWER * self.best;
            self.best = took.min(self.best * AGE);
            // With a quarter of the places empty there was not enough to do.
            let busy = 4 * self.under_way >= 3 * self.looks * before;
            self.limit = match slow {
                true => (before * 3 / 4).max(self.min),
                false if busy => (before + 1).min(self.max),
                false => before,
            };
        } else {
            return None;
        }
        self.begin();
        if self.limit == before {
            return None;
        }
        self.settling = before.max(self.limit);
        Some(self.limit)
    }

    fn begin(&mut self) {
        (self.ended, self.seconds, self.strained) = (0, 0.0, 0);
        (self.looks, self.under_way) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A round of files that take so long each, all places taken; the number after it.
    fn round(auto: &mut Auto, took: Duration) -> usize {
        let before = auto.limit();
        let files = auto.settling + FILES.max(PER_JOB * before);
        (0..files).for_each(|_| auto.uploaded(took));
        auto.look(before);
        auto.limit()
    }

    #[test]
    fn a_server_that_copes_gets_one_more_each_round_up_to_the_most() {
        let mut auto = Auto::new(1, 5);
        let rounds: Vec<_> = (0..5).map(|_| round(&mut auto, SECOND)).collect();
        assert_eq!(rounds, [3, 4, 5, 5, 5]);
    }

    #[test]
    fn a_number_is_judged_by_files_that_began_with_it() {
        let mut auto = Auto::new(1, 8);
        round(&mut auto, SECOND);
        // Three are not counted, then nine are wanted.
        (0..11).for_each(|_| auto.uploaded(SECOND));
        assert_eq!(auto.look(3), None);
        auto.uploaded(SECOND);
        assert_eq!(auto.look(3), Some(4));
    }

    #[test]
    fn a_failure_halves_the_number_at_once_and_only_once() {
        let mut auto = Auto::new(1, 8);
        for _ in 0..4 {
            round(&mut auto, SECOND);
        }
        assert_eq!(auto.limit(), 6);
        (0..6).for_each(|_| auto.uploaded(SECOND));
        auto.strained(1);
        assert_eq!(auto.look(6), Some(3));
        // Those that were in flight then fail, too.
        auto.strained(5);
        assert_eq!(auto.look(6), None);
        assert_eq!(round(&mut auto, SECOND), 4);
    }

    #[test]
    fn a_failure_never_leads_below_the_least() {
        let mut auto = Auto::new(2, 8);
        auto.strained(1);
        assert_eq!((auto.look(2), auto.limit()), (None, 2));
    }

    #[test]
    fn a_server_that_takes_twice_as_long_gets_less() {
        let mut auto = Auto::new(1, 8);
        for _ in 0..4 {
            round(&mut auto, SECOND);
        }
        assert_eq!(round(&mut auto, SECOND * 3), 4);
        // One that stays slow is not starved.
        let later: Vec<_> = (0..40).map(|_| round(&mut auto, SECOND * 3)).collect();
        assert_eq!(later.last(), Some(&8));
    }

    #[test]
    fn a_run_without_enough_to_do_gets_no_more() {
        let mut auto = Auto::new(1, 8);
        auto.look(1);
        auto.look(0);
        (0..50).for_each(|_| auto.uploaded(SECOND));
        assert_eq!(auto.look(2), None);
        (0..50).for_each(|_| auto.uploaded(SECOND));
        assert_eq!(auto.look(2), Some(3));
    }
}
