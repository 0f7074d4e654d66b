//! What follows from the looks at a command. Times are given, never asked for.

use std::time::Duration;

/// How long a command may do what.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// It may make no progress for so long.
    pub stall: Duration,
    /// It may run for so long in all.
    pub max: Option<Duration>,
    /// It is looked at so often.
    pub sample: Duration,
    /// It may wait on purpose for so long, without progress in between.
    pub wait: Duration,
}

/// What a look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// It has made progress since the last look.
    Progress,
    /// It has not.
    Nothing,
    /// It has not, and says that it waits on purpose.
    Waits,
    /// Nobody can tell, or it is not the command that is waited for.
    Excused,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchResult {
    /// Nothing.
    Fine,
    /// It moves again, after a warning.
    Moves,
    /// It has stood still for two thirds of what is allowed.
    Warn,
    /// It stands still.
    Stalled,
    /// It has had its time.
    OverTime,
}

/// The memory between the looks.
#[derive(Clone, Debug)]
pub struct Watch {
    limits: Limits,
    last: Duration,
    idle: Duration,
    /// How long it has waited on purpose since it last made progress.
    waited: Duration,
    warned: bool,
}

impl Watch {
    /// A watch over a command that starts at `now`.
    pub fn new(limits: Limits, now: Duration) -> Watch {
        Watch {
            limits,
            last: now,
            idle: Duration::ZERO,
            waited: Duration::ZERO,
            warned: false,
        }
    }

    /// From now on it may make no progress for so long.
    pub fn allow(&mut self, stall: Duration) {
        self.limits.stall = stall;
    }

    /// It is given all of its time again.
    pub fn reset_idle(&mut self) {
        self.idle = Duration::ZERO;
        self.warned = false;
    }

    /// How long the command has stood still, as far as it was looked at.
    pub fn idle(&self) -> Duration {
        self.idle
    }

    /// Has it stood still for two thirds of what is allowed, and still does?
    pub fn is_warned(&self) -> bool {
        self.warned
    }

    /// Would a look at `now` that finds nothing have consequences? Then it must be a thorough one.
    pub fn matters(&self, now: Duration) -> bool {
        let idle = self.idle + self.counted(now);
        idle >= self.limits.stall || (!self.warned && idle >= self.warning())
    }

    /// Takes a look into account. `now` is the time since any fixed moment; `ran` how long the
    /// command has been running, whoever started it how often.
    pub fn look(&mut self, now: Duration, ran: Duration, look: Look) -> WatchResult {
        let counted = self.counted(now);
        self.last = now;
        let mut verdict = WatchResult::Fine;
        let look = match look {
            Look::Waits if self.waited >= self.limits.wait => Look::Nothing,
            look => look,
        };
        match look {
            // What it has done counts first: progress at the last moment is progress.
            Look::Progress => {
                self.idle = Duration::ZERO;
                self.waited = Duration::ZERO;
                if std::mem::take(&mut self.warned) {
                    verdict = WatchResult::Moves;
                }
            }
            // Afterwards it has all of its time again.
            Look::Waits => {
                self.waited += counted;
                self.idle = Duration::ZERO;
                if std::mem::take(&mut self.warned) {
                    verdict = WatchResult::Moves;
                }
            }
            Look::Excused => {}
            Look::Nothing => {
                self.idle += counted;
                if self.idle >= self.limits.stall {
                    verdict = WatchResult::Stalled;
                } else if !self.warned && self.idle >= self.warning() {
                    self.warned = true;
                    verdict = WatchResult::Warn;
                }
            }
        }
        if self.limits.max.is_some_and(|max| ran >= max) {
            verdict = WatchResult::OverTime;
        }
        verdict
    }

    /// A watchdog that was stopped, or did not get its turn, has not seen anything stand still.
    fn counted(&self, now: Duration) -> Duration {
        now.saturating_sub(self.last).min(2 * self.limits.sample)
    }

