//! Waiting on purpose: for a server that is away, for somebody's lock, for the next interval. Whoever
//! watches us would take it for standing still, so it is told, with what is waited for and how long that
//! may take: a line `waiting SECONDS WHAT` on the descriptor of `STALL_PROGRESS_FD`, again and again while
//! it lasts, and `waiting 0` at its end.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// So often it is said again: what another process of the same pipeline says in between counts as well.
const AGAIN: Duration = Duration::from_millis(500);
/// A line goes into a pipe as one piece, and is to be read by a person.
const LONGEST: usize = 150;

static WAITS: Mutex<Vec<Wait>> = Mutex::new(Vec::new());

#[derive(Clone, Debug)]
struct Wait {
    until: Instant,
    what: String,
    number: u64,
}

/// It is waited until this is dropped.
#[derive(Debug)]
#[must_use = "the waiting is over when this is dropped"]
pub struct Waiting(u64);

/// From now on it is waited for `what`, for so long at most. Any thread may say so.
pub fn announce(what: &str, most: Duration) -> Waiting {
    // Nobody waits for a year; a clock has an end.
    let until = Instant::now() + most.min(Duration::from_secs(365 * 86_400));
    let what = what.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut waits = waits();
    let number = waits.last().map_or(0, |last| last.number + 1);
    waits.push(Wait {
        until,
        what: what.take(LONGEST).collect(),
        number,
    });
    Waiting(number)
}

impl Drop for Waiting {
    fn drop(&mut self) {
        waits().retain(|wait| wait.number != self.0);
    }
}

fn waits() -> MutexGuard<'static, Vec<Wait>> {
    WAITS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is said now and again of the waits of this process.
#[derive(Debug, Default)]
pub(crate) struct Announcer {
    told: Option<Instant>,
}

impl Announcer {
    /// The line that is due now. The longest of several waits is told.
    pub(crate) fn line(&mut self) -> Option<String> {
        let longest = waits().iter().max_by_key(|wait| wait.until).cloned();
        self.due(longest.as_ref(), Instant::now())
    }

    fn due(&mut self, longest: Option<&Wait>, now: Instant) -> Option<String> {
        let Some(wait) = longest else {
            return self.told.take().map(|_| "waiting 0\n".into());
        };
        if self.told.is_some_and(|told| now < told + AGAIN) {
            return None;
        }
        self.told = Some(now);
        let left = wait.until.saturating_duration_since(now).as_secs_f64();
        Some(format!("waiting {left:.1} {}\n", wait.what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_again_and_again_and_its_end_once() {
        let mut announcer = Announcer::default();
        let now = Instant::now();
        let wait = Wait {
            until: now + Duration::from_secs(60),
            what: "the network".into(),
            number: 0,
        };
        assert_eq!(announcer.due(None, now), None);
        let line = announcer.due(Some(&wait), now).unwrap();
        assert_eq!(line, "waiting 60.0 the network\n");
        assert_eq!(announcer.due(Some(&wait), now + AGAIN / 2), None);
        let line = announcer.due(Some(&wait), now + AGAIN).unwrap();
        assert_eq!(line, "waiting 59.5 the network\n");
        assert_eq!(announcer.due(None, now + AGAIN).unwrap(), "waiting 0\n");
        assert_eq!(announcer.due(None, now + AGAIN), None);
    }

    #[test]
    fn of_several_waits_the_longest_is_told_as_long_as_it_lasts() {
        let told = || Announcer::default().line();
        let long = announce("a server\nfar away", Duration::MAX);
        let short = announce("a lock", Duration::from_secs(1));
        assert!(told().unwrap().ends_with(" a server far away\n"));
        drop(long);
        assert!(told().unwrap().ends_with(" a lock\n"));
        drop(short);
        assert_eq!(told(), None);
    }
}
