//! What is said of a run while it goes, and how often.

use std::{
    sync::{
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use bytesize::ByteSize;
use wire::Writer;

use crate::rate::{Monitor, eta};

/// Between two looks at the run.
const TICK: Duration = Duration::from_secs(1);
/// Looks between two writes of the figures.
const TICKS_A_WRITE: u32 = 5;

impl Monitor {
    /// Tells how it goes until the last worker has dropped its end of `over`.
    pub fn keep_telling(&self, over: &Receiver<()>, out: &Writer) {
        self.tell_progress(out);
        for tick in 1.. {
            if over.recv_timeout(TICK) == Err(RecvTimeoutError::Disconnected) {
                break;
            }
            self.tune(out);
            self.tell_slow(out);
            self.tell_progress(out);
            if tick % TICKS_A_WRITE == 0 {
                self.write(out);
            }
        }
        self.tell_progress(out);
    }

    /// Looks whether more or fewer should be in flight.
    fn tune(&self, out: &Writer) {
        let mut state = self.lock();
        let (strained, under_way) = (state.under_way.take_strained(), state.under_way.count());
        state.strained(strained);
        let Some(jobs) = state.auto.as_mut().and_then(|auto| auto.look(under_way)) else {
            return;
        };
        drop(state);
        self.gate.set(jobs);
        self.tell_jobs(jobs);
        out.verbose("-j auto", "tune", &format!("{jobs} files in flight"));
    }

    fn tell_slow(&self, out: &Writer) {
        let now = Instant::now();
        let Some(limit) = now.checked_sub(self.slow) else {
            return;
        };
        let slow = self.lock().under_way.slow(limit, now);
        for (shown, words) in slow {
            self.metrics.slow.inc();
            out.warn(&shown, "upload", &words);
        }
    }

    fn tell_progress(&self, out: &Writer) {
        let state = self.lock();
        let rate = state.rate.now(self.started.elapsed());
        self.metrics.rate.set(rate);
        let unread = match self.input {
            _ if state.input_ended => Some(0.0),
            Some(size) if state.bytes > 0 => {
                Some(size.saturating_sub(state.bytes) as f64 / state.bytes as f64)
            }
            _ => None,
        };
        let sent = ByteSize(self.metrics.sent.get());
        let mut words = format!("{sent} sent, {:.0}/min", 60.0 * rate);
        let workers = state.under_way.count() as f64;
        if let Some(left) = unread.and_then(|unread| state.estimator.left(unread, workers)) {
            words += &format!(", ETA {}", eta::format_range(left));
        }
        let total = unread.map(|unread| (state.files as f64 * (1.0 + unread)) as u64);
        drop(state);
        out.progress().set_status(total, words);
    }

    fn write(&self, out: &Writer) {
        if let Some(file) = &self.file
            && let Err(error) = self.metrics.write(file)
            && !self.troubled.swap(true, Ordering::Relaxed)
        {
            out.warn(
                &file.display().to_string(),
                "write the metrics",
                &error.to_string(),
            );
        }
    }
}
