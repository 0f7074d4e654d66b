//! Figures over the last interval.

use std::time::Duration;

use stall_watch::{
    disk::Machine,
    load::{Figures, Reading},
};

/// Takes readings, and compares them.
#[derive(Debug)]
pub(crate) struct LoadSampler {
    machine: Machine,
    pub(crate) disks: Vec<String>,
    interval: Duration,
    earlier: (Duration, Reading),
    last: (Duration, Reading),
    /// Over the interval before the last look.
    pub(crate) figures: Figures,
}

impl LoadSampler {
    pub(crate) fn new(
        machine: Machine,
        disks: Vec<String>,
        interval: Duration,
        now: Duration,
    ) -> LoadSampler {
        let first = (now, Reading::take(&machine, &disks, now));
        LoadSampler {
            machine,
            disks,
            interval,
            earlier: first.clone(),
            last: first,
            figures: Figures::default(),
        }
    }

    /// Is it time for the next look?
    pub(crate) fn is_due(&self, now: Duration) -> bool {
        now.saturating_sub(self.last.0) >= self.interval
    }

    /// The figures since the last look.
    pub(crate) fn look(&mut self, now: Duration) -> Figures {
        let reading = Reading::take(&self.machine, &self.disks, now);
        self.figures = reading.since(&self.last.1);
        self.earlier = std::mem::replace(&mut self.last, (now, reading));
        self.figures
    }

    /// The figures of this moment, over half an interval at least as soon as there was one.
    pub(crate) fn now(&self, now: Duration) -> Figures {
        let long = now.saturating_sub(self.last.0) >= self.interval / 2;
        let since = match long {
            true => &self.last,
            false => &self.earlier,
        };
        Reading::take(&self.machine, &self.disks, now).since(&since.1)
    }
}
