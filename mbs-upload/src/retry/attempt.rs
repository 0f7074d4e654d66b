//! When a failed step is tried again. [`Policy`] is pure: no clock, no I/O, chance is given.

use std::{hash::BuildHasher, time::Duration};

use crate::model::failure::Failure;

/// How often and how long.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Tries after the first one.
    pub retries: u32,
    /// The wait before the first of them; it doubles each time.
    pub wait: Duration,
    /// No server is waited for longer than this, whatever its Retry-After says.
    pub longest: Duration,
}

/// What to do after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Try again after this time.
    Wait(Duration),
    /// It will not get better.
    GiveUp,
}

/// No server is waited for longer than this, whatever its Retry-After says.
const LONGEST: Duration = Duration::from_secs(300);

/// However short the waits are, an answer needs this long on a busy machine.
const SHORTEST: Duration = Duration::from_secs(1);

impl Policy {
    /// What to do after the `failed`-th failure in a row of one step (1 for the first).
    pub fn next(&self, failure: &Failure, failed: u32, chance: u64) -> Next {
        if !failure.may_pass() || failed > self.retries {
            return Next::GiveUp;
        }
        let pause = self.pause(failed, chance);
        Next::Wait(match failure {
            Failure::Busy {
                after: Some(after), ..
            } => (*after).min(self.longest.min(LONGEST)).max(pause),
            _ => pause,
        })
    }

    /// The wait after the `failed`-th failure: doubled each time, then moved by up to a fifth either
    /// way, so that clients that failed together do not come back together.
    pub fn pause(&self, failed: u32, chance: u64) -> Duration {
        let doubled = self
            .wait
            .saturating_mul(1 << failed.saturating_sub(1).min(8));
        doubled
            .min(LONGEST)
            .mul_f64(0.8 + 0.4 * (chance % 1024) as f64 / 1023.0)
    }

    /// How long an answer may fail to come that should come at once.
    pub fn confirm_within(&self) -> Duration {
        self.wait.saturating_mul(5).max(SHORTEST)
    }
}

/// Asks again while it may help, as long as nothing depends on what became of the earlier tries.
///
/// # Errors
/// The last failure.
pub fn with_retries<T>(
    policy: Policy,
    mut ask: impl FnMut() -> Result<T, Failure>,
) -> Result<T, Failure> {
    for failed in 1.. {
        let failure = match ask() {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        let Next::Wait(pause) = policy.next(&failure, failed, chance()) else {
            return Err(failure);
        };
        let _waiting = wire::waiting::announce(&failure.to_string(), pause);
        if wire::stop::sleep(pause) {
            return Err(failure);
        }
    }
    unreachable!("the policy gives up in the end")
}

/// A number that nobody can foretell: std's own seed, which is random in each process and differs
/// with each call.
pub fn chance() -> u64 {
    std::hash::RandomState::new().hash_one(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy {
        retries: 3,
        wait: Duration::from_secs(2),
        longest: LONGEST,
    };

    #[test]
    fn waits_double_and_end() {
        let failure = Failure::Server("x".into());
        let next = |failed| POLICY.next(&failure, failed, 511);
        let Next::Wait(first) = next(1) else { panic!() };
        let Next::Wait(third) = next(3) else { panic!() };
        assert!((1.9..2.1).contains(&first.as_secs_f64()), "{first:?}");
        assert!((7.6..8.4).contains(&third.as_secs_f64()), "{third:?}");
        assert_eq!(next(4), Next::GiveUp);
        for chance in [0, 1023, u64::MAX] {
            let pause = POLICY.pause(1, chance).as_secs_f64();
            assert!((1.59..2.41).contains(&pause), "{pause}");
        }
    }

    #[test]
    fn the_server_s_own_wish_counts_within_reason() {
        let busy = |seconds| Failure::Busy {
            after: Some(Duration::from_secs(seconds)),
            message: String::new(),
        };
        assert_eq!(
            POLICY.next(&busy(60), 1, 0),
            Next::Wait(Duration::from_secs(60))
        );
        assert_eq!(POLICY.next(&busy(9999), 1, 0), Next::Wait(LONGEST));
        let short = Policy {
            longest: Duration::from_secs(10),
            ..POLICY
        };
        assert_eq!(
            short.next(&busy(60), 1, 0),
            Next::Wait(Duration::from_secs(10))
        );
    }

    #[test]
    fn what_cannot_pass_is_not_tried_again() {
        for failure in [
            Failure::Refused("400".into()),
            Failure::NotFound("404".into()),
        ] {
            assert_eq!(POLICY.next(&failure, 1, 0), Next::GiveUp);
        }
    }
}
