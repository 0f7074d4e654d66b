//! One worker: what follows from its progress and its ends. Times are given, never asked for.

use std::{fmt, time::Duration};

use stall_watch::{
    units::Count,
    watch::{Limits, Look, Watch, WatchResult},
};

/// How long what may take, and how often what may happen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Without progress while it works, or where it does not say what it does.
    pub(crate) stall: Duration,
    /// Without progress after a unit of discovery.
    pub(crate) discovery_stall: Duration,
    /// Between two looks.
    pub(crate) sample: Duration,
    /// It may wait on purpose for so long, without progress in between.
    pub(crate) wait: Duration,
    /// Restarts in a row that may bring no work back.
    pub(crate) attempts: u32,
    /// From a restart to the next one; doubled by each that brought no work back.
    pub(crate) cooldown: Duration,
    /// From a restart until work must be back.
    pub(crate) verify: Duration,
}

/// What it is doing, as far as it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It finds out what there is to do.
    Discovery,
    /// It does it.
    Work,
}

/// Why it is being ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It stood still.
    Stalled,
    /// There are to be fewer workers, or none: nothing is wrong with it.
    Asked,
}

/// What the pool does with it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum State {
    /// There is no place for it now.
    Held,
    /// It is started from then on.
    Waiting { until: Duration },
    /// It runs.
    Running { since: Duration },
    /// It runs, and is being ended.
    Ending { since: Duration, why: Why },
    /// Restarts do not help; a person must.
    Paused { reason: String },
    /// It has done its part, wholly (0) or but for some items (1).
    Done { code: i32 },
}

/// How a worker ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum WorkerEnd {
    /// With an exit code.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// It could not be started.
    NotStarted(String),
}

impl fmt::Display for WorkerEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WorkerEnd::Code(code) => write!(f, "with {code}"),
            WorkerEnd::Signal(signal) => write!(f, "by {}", signal_name(*signal)),
            WorkerEnd::NotStarted(reason) => write!(f, "it cannot be started: {reason}"),
        }
    }
}

/// `SIGKILL`, or its number where it has no name.
pub(crate) fn signal_name(signal: i32) -> String {
    let name = signal_hook::low_level::signal_name(signal);
    name.map_or_else(|| signal.to_string(), Into::into)
}

/// What follows from an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is over, or goes on some time.
    Settled,
    /// What it needs is not there, so nobody is to be started for a while.
    HoldAll,
}

/// One worker.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub(crate) state: State,
    /// How often it was started.
    pub(crate) starts: u32,
    /// Restarts in a row that have not brought work back.
    pub(crate) failed: u32,
    /// The last start after a failure.
    pub(crate) restarted: Option<Duration>,
    /// Its next start is one after a failure.
    pub(crate) failing: bool,
    /// Not to be started before.
    pub(crate) due: Duration,
    pub(crate) phase: Option<Phase>,
    /// Units so far, of all its starts.
    pub(crate) units: Count,
    /// Work must be back by then; none once it is, or that was told.
    verify: Option<Duration>,
    /// It waits on purpose.
    pub(crate) waits: Option<Waits>,
    watch: Watch,
}

/// What it waits for on purpose, and until when at most.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Waits {
    pub(crate) until: Duration,
    pub(crate) what: String,
}

impl Worker {
    /// A worker for which there is no place yet.
    pub(crate) fn new(rules: &Rules) -> Worker {
        Worker {
            state: State::Held,
            starts: 0,
            failed: 0,
            restarted: None,
            failing: false,
            due: Duration::ZERO,
            phase: None,
            units: Count::default(),
            verify: None,
            waits: None,
            watch: watch(rules, Duration::ZERO),
        }
    }

    /// Does it take a place, that is, does it run or will it soon?
    pub(crate) fn has_place(&self) -> bool {
        matches!(
            self.state,
            State::Waiting { .. } | State::Running { .. } | State::Ending { .. }
        )
    }

    /// Would it run if there were a place?
    pub(crate) fn is_live(&self) -> bool {
        self.has_place() || self.state == State::Held
    }

    /// Is there a process of it?
    pub(crate) fn runs(&self) -> bool {
        matches!(self.state, State::Running { .. } | State::Ending { .. })
    }

    /// How much it does, the least first: it is not there, it is being ended for it stood still, it is
    /// about to be taken for stalled, it works.
    pub(crate) fn activity(&self) -> u8 {
        match self.state {
            State::Running { .. } if self.watch.is_warned() => 2,
            State::Running { .. } => 3,
            State::Ending { .. } => 1,
            _ => 0,
        }
    }

    /// How long it has not made progress.
    pub(crate) fn idle(&self) -> Duration {
        self.watch.idle()
    }

    /// Would a look that finds nothing have consequences?
    pub(crate) fn matters(&self, now: Duration) -> bool {
        self.watch.matters(now)
    }

