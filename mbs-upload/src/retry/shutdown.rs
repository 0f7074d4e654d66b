//! Shutdown after a signal: what is under way has a grace to finish in. Then whoever waits is woken,
//! and nothing more is asked of the server.

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// What is said of a step that was cut short.
pub const STOPPED: &str = "stopped by a signal";

/// Time to say how it ended, for those that were woken; a thread may sit where nobody can wake it.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Shared by all who wait; its descriptor can be read once it has been requested.
#[derive(Clone, Debug)]
pub struct Shutdown(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    woken: UnixStream,
    wake: Mutex<Option<UnixStream>>,
    requested: AtomicBool,
    under_way: AtomicBool,
}

impl Shutdown {
    /// One that nobody has requested.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn new() -> io::Result<Shutdown> {
        let (woken, wake) = UnixStream::pair()?;
        Ok(Shutdown(Arc::new(Inner {
            woken,
            wake: Some(wake).into(),
            requested: AtomicBool::new(false),
            under_way: AtomicBool::new(false),
        })))
    }

    /// Pulls it `grace` after a signal, or at once when nothing is under way by then. Should the
    /// process still be there some seconds later, it dies by the signal without another word.
    ///
    /// # Errors
    /// The thread cannot be made.
    pub fn after_signal(&self, grace: Duration) -> io::Result<()> {
        let shutdown = self.clone();
        let watch = move || {
            while !wire::stop::sleep(Duration::from_secs(3600)) {}
            if shutdown.0.under_way.load(Ordering::Relaxed) {
                thread::sleep(grace);
            }
            shutdown.request();
            thread::sleep(LAST_WORDS);
            wire::stop::die_if_requested();
        };
        let thread = thread::Builder::new().name("grace".into());
        thread.spawn(watch).map(drop)
    }

    /// From now on there is something that deserves the grace.
    pub fn begin(&self) {
        self.0.under_way.store(true, Ordering::Relaxed);
    }

    /// Wakes all who wait.
    pub fn request(&self) {
        self.0.requested.store(true, Ordering::Relaxed);
        // Closing one end makes the other one readable for good.
        *self.0.wake.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Is it over?
    pub fn requested(&self) -> bool {
        self.0.requested.load(Ordering::Relaxed)
    }

    /// Sleeps, unless it is over. Says whether it is.
    pub fn sleep(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        while !self.requested() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let limit = Timespec {
                tv_sec: left.as_secs() as i64,
                tv_nsec: i64::from(left.subsec_nanos()),
            };
            // An interruption only makes us look around once more.
            let _ = poll(&mut [PollFd::new(self, PollFlags::IN)], Some(&limit));
        }
        true
    }
}

impl AsFd for Shutdown {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.woken.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_who_sleep_are_woken() {
        let shutdown = Shutdown::new().unwrap();
        assert!(!shutdown.sleep(Duration::from_millis(1)));
        let sleep = || shutdown.sleep(Duration::from_secs(600));
        thread::scope(|scope| {
            let sleepers: Vec<_> = (0..3).map(|_| scope.spawn(sleep)).collect();
            shutdown.request();
            assert!(sleepers.into_iter().all(|sleeper| sleeper.join().unwrap()));
        });
        assert!(shutdown.requested());
    }
}