    fn warning(&self) -> Duration {
        self.limits.stall * 2 / 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// The verdicts of looks a second apart, those that are not `Fine`, with their second.
    fn verdicts(stall: u32, max: Option<u32>, looks: &[Look]) -> Vec<(u32, WatchResult)> {
        let limits = Limits {
            stall: SECOND * stall,
            max: max.map(|max| SECOND * max),
            sample: SECOND,
            wait: SECOND * 20,
        };
        let mut watch = Watch::new(limits, Duration::ZERO);
        (1..)
            .zip(looks)
            .map(|(n, look)| (n, watch.look(SECOND * n, SECOND * n, *look)))
            .filter(|(_, verdict)| *verdict != WatchResult::Fine)
            .collect()
    }

    #[test]
    fn silence_is_warned_of_and_then_ended() {
        use WatchResult::*;
        assert_eq!(
            verdicts(6, None, &[Look::Nothing; 6]),
            [(4, Warn), (6, Stalled)]
        );
    }

    #[test]
    fn progress_at_the_last_moment_is_progress() {
        let mut looks = vec![Look::Nothing; 5];
        looks.push(Look::Progress);
        looks.extend([Look::Nothing; 5]);
        assert_eq!(
            verdicts(6, None, &looks),
            [
                (4, WatchResult::Warn),
                (6, WatchResult::Moves),
                (10, WatchResult::Warn)
            ]
        );
    }

    #[test]
    fn a_watchdog_that_slept_kills_nothing() {
        let limits = Limits {
            stall: SECOND * 240,
            max: None,
            sample: SECOND,
            wait: SECOND * 20,
        };
        let mut watch = Watch::new(limits, Duration::ZERO);
        let later = SECOND * 3600;
        assert_eq!(watch.look(later, later, Look::Nothing), WatchResult::Fine);
        assert_eq!(watch.idle(), SECOND * 2);
    }

    #[test]
    fn what_waits_for_its_reader_does_not_stand_still_but_has_its_time() {
        assert_eq!(verdicts(3, None, &[Look::Excused; 99]), []);
        let over = verdicts(3, Some(5), &[Look::Excused; 5]);
        assert_eq!(over, [(5, WatchResult::OverTime)]);
    }

    #[test]
    fn after_its_reader_has_read_it_has_all_of_its_time() {
        use WatchResult::*;
        let looks = [[Look::Excused; 9], [Look::Nothing; 9]].concat();
        assert_eq!(verdicts(6, None, &looks)[..2], [(13, Warn), (15, Stalled)]);
    }

    #[test]
    fn one_whose_time_begins_anew_is_warned_of_no_more() {
        let limits = Limits {
            stall: SECOND * 6,
            max: None,
            sample: SECOND,
            wait: SECOND * 20,
        };
        let mut watch = Watch::new(limits, Duration::ZERO);
        for n in 1..=4 {
            watch.look(SECOND * n, SECOND * n, Look::Nothing);
        }
        assert!(watch.is_warned());
        watch.reset_idle();
        assert_eq!((watch.is_warned(), watch.idle()), (false, Duration::ZERO));
    }

    #[test]
    fn who_waits_on_purpose_does_not_stand_still_but_not_for_ever() {
        use WatchResult::*;
        let looks = |parts: &[(Look, usize)]| -> Vec<Look> {
            let part = |&(look, count)| std::iter::repeat_n(look, count);
            parts.iter().flat_map(part).collect()
        };
        // The twenty seconds that it may wait, and then what anybody may stand still.
        let waits = looks(&[(Look::Waits, 99)]);
        assert_eq!(verdicts(6, None, &waits)[..2], [(24, Warn), (26, Stalled)]);
        // Turns of standing still in between do not make it longer; it has its time after each.
        let turns = looks(&[(Look::Waits, 15), (Look::Nothing, 5), (Look::Waits, 15)]);
        let turns = verdicts(6, None, &turns);
        let wanted = [(19, Warn), (21, Moves), (29, Warn), (31, Stalled)];
        assert_eq!(turns[..4], wanted);
        // Progress does.
        let works = looks(&[(Look::Waits, 20), (Look::Progress, 1), (Look::Waits, 20)]);
        assert_eq!(verdicts(6, None, &works), []);
        let over = verdicts(6, Some(5), &looks(&[(Look::Waits, 5)]));
        assert_eq!(over, [(5, OverTime)]);
    }

    #[test]
    fn a_look_that_matters_is_known_before() {
        let limits = Limits {
            stall: SECOND * 6,
            max: None,
            sample: SECOND,
            wait: SECOND * 20,
        };
        let mut watch = Watch::new(limits, Duration::ZERO);
        let mut mattered = Vec::new();
        for n in 1..=6 {
            let matters = watch.matters(SECOND * n);
            let verdict = watch.look(SECOND * n, SECOND * n, Look::Nothing);
            assert_eq!(matters, verdict != WatchResult::Fine, "{n}");
            mattered.extend(matters.then_some(n));
        }
        assert_eq!(mattered, [4, 6]);
    }
}
