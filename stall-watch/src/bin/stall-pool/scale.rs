//! How many workers may run at a time. Times are given, never asked for.

use std::time::Duration;

use stall_watch::load::Figures;

/// When to change the number, and by what bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Never fewer.
    pub(crate) min: u32,
    /// Never more.
    pub(crate) max: u32,
    /// From here on a disk is saturated, in percent.
    pub(crate) disk_high: f64,
    /// Below this it is calm.
    pub(crate) disk_low: f64,
    /// From here on memory is short.
    pub(crate) mem_high: f64,
    /// Below this there is plenty.
    pub(crate) mem_low: f64,
    /// From a change to the next one down.
    pub(crate) down_cooldown: Duration,
    /// From a change to the next one up.
    pub(crate) up_cooldown: Duration,
    /// From one look to the next.
    pub(crate) interval: Duration,
    /// Are there disks to look at? Where there are, no figure of them is no decision.
    pub(crate) disks: bool,
}

/// What becomes of a worker that stalled.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// It is started again.
    Restart,
    /// Another one is given up for its sake, and it has its time again.
    ScaleDown(String),
    /// It has its time again: the disk was to blame, and something has changed since.
    Forgive(String),
}

/// The number, and how it came about.
#[derive(Clone, Debug)]
pub(crate) struct Scale {
    bounds: Bounds,
    /// As many there are to be when all is calm.
    target: u32,
    /// As many may run now.
    limit: u32,
    changed: Option<Duration>,
    /// When the disk was last seen saturated.
    saturated: Option<Duration>,
}

impl Scale {
    pub(crate) fn new(bounds: Bounds, target: u32) -> Scale {
        Scale {
            bounds,
            target,
            limit: target,
            changed: None,
            saturated: None,
        }
    }

    /// What a former pool had come to.
    pub(crate) fn resume(&mut self, target: u32, limit: u32, changed: Option<Duration>) {
        self.target = target.clamp(self.bounds.min, self.bounds.max);
        self.limit = limit.clamp(self.bounds.min, self.target);
        self.changed = changed;
    }

    pub(crate) fn target(&self) -> u32 {
        self.target
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    pub(crate) fn changed(&self) -> Option<Duration> {
        self.changed
    }

    /// Figures over the last interval, and how many workers there are that are neither done nor
    /// paused. Says why, where the number changes.
    pub(crate) fn look(&mut self, now: Duration, figures: &Figures, live: u32) -> Option<String> {
        let bounds = self.bounds;
        if self.saturation(figures).is_some() {
            self.saturated = Some(now);
        }
        if let Some(used) = figures.memory.filter(|used| *used >= bounds.mem_high) {
            return self
                .down(now, live)
                .then(|| format!("{used:.0} % of the memory is in use"));
        }
        let up = self.limit < self.target && self.is_calm(figures);
        if up && self.passed(now, bounds.up_cooldown) {
            self.limit += 1;
            self.changed = Some(now);
            return Some("disk and memory are calm".into());
        }
        None
    }

    /// A worker has stood still for `idle`.
    pub(crate) fn stalled(
        &mut self,
        now: Duration,
        figures: &Figures,
        live: u32,
        idle: Duration,
    ) -> Answer {
        let Some(busy) = self.saturation(figures) else {
            // It may have been for a while after it was last seen to be.
            let late = idle + self.bounds.interval;
            let meanwhile = |at: &Duration| now.saturating_sub(*at) <= late;
            return match self.saturated.filter(meanwhile) {
                Some(_) => Answer::Forgive("the disk was saturated meanwhile".into()),
                None => Answer::Restart,
            };
        };
        self.saturated = Some(now);
        if self.down(now, live) {
            Answer::ScaleDown(format!("the disk is {busy:.0} % busy and a worker stalled"))
        } else if self.limit < self.target && !self.passed(now, self.bounds.down_cooldown) {
            Answer::Forgive("another was given up just now".into())
        } else {
            Answer::Restart
        }
    }

    /// A person wants one less than run now. Says whether that can be.
    pub(crate) fn less(&mut self, now: Duration, live: u32) -> bool {
        let can = self.limit.min(live) > self.bounds.min;
        if can {
            self.target = self.target.min(live) - 1;
            self.limit = self.limit.min(live) - 1;
            self.changed = Some(now);
        }
        can
    }

    /// A person wants one more. Says whether that can be.
    pub(crate) fn more(&mut self, now: Duration) -> bool {
        let can = self.target < self.bounds.max;
        if can {
            self.target += 1;
            self.limit += 1;
            self.changed = Some(now);
        }
        can
    }

    fn down(&mut self, now: Duration, live: u32) -> bool {
        // A limit that nobody reaches holds nobody back.
        let running = self.limit.min(live);
        let can = running > self.bounds.min && self.passed(now, self.bounds.down_cooldown);
        if can {
            self.limit = running - 1;
            self.changed = Some(now);
        }
        can
    }

    /// Everything that is looked at must be known and low: unknown is not calm.
    fn is_calm(&self, figures: &Figures) -> bool {
        let low = |figure: Option<f64>, low: f64| figure.is_some_and(|figure| figure < low);
        let disk = !self.bounds.disks
            || (low(busy(figures), self.bounds.disk_low)
                // Many disks serve several at once: who waits tells more than who is served.
                && figures.io.is_none_or(|io| io < self.bounds.disk_low));
        disk && low(figures.memory, self.bounds.mem_low)
    }

    /// How busy a saturated disk is.
    fn saturation(&self, figures: &Figures) -> Option<f64> {
        busy(figures).filter(|busy| self.bounds.disks && *busy >= self.bounds.disk_high)
    }

    fn passed(&self, now: Duration, time: Duration) -> bool {
        self.changed
            .is_none_or(|changed| now.saturating_sub(changed) >= time)
    }
}

/// How busy the disk is; where that cannot be had, how much was waited for it.
fn busy(figures: &Figures) -> Option<f64> {
    figures.disk.or(figures.io)
}

#[cfg(test)]
pub(crate) mod tests;
