//! How long the server has been away, and when it is asked next. Pure: times are given.

use std::time::{Duration, Instant};

use crate::retry::attempt::Policy;

/// The two parts of a server, which may be away each by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The REST API, and the database behind it.
    Api,
    /// The task engine.
    Engine,
}

/// What to do after a try that found nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Try again after `pause`; where `tell` is there, say that the server is away and will be
    /// waited for so long.
    Wait {
        /// Until the next try.
        pause: Duration,
        /// The whole time that it may be away.
        tell: Option<Duration>,
    },
    /// It has been away for so long: too long.
    GiveUp(Duration),
}

/// A server that comes back is noticed within this.
const LONGEST: Duration = Duration::from_secs(60);

/// The absence of a server; it lasts while one of its parts is away. Each part has a time of its own
/// to come back in.
#[derive(Clone, Debug)]
pub struct Absence {
    limit: Duration,
    policy: Policy,
    parts: [Away; 2],
    /// Since when one part or the other was away.
    since: Option<Instant>,
    reported: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Away {
    since: Option<Instant>,
    /// Tries in a row that found nobody.
    tries: u32,
}

impl Absence {
    /// A server that is there and may be away for `limit`.
    pub fn new(limit: Duration, policy: Policy) -> Absence {
        Absence {
            limit,
            policy,
            parts: Default::default(),
            since: None,
            reported: false,
        }
    }

    /// A try to reach `part` has failed.
    pub fn missed(&mut self, part: Part, now: Instant, chance: u64) -> Next {
        self.since.get_or_insert(now);
        let part = &mut self.parts[part as usize];
        let away = now.saturating_duration_since(*part.since.get_or_insert(now));
        let left = self.limit.saturating_sub(away);
        if left.is_zero() {
            return Next::GiveUp(away);
        }
        part.tries += 1;
        let pause = self.policy.pause(part.tries, chance);
        let pause = pause.min(LONGEST).min(left);
        // One lost connection is no news.
        let tell = (part.tries > 1 && !self.reported).then_some(self.limit);
        self.reported |= tell.is_some();
        Next::Wait { pause, tell }
    }

    /// How long the server may be away.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// `part` has answered. Gives how long the server was away, if that was told and is over now.
    pub fn heard(&mut self, part: Part, now: Instant) -> Option<Duration> {
        self.parts[part as usize] = Away::default();
        if self.parts.iter().any(|part| part.since.is_some()) {
            return None;
        }
        let since = self.since.take()?;
        std::mem::take(&mut self.reported).then(|| now.saturating_duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDDLE: u64 = 511;

    fn absence(limit: u64) -> Absence {
        let policy = Policy {
            retries: 3,
            wait: Duration::from_secs(2),
            longest: LONGEST,
        };
        Absence::new(Duration::from_secs(limit), policy)
    }

    #[test]
    fn pauses_grow_to_a_minute_and_end_with_the_time() {
        let (mut absence, mut now) = (absence(600), Instant::now());
        let start = now;
        let mut pauses = Vec::new();
        let end = loop {
            match absence.missed(Part::Api, now, MIDDLE) {
                Next::Wait { pause, tell } => {
                    assert_eq!(tell.is_some(), pauses.len() == 1);
                    pauses.push(pause.as_secs_f64().round());
                    now += pause;
                }
                Next::GiveUp(after) => break after,
            }
        };
        assert_eq!(pauses[..6], [2., 4., 8., 16., 32., 60.]);
        assert!(pauses.len() < 18, "{pauses:?}");
        assert_eq!((end, now - start), (Duration::from_secs(600), end));
    }

    #[test]
    fn it_is_over_when_both_parts_answer() {
        let (mut absence, start) = (absence(600), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for second in [0, 2] {
            absence.missed(Part::Engine, at(second), MIDDLE);
            absence.missed(Part::Api, at(second), MIDDLE);
        }
        assert_eq!(absence.heard(Part::Api, at(10)), None);
        let whole = Some(Duration::from_secs(20));
        assert_eq!(absence.heard(Part::Engine, at(20)), whole);
        // The next one is one of its own.
        assert_eq!(absence.heard(Part::Engine, at(21)), None);
        assert!(matches!(
            absence.missed(Part::Api, at(5000), MIDDLE),
            Next::Wait { tell: None, .. }
        ));
    }

    #[test]
    fn one_part_s_absence_takes_no_time_from_the_other_s() {
        let (mut absence, start) = (absence(600), Instant::now());
        absence.missed(Part::Engine, start, MIDDLE);
        let hour = start + Duration::from_secs(3600);
        let next = absence.missed(Part::Api, hour, MIDDLE);
        assert!(matches!(next, Next::Wait { tell: None, .. }), "{next:?}");
        let next = absence.missed(Part::Engine, hour, MIDDLE);
        assert_eq!(next, Next::GiveUp(Duration::from_secs(3600)));
    }

    #[test]
    fn a_moment_is_not_told() {
        let (mut absence, start) = (absence(600), Instant::now());
        absence.missed(Part::Engine, start, MIDDLE);
        assert_eq!(absence.heard(Part::Engine, start), None);
    }
}
