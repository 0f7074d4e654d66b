//! The pool's clock.

use std::time::{Duration, Instant, SystemTime};

/// A clock that counts from 1970 and never goes back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    base: Duration,
    begun: Instant,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        let base = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Clock {
            base: base.unwrap_or_default(),
            begun: Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.base + self.begun.elapsed()
    }
}
