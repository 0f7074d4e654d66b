//! How many files end in a time, by the last of them. Pure: the time is given.

use std::{collections::VecDeque, time::Duration};

/// Files that the rate is taken over.
const LAST: usize = 100;

/// When the last files ended.
#[derive(Clone, Debug, Default)]
pub struct Rate {
    ends: VecDeque<Duration>,
    first: Duration,
}

impl Rate {
    /// A file ended, so long after the start.
    pub fn ended(&mut self, now: Duration) {
        if self.ends.len() == LAST {
            self.first = self.ends.pop_front().unwrap_or_default();
        }
        self.ends.push_back(now);
    }

    /// Files a second, also when none has ended for long.
    pub fn now(&self, now: Duration) -> f64 {
        let over = now.saturating_sub(self.first).as_secs_f64();
        match over > 0.0 {
            true => self.ends.len() as f64 / over,
            false => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_hundred_count() {
        let seconds = Duration::from_secs;
        let mut rate = Rate::default();
        assert_eq!(rate.now(seconds(0)), 0.0);
        (1..=50).for_each(|i| rate.ended(seconds(10 * i)));
        assert!((rate.now(seconds(500)) - 0.1).abs() < 1e-9);
        (1..=200).for_each(|i| rate.ended(seconds(500 + i)));
        assert!((rate.now(seconds(700)) - 1.0).abs() < 1e-9);
        assert!((rate.now(seconds(900)) - 1.0 / 3.0).abs() < 1e-9);
    }
}
