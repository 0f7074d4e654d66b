//! When an upload makes no progress. Pure: events and times are given.
//!
//! Two limits: so long without a step forward, and so long in all. Neither runs while the file waits
//! for its turn: in the engine's queue, for another worker, or for a server that is away.

use std::time::{Duration, Instant};

/// How long a file may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Without any step forward.
    pub stall: Duration,
    /// In one try from its beginning, waiting left out.
    pub max_time: Duration,
}

/// Which of the two was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// Nothing moved for too long.
    Stalled,
    /// It moved, but took too long in all.
    Over,
}

/// The clock of one try.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    limits: Limits,
    /// Of the whole time, up to `running`.
    spent: Duration,
    /// Since when it runs; it does not while the file waits.
    running: Option<Instant>,
    moved: Instant,
}

impl Clock {
    /// A try that begins now.
    pub fn new(limits: Limits, now: Instant) -> Clock {
        Clock {
            limits,
            spent: Duration::ZERO,
            running: Some(now),
            moved: now,
        }
    }

    /// A step forward, also the end of a wait.
    pub fn moves(&mut self, now: Instant) {
        self.running.get_or_insert(now);
        self.moved = now;
    }

    /// From now on the file waits for its turn.
    pub fn waits(&mut self, now: Instant) {
        self.spent = self.spent(now);
        self.running = None;
    }

    fn spent(&self, now: Instant) -> Duration {
        let running = self
            .running
            .map(|since| now.saturating_duration_since(since));
        self.spent.saturating_add(running.unwrap_or_default())
    }

    /// What is left of the whole time.
    pub fn left(&self, now: Instant) -> Duration {
        self.limits.max_time.saturating_sub(self.spent(now))
    }

    /// When it will be late, should nothing move; nothing while the file waits.
    pub fn deadline(&self) -> Option<Instant> {
        let begun = self.running?;
        let over = begun.checked_add(self.limits.max_time.saturating_sub(self.spent));
        let stalled = self.moved.checked_add(self.limits.stall);
        stalled.into_iter().chain(over).min()
    }

    /// Is it late?
    pub fn late(&self, now: Instant) -> Option<Late> {
        if self.running.is_none() {
            None
        } else if self.left(now).is_zero() {
            Some(Late::Over)
        } else if now.saturating_duration_since(self.moved) >= self.limits.stall {
            Some(Late::Stalled)
        } else {
            None
        }
    }
}

/// A time as a person says it.
pub fn spell(time: Duration) -> String {
    let (seconds, tenths) = (time.as_secs(), time.subsec_millis() / 100);
    match (seconds, tenths) {
        (0..10, 1..) => format!("{seconds}.{tenths}s"),
        _ => format!(
            "{:#}",
            jiff::SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX))
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy)]
    enum Heard {
        Moves,
        Waits,
    }
    use Heard::{Moves, Waits};

    /// Plays a recorded series: seconds and events. Gives the second at which it was late, by
    /// --stall 240s and --max-time 600s, looking once a second as a faithful watcher would.
    fn play(series: &[(u64, Heard)], until: u64) -> Option<(u64, Late)> {
        let start = Instant::now();
        let limits = Limits {
            stall: Duration::from_secs(240),
            max_time: Duration::from_secs(600),
        };
        let mut clock = Clock::new(limits, start);
        for second in 0..=until {
            let now = start + Duration::from_secs(second);
            if let Some(late) = clock.late(now) {
                assert!(clock.deadline().is_some_and(|at| at <= now));
                return Some((second, late));
            }
            assert!(clock.deadline().is_none_or(|at| at > now));
            for (_, heard) in series.iter().filter(|(at, _)| *at == second) {
                match heard {
                    Moves => clock.moves(now),
                    Waits => clock.waits(now),
                }
            }
        }
        None
    }

    #[test]
    fn silence_is_a_stall_from_the_last_step_on() {
        assert_eq!(play(&[], 999), Some((240, Late::Stalled)));
        let sending: Vec<_> = (0..10).map(|i| (i * 20, Moves)).collect();
        assert_eq!(play(&sending, 999), Some((420, Late::Stalled)));
    }

    #[test]
    fn bug_d3_a_slow_one_that_moves_is_left_alone() {
        // A byte every 239 seconds, as on the worst of lines.
        assert_eq!(play(&[(239, Moves), (478, Moves)], 599), None);
    }

    #[test]
    fn bug_d5_a_step_forward_at_the_last_moment_counts() {
        assert_eq!(play(&[(239, Moves)], 478), None);
        assert_eq!(play(&[(239, Moves)], 479), Some((479, Late::Stalled)));
    }

    #[test]
    fn moving_for_ever_is_too_long() {
        let moving: Vec<_> = (0..100).map(|i| (i * 10, Moves)).collect();
        assert_eq!(play(&moving, 999), Some((600, Late::Over)));
    }

    #[test]
    fn waiting_for_a_turn_is_neither() {
        // 100 s of sending, an hour in the queue, then the task.
        let queue = [(100, Waits), (3700, Moves)];
        assert_eq!(play(&queue, 3939), None);
        assert_eq!(play(&queue, 9999), Some((3940, Late::Stalled)));
        let working = [(100, Waits), (3700, Moves), (3900, Moves), (4100, Moves)];
        assert_eq!(play(&working, 9999), Some((4200, Late::Over)));
    }

    #[test]
    fn limits_beyond_all_time_are_none() {
        let limits = Limits {
            stall: Duration::MAX,
            max_time: Duration::MAX,
        };
        let clock = Clock::new(limits, Instant::now());
        assert_eq!(clock.deadline(), None);
    }

    #[test]
    fn times_are_spelled_as_they_are_given() {
        let spell = |millis| spell(Duration::from_millis(millis));
        assert_eq!(spell(240_000), "4m");
        assert_eq!(spell(1_800_000), "30m");
        assert_eq!(spell(603_400), "10m 3s");
        assert_eq!(spell(1_500), "1.5s");
        assert_eq!(spell(2_000), "2s");
    }
}