    /// Its state in a word.
    pub(crate) fn word(&self, now: Duration) -> &'static str {
        match &self.state {
            State::Held => "held",
            State::Waiting { until } if *until <= now => "waiting",
            State::Waiting { .. } => "cooldown",
            State::Running { .. } if self.verify.is_some() => "verify",
            State::Running { .. } => "running",
            State::Ending {
                why: Why::Stalled, ..
            } => "stalled",
            State::Ending {
                why: Why::Asked, ..
            } => "stopping",
            State::Paused { .. } => "paused",
            State::Done { .. } => "done",
        }
    }

    /// It is started now.
    pub(crate) fn start(&mut self, now: Duration, rules: &Rules) {
        self.starts += 1;
        if std::mem::take(&mut self.failing) {
            self.failed += 1;
            self.restarted = Some(now);
            self.verify = Some(now + rules.verify);
        }
        self.phase = None;
        self.waits = None;
        self.watch = watch(rules, now);
        self.state = State::Running { since: now };
    }

    fn allow(&mut self, rules: &Rules) {
        self.watch.allow(match self.phase {
            Some(Phase::Discovery) => rules.discovery_stall,
            Some(Phase::Work) | None => rules.stall,
        });
    }

    /// Takes a look into account. [`WatchResult::Stalled`] is for the caller to act upon.
    pub(crate) fn look(
        &mut self,
        now: Duration,
        rules: &Rules,
        progress: bool,
        units: Count,
    ) -> WatchResult {
        let State::Running { since } = self.state else {
            return WatchResult::Fine;
        };
        self.units.work += units.work;
        self.units.discovery += units.discovery;
        if units != Count::default() {
            // Where there are both, it is at work and looks for more.
            self.phase = Some(match units.work {
                0 => Phase::Discovery,
                _ => Phase::Work,
            });
            self.allow(rules);
        }
        if progress {
            self.is_back(now, since, rules, units);
        }
        let look = match progress {
            true => Look::Progress,
            false if self.waits.is_some() => Look::Waits,
            false => Look::Nothing,
        };
        self.watch.look(now, Duration::ZERO, look)
    }

    /// Has a restart helped? A unit says so. Without units the first half of the time tells nothing:
    /// that a program starts is no work. After the time is over, only if it lasts.
    fn is_back(&mut self, now: Duration, since: Duration, rules: &Rules, units: Count) {
        let ran = now.saturating_sub(since);
        let speaks = self.units != Count::default();
        let sign = match speaks {
            true => units != Count::default(),
            false => ran >= rules.verify / 2,
        };
        if sign && (ran <= rules.verify || ran >= rules.cooldown) {
            self.failed = 0;
            self.verify = None;
        }
    }

    /// Is it to be told that a restart has not brought work back in time? Once.
    pub(crate) fn is_late(&mut self, now: Duration) -> bool {
        let late = matches!(self.state, State::Running { .. })
            && self.verify.is_some_and(|until| now > until);
        if late {
            self.verify = None;
        }
        late
    }

    /// It gets all of its time again.
    pub(crate) fn reset_idle(&mut self) {
        self.watch.reset_idle();
    }

    /// It is being ended.
    pub(crate) fn end(&mut self, now: Duration, why: Why) {
        self.state = State::Ending { since: now, why };
    }

    /// It has ended, with all that it had started.
    pub(crate) fn ended(&mut self, now: Duration, end: &WorkerEnd, rules: &Rules) -> Outcome {
        let why = match self.state {
            State::Ending { why, .. } => Some(why),
            _ => None,
        };
        self.verify = None;
        self.phase = None;
        self.waits = None;
        let reason = match (why, end) {
            // A script that ends with 0 when asked to has not done its part. Nothing is lost by a start
            // too many.
            (Some(Why::Asked), _) => {
                self.state = State::Held;
                return Outcome::Settled;
            }
            (Some(Why::Stalled), _) => "stalled".to_string(),
            (None, WorkerEnd::Code(code @ (0 | 1))) => {
                self.state = State::Done { code: *code };
                return Outcome::Settled;
            }
            (None, WorkerEnd::Code(code @ (2 | 3))) => {
                let what = if *code == 2 { "usage" } else { "refused" };
                self.state = State::Paused {
                    reason: format!(
                        "it ended with {code} ({what}); a restart would change nothing"
                    ),
                };
                return Outcome::Settled;
            }
            (None, WorkerEnd::NotStarted(reason)) => {
                self.state = State::Paused {
                    reason: format!("it cannot be started: {reason}"),
                };
                return Outcome::Settled;
            }
            (None, WorkerEnd::Code(255)) => {
                self.state = State::Waiting { until: now };
                return Outcome::HoldAll;
            }
            (None, WorkerEnd::Code(code)) => format!("ended with {code}"),
            (None, WorkerEnd::Signal(signal)) => format!("ended by signal {signal}"),
        };
        self.fail(now, &reason, rules);
        Outcome::Settled
    }

    fn fail(&mut self, now: Duration, reason: &str, rules: &Rules) {
        if self.failed >= rules.attempts {
            self.state = State::Paused {
                reason: format!("{reason} after {} restarts without work", self.failed),
            };
            return;
        }
        self.failing = true;
        let doubled = 1_u32 << self.failed.saturating_sub(1).min(16);
        self.due = self.restarted.map_or(now, |at| {
            let pause = rules.cooldown.saturating_mul(doubled);
            at.saturating_add(pause).max(now)
        });
        self.state = State::Waiting { until: self.due };
    }

    /// There is a place for it.
    pub(crate) fn admit(&mut self, now: Duration) {
        self.state = State::Waiting {
            until: self.due.max(now),
        };
    }

    /// A person says that it may be tried again.
    pub(crate) fn resume(&mut self) {
        if matches!(self.state, State::Paused { .. }) {
            self.failed = 0;
            self.restarted = None;
            self.failing = false;
            self.state = State::Held;
        }
    }
}

fn watch(rules: &Rules, now: Duration) -> Watch {
    let limits = Limits {
        stall: rules.stall,
        max: None,
        sample: rules.sample,
        wait: rules.wait,
    };
    Watch::new(limits, now)
}

#[cfg(test)]
pub(crate) mod tests;
