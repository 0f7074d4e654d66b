//! The figures of a run for Prometheus: OpenMetrics text in a file that is replaced as a whole.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
    sync::atomic::AtomicU64,
    time::{Duration, SystemTime},
};

use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::{
    model::outcome::{Kind, Outcome},
    rate::eta::Bracket,
};

type Label = [(&'static str, &'static str); 1];

/// Bounds of the durations' buckets in seconds: a server with nothing else to do needs one or two,
/// and after 600 an upload is given up.
const SECONDS: [f64; 10] = [0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];

/// All figures; counting is cheap and may be done from any thread.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    files: Family<Label, Counter>,
    duplicates: Family<Label, Counter>,
    durations: Family<Label, Histogram, fn() -> Histogram>,
    /// Bytes sent, failed tries included.
    pub sent: Counter,
    /// Tries after the first.
    pub retries: Counter,
    /// Files that took longer than --slow.
    pub slow: Counter,
    /// Files under way now.
    pub in_flight: Gauge,
    /// Files that may be under way at a time.
    pub jobs: Gauge,
    /// Files a second, over the last 100.
    pub rate: Gauge<f64, AtomicU64>,
    /// 1 during the run, 0 at its end.
    pub running: Gauge,
    last: Gauge<f64, AtomicU64>,
    written: Gauge<f64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let durations: fn() -> Histogram = || Histogram::new(SECONDS);
        let mut metrics = Metrics {
            registry: Registry::with_prefix("mbs_upload"),
            files: Family::default(),
            duplicates: Family::default(),
            durations: Family::new_with_constructor(durations),
            sent: Counter::default(),
            retries: Counter::default(),
            slow: Counter::default(),
            in_flight: Gauge::default(),
            jobs: Gauge::default(),
            rate: Gauge::default(),
            running: Gauge::default(),
            last: Gauge::default(),
            written: Gauge::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let started: Gauge<f64, AtomicU64> = Gauge::default();
        started.set(now());
        let r = &mut self.registry;
        r.register("files", "Files by outcome", self.files.clone());
        let help = "Files that the server had, by source";
        r.register("duplicates", help, self.duplicates.clone());
        let help = "Time of an uploaded file with its worker, by its largest size";
        r.register_with_unit("duration", help, Unit::Seconds, self.durations.clone());
        let help = "Bytes sent, failed tries included";
        r.register_with_unit("sent", help, Unit::Bytes, self.sent.clone());
        r.register("retries", "Tries after the first", self.retries.clone());
        let help = "Files that took longer than --slow";
        r.register("slow", help, self.slow.clone());
        let help = "Files under way now";
        r.register("in_flight", help, self.in_flight.clone());
        let help = "Files that may be under way at a time";
        r.register("jobs", help, self.jobs.clone());
        let help = "Files a second, over the last 100";
        r.register("rate", help, self.rate.clone());
        let help = "1 during the run, 0 after it";
        r.register("running", help, self.running.clone());
        let help = "When the run began";
        r.register_with_unit("start_time", help, Unit::Seconds, started);
        let help = "When the last file ended";
        r.register_with_unit("last_end_time", help, Unit::Seconds, self.last.clone());
        let help = "When these figures were written";
        r.register_with_unit("write_time", help, Unit::Seconds, self.written.clone());
        // What is zero is there, too: an alert cannot be made of what is absent.
        for kind in Kind::ALL {
            let _ = self.files.get_or_create(&[("outcome", kind.name())]);
        }
        for by in Outcome::BY {
            let _ = self.duplicates.get_or_create(&[("by", by)]);
        }
        for bracket in Bracket::ALL {
            let _ = self.durations.get_or_create(&[("size", bracket.name())]);
        }
    }

    /// Counts a file's end.
    pub fn ended(&self, bracket: Bracket, outcome: &Outcome, took: Duration) {
        let kind = outcome.kind;
        self.files.get_or_create(&[("outcome", kind.name())]).inc();
        if let (Kind::Duplicate, Some(by)) = (kind, outcome.by) {
            self.duplicates.get_or_create(&[("by", by)]).inc();
        }
        if kind == Kind::Uploaded {
            let durations = self.durations.get_or_create(&[("size", bracket.name())]);
            durations.observe(took.as_secs_f64());
        }
        self.retries
            .inc_by(outcome.attempts.saturating_sub(1).into());
        self.last.set(now());
    }

    /// Replaces `file`, in one step for those who read it.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        self.written.set(now());
        let mut text = String::new();
        text::encode(&mut text, &self.registry).map_err(io::Error::other)?;
        // Hidden, so that collectors of a whole folder pass it by.
        let mut name = std::ffi::OsString::from(".");
        name.push(file.file_name().ok_or(io::ErrorKind::IsADirectory)?);
        name.push(".new");
        let new = file.with_file_name(name);
        let write = || {
            File::create(&new)?.write_all(text.as_bytes())?;
            fs::rename(&new, file)
        };
        write().inspect_err(|_| drop(fs::remove_file(&new)))
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap_or_default().as_secs_f64()
}
