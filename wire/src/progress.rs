//! How far a tool is, for the person who waits and for the watchdog.
//!
//! On a terminal a bar; with `--progress=plain` a line every 30 s; else silence but for a line at each
//! SIGUSR1. Where
//! `STALL_PROGRESS_FD` names a descriptor, one line a unit is written to it, `work` or `discovery`,
//! so that a watchdog believes units rather than guess from output; a deliberate wait is
//! announced there, too ([`waiting`](crate::waiting)).

use std::{
    fs::{File, OpenOptions},
    io::{IsTerminal, Write},
    os::unix::fs::OpenOptionsExt,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{stop, waiting::Announcer};

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// A bar on a terminal, nothing elsewhere
    #[default]
    Auto,
    /// A line every 30 seconds
    Plain,
    /// Nothing
    None,
}

/// What a step forward was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// An item was done.
    Work,
    /// An item was looked at and needs no work.
    Discovery,
}

const PLAIN_EVERY: Duration = Duration::from_secs(30);

/// The progress of one run; every method may be called from any thread.
pub struct Progress {
    bar: ProgressBar,
    plain: Option<Mutex<Instant>>,
    started: Instant,
    done: AtomicU64,
    status: Mutex<Option<Status>>,
    watchdog: Option<Watchdog>,
}

/// What the tool said of its progress last.
struct Status {
    total: Option<u64>,
    words: String,
}

struct Watchdog {
    descriptor: Mutex<(File, Announcer)>,
    work: AtomicU64,
    discovery: AtomicU64,
}

impl Progress {
    /// Shows progress as `mode` says, where there is somebody to see it.
    pub fn new(mode: Mode, quiet: bool) -> Progress {
        // Records and a bar on one terminal would tear each other.
        let terminal = std::io::stderr().is_terminal() && !std::io::stdout().is_terminal();
        let bar = if mode == Mode::Auto && !quiet && terminal {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
            bar.set_style(style(
                "{spinner} {human_pos} done, {per_sec}, {elapsed} {msg}",
            ));
            bar
        } else {
            ProgressBar::hidden()
        };
        Progress {
            bar,
            plain: (mode == Mode::Plain && !quiet).then(|| Mutex::new(Instant::now())),
            started: Instant::now(),
            done: AtomicU64::new(0),
            status: Mutex::default(),
            watchdog: watchdog(),
        }
    }

    /// How many items there will be; from then on there is an ETA.
    pub fn expect(&self, total: u64) {
        self.bar.set_style(style(
            "{wide_bar} {human_pos}/{human_len}, {per_sec}, ETA {eta} {msg}",
        ));
        self.bar.set_length(total);
    }

    /// What a tool knows better than a count can tell: its own words, rate and ETA among them, and
    /// how many items there will be, as far as it knows by now. Shown instead of a plain rate and ETA.
    pub fn set_status(&self, total: Option<u64>, words: String) {
        if let Ok(mut status) = self.status.lock() {
            let template = match total {
                Some(_) => "{wide_bar} {human_pos}/{human_len}, {msg}",
                None => "{spinner} {human_pos} done, {elapsed}, {msg}",
            };
            if status
                .as_ref()
                .is_none_or(|status| status.total.is_some() != total.is_some())
            {
                self.bar.set_style(style(template));
            }
            if let Some(total) = total {
                self.bar
                    .set_length(total.max(self.done.load(Ordering::Relaxed)));
            }
            self.bar.set_message(words.clone());
            *status = Some(Status { total, words });
        }
    }

    /// One item further.
    pub fn step(&self, unit: Unit) {
        self.done.fetch_add(1, Ordering::Relaxed);
        if let Some(watchdog) = &self.watchdog {
            let counter = match unit {
                Unit::Work => &watchdog.work,
                Unit::Discovery => &watchdog.discovery,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Called some ten times a second while the tool is at work: draws, and tells the watchdog.
    pub(crate) fn tick(&self, tool: &str) {
        let done = self.done.load(Ordering::Relaxed);
        self.bar.set_position(done);
        if stop::progress_wanted() {
            self.line(&self.plain_line(tool, done));
        }
        if let Some(last) = &self.plain
            && let Ok(mut last) = last.lock()
            && last.elapsed() >= PLAIN_EVERY
        {
            *last = Instant::now();
            self.line(&self.plain_line(tool, done));
        }
        if let Some(watchdog) = &self.watchdog {
            watchdog.tell();
        }
    }

    fn plain_line(&self, tool: &str, done: u64) -> String {
        let of = |total: Option<u64>| total.map_or(String::new(), |total| format!(" of {total}"));
        if let Ok(status) = self.status.lock()
            && let Some(status) = status.as_ref()
        {
            return format!("{tool}: {done}{} done, {}", of(status.total), status.words);
        }
        let total = self.bar.length();
        let seconds = self.started.elapsed().as_secs_f64();
        let eta = total.filter(|_| done > 0).map_or(String::new(), |total| {
            let left = total.saturating_sub(done) as f64 * seconds / done as f64;
            let left = indicatif::HumanDuration(Duration::from_secs_f64(left));
            format!(", ETA {left}")
        });
        let rate = done as f64 / seconds;
        format!("{tool}: {done}{} done, {rate:.1}/s{eta}", of(total))
    }

    /// Takes the bar away while `ask` talks to the terminal itself; it must not come back here.
    pub fn suspend<T>(&self, ask: impl FnOnce() -> T) -> T {
        self.bar.suspend(ask)
    }

    /// A line on standard error, above the bar where there is one.
    pub(crate) fn line(&self, text: &str) {
        self.bar.suspend(|| {
            // Nobody is left to be told when standard error is closed.
            let _ = writeln!(std::io::stderr(), "{text}");
        });
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self, tool: &str) {
        self.tick(tool);
        self.bar.finish_and_clear();
    }
}

impl Watchdog {
    fn tell(&self) {
        let units = [(&self.work, "work\n"), (&self.discovery, "discovery\n")];
        let text: String = units
            .map(|(count, word)| word.repeat(count.swap(0, Ordering::Relaxed) as usize))
            .concat();
        if let Ok(mut to) = self.descriptor.lock() {
            let waits = to.1.line().unwrap_or_default();
            // A watchdog that does not read must not stop the work it watches.
            let _ = to.0.write_all((text + &waits).as_bytes());
        }
    }
}

fn watchdog() -> Option<Watchdog> {
    let number: u32 = std::env::var("STALL_PROGRESS_FD").ok()?.parse().ok()?;
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let descriptor = OpenOptions::new()
        .append(true)
        .custom_flags(nonblocking)
        .open(format!("/dev/fd/{number}"))
        .ok()?;
    Some(Watchdog {
        descriptor: Mutex::new((descriptor, Announcer::default())),
        work: AtomicU64::new(0),
        discovery: AtomicU64::new(0),
    })
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tool_tells_itself_comes_before_a_plain_rate() {
        let progress = Progress::new(Mode::None, true);
        assert!(progress.plain_line("t", 5).starts_with("t: 5 done, "));
        progress.set_status(None, "3 MB sent".into());
        assert_eq!(progress.plain_line("t", 5), "t: 5 done, 3 MB sent");
        progress.set_status(Some(9), "ETA 2 s to 3 s".into());
        assert_eq!(
            progress.plain_line("t", 5),
            "t: 5 of 9 done, ETA 2 s to 3 s"
        );
    }
}
