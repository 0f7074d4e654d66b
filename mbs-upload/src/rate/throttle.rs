//! How many files to have in flight: the number that gives the best rate on this server. Pure: what
//! was measured goes in, the number comes out.
//!
//! It climbs while one more makes the rate better by a margin, then holds, and now and then tries a
//! neighbour again, since servers change. What tells of a server with too much to do, it gives way to
//! at once: failures, answers that take much longer than they did, a disk that all wait for.

/// A rate must be better by so much to be worth one more in flight.
const BETTER: f64 = 1.05;
/// One fewer in flight is taken when it costs no more than this.
const AS_GOOD: f64 = 0.97;
/// Files take so many times as long as they did with as many in flight: the server suffers.
const SLOWER: f64 = 2.0;
/// Percent of the time in which all work stood still for a disk.
const DISK_BUSY: f64 = 40.0;
/// From here on nothing is added.
const DISK_WARM: f64 = 20.0;
/// Measurements between two tries of a neighbour, at first and at most.
const HOLD: u32 = 4;
const LONGEST_HOLD: u32 = 64;
/// Measurements for which a number that failed is not tried again, at first and at most.
const BARRED: u32 = 16;
const LONGEST_BARRED: u32 = 256;

/// What was measured since the number was last changed or measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Files that ended a second.
    pub rate: f64,
    /// Seconds that one took, on the average.
    pub latency: f64,
    /// Tries that failed because the server could not cope: 5xx, a full queue, no answer.
    pub failures: u32,
    /// Percent of the last seconds in which nothing could be done for waiting on a disk; nothing
    /// where the system does not tell.
    pub disk: Option<f64>,
}

/// What is known of one number in flight.
#[derive(Clone, Copy, Debug)]
struct Level {
    rate: f64,
    latency: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Each measurement is compared with that of one fewer.
    Climb,
    /// So many measurements are left until a neighbour is tried.
    Hold(u32),
    /// A neighbour of this number is tried.
    Try { of: usize },
}

/// The number in flight and how it came about.
#[derive(Clone, Debug)]
pub struct Throttle {
    min: usize,
    max: usize,
    now: usize,
    /// By number in flight; recent measurements count most.
    levels: Vec<Option<Level>>,
    phase: Phase,
    /// How long the next hold is; it doubles when a try was in vain.
    hold: u32,
    /// The next neighbour to try is the larger one.
    up: bool,
    /// No more than these are tried for so many measurements, since more have failed.
    ceiling: usize,
    barred: u32,
    /// How long the next such time is; it doubles until as many as failed have proved good.
    next_barred: u32,
    failed: usize,
}

impl Throttle {
    /// Between `min` and `max`, both included.
    pub fn new(min: usize, max: usize) -> Throttle {
        let min = min.max(1);
        let max = max.max(min);
        Throttle {
            min,
            max,
            now: 2.clamp(min, max),
            levels: vec![None; max + 1],
            phase: Phase::Climb,
            hold: HOLD,
            up: true,
            ceiling: max,
            barred: 0,
            next_barred: BARRED,
            failed: 0,
        }
    }

    /// Files to have in flight.
    pub fn now(&self) -> usize {
        self.now
    }

    /// Takes a measurement made with [`Throttle::now`] in flight and decides anew.
    pub fn decide(&mut self, sample: &Sample) -> usize {
        self.barred = self.barred.saturating_sub(1);
        if self.barred == 0 {
            self.ceiling = self.max;
        }
        if sample.failures > 0 {
            self.ceiling = (self.now - 1).max(self.min);
            self.failed = self.now;
            self.barred = self.next_barred;
            self.next_barred = (self.next_barred * 2).min(LONGEST_BARRED);
            self.give_way(if sample.failures > 1 {
                self.now * 2 / 3
            } else {
                self.now - 1
            });
            return self.now;
        }
        let known = self.levels[self.now];
        if sample.disk.is_some_and(|percent| percent >= DISK_BUSY)
            || known.is_some_and(|known| sample.latency > SLOWER * known.latency)
        {
            // The new state of things: measured again, it is no reason to go on falling.
            self.learn(sample);
            self.give_way(self.now - 1);
            return self.now;
        }
        self.learn(sample);
        let warm = sample.disk.is_some_and(|percent| percent >= DISK_WARM);
        match self.phase {
            Phase::Climb => self.climb(warm),
            Phase::Hold(0) => self.try_neighbour(warm),
            Phase::Hold(left) => self.phase = Phase::Hold(left - 1),
            Phase::Try { of } => self.judge(of, warm),
        }
        self.now
    }

    fn climb(&mut self, warm: bool) {
        let worth = match self.rate(self.now - 1) {
            Some(fewer) if self.now > self.min => self.rate_now() > BETTER * fewer,
            _ => true,
        };
        if !worth {
            self.now -= 1;
            self.phase = Phase::Hold(self.hold);
        } else if self.now < self.ceiling && !warm {
            self.now += 1;
        } else {
            self.phase = Phase::Hold(self.hold);
        }
    }

    fn try_neighbour(&mut self, warm: bool) {
        let of = self.now;
        let (more, fewer) = (of < self.ceiling && !warm, of > self.min);
        let up = more && (self.up || !fewer);
        if up {
            self.now += 1;
        } else if fewer {
            self.now -= 1;
        }
        self.up = !up;
        self.phase = match self.now == of {
            true => Phase::Hold(self.hold),
            false => Phase::Try { of },
        };
    }

    fn judge(&mut self, of: usize, warm: bool) {
        let known = self.rate(of).unwrap_or_default();
        let worth = match self.now > of {
            true => self.rate_now() > BETTER * known,
            false => self.rate_now() >= AS_GOOD * known,
        };
        if worth {
            self.hold = HOLD;
            self.phase = Phase::Hold(self.hold);
            if self.now > of {
                if self.now >= self.failed {
                    self.next_barred = BARRED;
                }
                self.phase = Phase::Climb;
                self.climb(warm);
            }
        } else {
            self.now = of;
            self.hold = (self.hold * 2).min(LONGEST_HOLD);
            self.phase = Phase::Hold(self.hold);
        }
    }

    fn give_way(&mut self, to: usize) {
        // A failed try of one more counts as in vain.
        self.hold = match self.phase {
            Phase::Try { .. } => (self.hold * 2).min(LONGEST_HOLD),
            _ => self.hold.max(2 * HOLD),
        };
        self.now = to.clamp(self.min, self.max);
        self.up = true;
        self.phase = Phase::Hold(self.hold);
    }

    fn learn(&mut self, sample: &Sample) {
        let level = &mut self.levels[self.now];
        let mix = |old: f64, new: f64| 0.5 * old + 0.5 * new;
        *level = Some(match *level {
            Some(old) => Level {
                rate: mix(old.rate, sample.rate),
                latency: mix(old.latency, sample.latency),
            },
            None => Level {
                rate: sample.rate,
                latency: sample.latency,
            },
        });
    }

    fn rate(&self, number: usize) -> Option<f64> {
        self.levels
            .get(number)
            .copied()
            .flatten()
            .map(|level| level.rate)
    }

    fn rate_now(&self) -> f64 {
        self.rate(self.now).unwrap_or_default()
    }
}

/// Percent of the last ten seconds in which all waited for a disk, as Linux tells it in
/// `/proc/pressure/io`.
pub fn disk_pressure(text: &str) -> Option<f64> {
    let full = text.lines().find_map(|line| line.strip_prefix("full "))?;
    let average = full
        .split_whitespace()
        .find_map(|word| word.strip_prefix("avg10="))?;
    average.parse().ok()
}

#[cfg(test)]
mod tests;
