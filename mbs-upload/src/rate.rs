//! How a run goes: for the person who waits, for Prometheus, and for whoever wonders about one file.
//!
//! | module | what |
//! | --- | --- |
//! | [`throughput`], [`eta`] | how fast it goes, and how long the rest will take |
//! | [`under_way`] | the files that take long |
//! | [`metrics`] | figures for Prometheus |
//! | [`jobs`] | how many files are wanted in flight |
//! | [`auto`] | the number that suits the server |
//! | [`gate`] | where the others wait |
//! | `progress` | what is said of it meanwhile |

pub mod auto;
pub mod eta;
pub mod gate;
pub mod jobs;
pub mod metrics;
mod progress;
pub mod throughput;
pub mod under_way;

use std::{
    fs,
    io::Seek,
    os::fd::AsFd,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::{Duration, Instant},
};

use wire::{Exit, Fatal, OrFatal};

use crate::model::{
    job::Job,
    outcome::{Kind, Outcome},
};
use auto::Auto;
use eta::{Bracket, Estimator};
use gate::{Gate, Permit};
use jobs::Jobs;
use metrics::Metrics;
use throughput::Rate;
use under_way::UnderWay;

/// How a run goes.
#[derive(Debug)]
pub struct Monitor {
    started: Instant,
    /// After this time a file is reported as slow.
    slow: Duration,
    /// Where the figures go.
    file: Option<PathBuf>,
    /// Bytes of the input, where it is a file.
    input: Option<u64>,
    metrics: Metrics,
    gate: Gate,
    /// The figures could not be written once, which was reported.
    troubled: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    estimator: Estimator,
    rate: Rate,
    under_way: UnderWay,
    files: u64,
    bytes: u64,
    input_ended: bool,
    /// Where the number in flight is to be found out.
    auto: Option<Auto>,
}

/// A file under way as long as this lives.
#[derive(Debug)]
pub struct Begun<'a> {
    monitor: &'a Monitor,
    number: u64,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let mut state = self.monitor.lock();
        let strained = state.under_way.end(self.number);
        state.strained(strained);
        self.monitor.metrics.in_flight.dec();
    }
}

impl Monitor {
    /// A run that begins now; `metrics` is written at once.
    pub fn new(slow: Duration, metrics: Option<&Path>, jobs: Jobs) -> Result<Monitor, Fatal> {
        let auto = match jobs {
            Jobs::Fixed(_) => None,
            Jobs::Between(min, max) => Some(Auto::new(min.into(), max.into())),
        };
        let limit = auto.as_ref().map_or(jobs.most().into(), Auto::limit);
        let monitor = Monitor {
            started: Instant::now(),
            slow,
            file: metrics.map(Path::to_path_buf),
            input: size_of_input(),
            metrics: Metrics::default(),
            troubled: AtomicBool::default(),
            gate: Gate::new(limit),
            state: Mutex::new(State {
                auto,
                ..State::default()
            }),
        };
        monitor.tell_jobs(limit);
        monitor.metrics.running.set(1);
        if let Some(file) = &monitor.file {
            let shown = file.display();
            monitor
                .metrics
                .write(file)
                .or_fatal(Exit::Usage, format_args!("{shown}: write the metrics"))?;
        }
        Ok(monitor)
    }

    /// A file was read from the input.
    pub fn read(&self, job: &Job) {
        let mut state = self.lock();
        state.files += 1;
        state.bytes += job.record.line().len() as u64 + 1;
        state.estimator.read(Bracket::of(job.content.size()));
    }

    /// No more will be read.
    pub fn input_ended(&self) {
        self.lock().input_ended = true;
    }

    /// Waits until one more may be at work.
    pub fn enter(&self) -> Permit<'_> {
        self.gate.enter()
    }

    /// A worker begins with a file.
    pub fn begin(&self, job: &Job) -> Begun<'_> {
        let number = self.lock().under_way.begin(job, Instant::now());
        self.metrics.in_flight.inc();
        Begun {
            monitor: self,
            number,
        }
    }

    /// Bytes have just been sent.
    pub fn sent(&self, bytes: u64) {
        self.metrics.sent.inc_by(bytes);
    }

    /// A file has ended.
    pub fn ended(&self, job: &Job, outcome: &Outcome, took: Duration) {
        let bracket = Bracket::of(job.content.size());
        self.metrics.ended(bracket, outcome, took);
        let mut state = self.lock();
        state.estimator.ended(bracket, took);
        // What was known is no work, and would drown the rest.
        let now = self.started.elapsed();
        if outcome.attempts > 0 {
            state.rate.ended(now);
        }
        if outcome.kind == Kind::Uploaded
            && let Some(auto) = &mut state.auto
        {
            auto.uploaded(took);
        }
    }

    fn tell_jobs(&self, jobs: usize) {
        self.metrics
            .jobs
            .set(i64::try_from(jobs).unwrap_or(i64::MAX));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn strained(&mut self, tries: u32) {
        if let Some(auto) = &mut self.auto {
            auto.strained(tries);
        }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.metrics.running.set(0);
        if let Some(file) = &self.file {
            // That it cannot be written was reported before.
            let _ = self.metrics.write(file);
        }
    }
}

/// What is left of standard input, where it is a regular file.
fn size_of_input() -> Option<u64> {
    let mut input = fs::File::from(std::io::stdin().as_fd().try_clone_to_owned().ok()?);
    let size = input.metadata().ok().filter(fs::Metadata::is_file)?.len();
    Some(size.saturating_sub(input.stream_position().ok()?))
}
