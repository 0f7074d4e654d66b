//! Waiting for a condition with a deadline, never for a fixed time.

use std::time::{Duration, Instant};

/// Asks `condition` until it gives a value.
///
/// # Panics
/// When it has not after `deadline`; the message names what was waited for.
pub fn wait_for<T>(what: &str, deadline: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(
            start.elapsed() < deadline,
            "{what}: not within {deadline:?}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}
