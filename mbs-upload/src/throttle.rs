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
mod tests {
    use super::*;

    /// A server as a function of the number in flight, measured so many times.
    fn run(
        throttle: &mut Throttle,
        times: usize,
        server: impl Fn(usize, usize) -> Sample,
    ) -> Vec<usize> {
        (0..times)
            .map(|i| {
                let now = throttle.now();
                throttle.decide(&server(now, i));
                now
            })
            .collect()
    }

    fn alive(rate: f64, number: usize) -> Sample {
        Sample {
            rate,
            latency: number as f64 / rate,
            ..Sample::default()
        }
    }

    /// One file a second for each in flight, up to `k` of them.
    fn saturating(k: usize) -> impl Fn(usize, usize) -> Sample {
        move |number, _| alive(number.min(k) as f64, number)
    }

    fn part_at(numbers: &[usize], at: impl Fn(usize) -> bool) -> f64 {
        numbers.iter().filter(|&&number| at(number)).count() as f64 / numbers.len() as f64
    }

    #[test]
    fn a_server_that_saturates_is_given_just_enough() {
        for k in 1..=8 {
            let mut throttle = Throttle::new(1, 8);
            let numbers = run(&mut throttle, 200, saturating(k));
            let late = &numbers[20..];
            assert!(
                part_at(late, |number| number == k) > 0.8,
                "{k}: {numbers:?}"
            );
        }
    }

    #[test]
    fn a_server_that_collapses_beyond_a_number_is_kept_below_it() {
        let server = |number: usize, _| match number > 5 {
            true => Sample {
                failures: 3,
                ..alive(0.5, number)
            },
            false => alive(number as f64, number),
        };
        let mut throttle = Throttle::new(1, 16);
        let numbers = run(&mut throttle, 300, server);
        assert!(
            part_at(&numbers[20..], |number| number > 5) < 0.05,
            "{numbers:?}"
        );
        assert!(
            part_at(&numbers[20..], |number| (3..=5).contains(&number)) > 0.9,
            "{numbers:?}"
        );
    }

    #[test]
    fn noise_does_not_lead_astray() {
        for seed in 1..=20_u64 {
            // A rate that is off by up to a quarter either way.
            let noise = |i: usize| {
                let mixed = (i as u64 + 1)
                    .wrapping_mul(seed)
                    .wrapping_mul(0x9E37_79B9_7F4A_7C15);
                0.75 + 0.5 * (mixed >> 40) as f64 / (1_u64 << 24) as f64
            };
            let server = |number: usize, i| alive(number.min(4) as f64 * noise(i), number);
            let mut throttle = Throttle::new(1, 8);
            let numbers = run(&mut throttle, 400, server);
            let late = &numbers[100..];
            let worth: f64 = late.iter().map(|&number| number.min(4) as f64 / 4.0).sum();
            assert!(worth / late.len() as f64 > 0.75, "{seed}: {numbers:?}");
        }
    }

    #[test]
    fn a_server_that_gets_faster_is_noticed() {
        let mut throttle = Throttle::new(1, 8);
        run(&mut throttle, 60, saturating(2));
        let numbers = run(&mut throttle, 400, saturating(6));
        assert!(
            part_at(&numbers[300..], |number| number >= 5) > 0.8,
            "{numbers:?}"
        );
    }

    #[test]
    fn signs_of_distress_are_given_way_to_at_once() {
        let settled = || {
            let mut throttle = Throttle::new(2, 8);
            run(&mut throttle, 10, saturating(8));
            assert_eq!(throttle.now(), 8);
            throttle
        };
        let fine = alive(8.0, 8);
        let decide = |sample: Sample| settled().decide(&sample);
        assert_eq!(decide(fine), 8);
        assert_eq!(
            decide(Sample {
                failures: 1,
                ..fine
            }),
            7
        );
        assert_eq!(
            decide(Sample {
                failures: 9,
                ..fine
            }),
            5
        );
        assert_eq!(
            decide(Sample {
                latency: 2.5,
                ..fine
            }),
            7
        );
        assert_eq!(
            decide(Sample {
                disk: Some(45.0),
                ..fine
            }),
            7
        );
        assert_eq!(
            decide(Sample {
                disk: Some(5.0),
                ..fine
            }),
            8
        );
        let mut throttle = settled();
        let bad = Sample {
            failures: 9,
            ..fine
        };
        let numbers = run(&mut throttle, 5, |_, _| bad);
        assert_eq!((numbers[4], throttle.now()), (2, 2));
    }

    #[test]
    fn a_warm_disk_is_not_given_more() {
        let mut throttle = Throttle::new(1, 8);
        let warm = |number, i| Sample {
            disk: Some(25.0),
            ..saturating(8)(number, i)
        };
        assert!(
            run(&mut throttle, 50, warm)
                .iter()
                .all(|&number| number <= 2)
        );
    }

    #[test]
    fn bounds_are_kept() {
        assert_eq!(Throttle::new(3, 3).now(), 3);
        let mut one = Throttle::new(1, 1);
        assert!(
            run(&mut one, 50, saturating(8))
                .iter()
                .all(|&number| number == 1)
        );
        let bad = Sample {
            failures: 2,
            ..Sample::default()
        };
        assert_eq!(one.decide(&bad), 1);
        let mut throttle = Throttle::new(3, 5);
        assert!(
            run(&mut throttle, 200, saturating(1))
                .iter()
                .all(|&n| (3..=5).contains(&n))
        );
    }

    #[test]
    fn pressure_is_read_as_linux_writes_it() {
        let text = "some avg10=3.51 avg60=2.00 avg300=2.27 total=4703\nfull avg10=1.25 avg60=0.12 avg300=0.10 total=1\n";
        assert_eq!(disk_pressure(text), Some(1.25));
        assert_eq!(disk_pressure(""), None);
        assert_eq!(disk_pressure("full avg10=x"), None);
    }
}
