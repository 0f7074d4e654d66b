//! The pool at work: carries out its orders, and tells it what came of them.

use std::{
    collections::BTreeMap,
    fs::File,
    time::{Duration, Instant},
};

use anyhow::Context;
use rustix::{
    event::{Timespec, poll},
    io::Errno,
};
use signal_hook::consts::{SIGHUP, SIGUSR1, SIGUSR2};
use stall_watch::{
    caught::{self, Caught},
    events::Events,
    group, proc,
};
use wire::{Exit, Fatal};

use crate::{
    args::Args, clock::Clock, load_sampler::LoadSampler, params::Params, pool::Pool,
    process::Process, restore::restore, state::Paths, worker::State, worker_lock::WorkerLock,
};

mod looks;
mod orders;
mod report;
mod save;

use report::complain;

/// While workers are being ended, it is looked whether they are gone so often.
const ENDING: Duration = Duration::from_millis(50);
/// One worker less: SIGRTMIN+1, as kill(1) calls it.
const LESS: i32 = 35;
/// One worker more: SIGRTMIN+2.
const MORE: i32 = 36;

/// A running pool.
struct Run<'a> {
    args: &'a Args,
    clock: Clock,
    paths: Paths,
    _lock: File,
    worker_lock: WorkerLock,
    pool: Pool,
    processes: BTreeMap<u32, Process>,
    params: Params,
    load: LoadSampler,
    events: Events,
    caught: Caught,
    /// The signal that asked us to end.
    stop: Option<i32>,
    next: Instant,
    /// What the state on the disk says, but for what changes all the time.
    saved: Vec<u8>,
    unsaved: bool,
}

/// Runs the pool to its end.
pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    if !proc::is_there() {
        return Err(Fatal::new(Exit::GaveUp, "/proc: read: it is not there").into());
    }
    let clock = Clock::start();
    let params = args.values()?;
    let disks = args.disks()?;
    let paths =
        Paths::new(&args.state, args.logs.as_deref()).context("the folder of this process")?;
    let lock = paths.lock()?;
    let path = paths.worker_lock();
    let worker_lock = WorkerLock::take(&path, args.grace, |left| {
        let state = args.state.display();
        complain(
            args,
            format_args!("{state}: a pool was killed; ending what it left ({left} processes)"),
        );
    })?;
    let caught = Caught::install(&[SIGUSR1, SIGUSR2, LESS, MORE]);
    let caught = caught.context("signals: catch")?;
    group::adopt_orphans().context("prctl: adopt orphans")?;
    let pool = restore(args, &paths)?;
    let mut run = Run {
        args,
        load: LoadSampler::new(args.machine(), disks, args.interval, clock.now()),
        events: Events::open(args.events.as_deref(), "stall-pool", args.shown())?,
        clock,
        paths,
        _lock: lock,
        worker_lock,
        pool,
        processes: BTreeMap::new(),
        params,
        caught,
        stop: None,
        next: Instant::now(),
        saved: Vec::new(),
        unsaved: false,
    };
    run.watch()?;
    run.finish()
}

impl Run<'_> {
    fn watch(&mut self) -> anyhow::Result<()> {
        loop {
            self.check_ends();
            if Instant::now() >= self.next {
                self.next = Instant::now() + self.args.sample_interval();
                self.take_looks();
            }
            let now = self.clock.now();
            if self.load.is_due(now) {
                let figures = self.load.look(now);
                let orders = self.pool.figures(now, &figures);
                self.heartbeat();
                self.carry_out(orders);
                self.saved.clear();
            }
            for signal in self.caught.take() {
                self.on_signal(signal);
            }
            let orders = self.pool.orders(self.clock.now());
            // First it is written down that a worker is started, then it is.
            self.save(false);
            self.carry_out(orders);
            self.save(false);
            if self.pool.is_over() {
                return Ok(());
            }
            self.wait()?;
        }
    }

    fn on_signal(&mut self, signal: i32) {
        let now = self.clock.now();
        match signal {
            // A terminal that goes away may say so more than once.
            SIGHUP if self.stop.is_some() => {}
            signal if caught::STOP_SIGNALS.contains(&signal) && self.stop.is_some() => {
                self.pool.stop_now(now)
            }
            signal if caught::STOP_SIGNALS.contains(&signal) => {
                self.stop = Some(signal);
                self.pool.stop(now);
                self.complain(format_args!(
                    "ending its workers ({}), within {} s; once more kills them",
                    self.processes.len(),
                    self.args.grace.as_secs_f64()
                ));
            }
            SIGUSR1 => self.print_progress(),
            SIGUSR2 => {
                match self.args.values() {
                    Ok(params) => self.params = params,
                    Err(error) => self.complain(format_args!("{error:#}; the old values stay")),
                }
                self.pool.resume();
            }
            LESS | MORE => {
                let grow = !self.args.is_cut();
                let order = self.pool.change_target(now, signal == MORE, grow);
                self.carry_out(vec![order]);
            }
            // SIGCHLD has done its part by waking us.
            _ => {}
        }
    }

    fn wait(&self) -> anyhow::Result<()> {
        let mut pause = self.next.saturating_duration_since(Instant::now());
        if self.processes.values().any(Process::is_about_to_end) || self.pool.is_stopping() {
            pause = pause.min(ENDING);
        }
        let pause = Timespec {
            tv_sec: pause.as_secs() as i64,
            tv_nsec: pause.subsec_nanos().into(),
        };
        let mut fds = vec![self.caught.poll()];
        fds.extend(self.processes.values().filter_map(Process::poll));
        match poll(&mut fds, Some(&pause)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error).context("poll: wait"),
        }
    }

    /// All are gone: how did it go?
    fn finish(&mut self) -> anyhow::Result<Exit> {
        self.save(true);
        if let Some(lost) = self.events.lost() {
            self.complain(format_args!("--events: write: {lost} records were lost"));
        }
        if let Some(signal) = self.stop {
            wire::stop::die_by(signal);
        }
        let states = || self.pool.workers.values().map(|worker| &worker.state);
        if states().any(|state| matches!(state, State::Paused { .. })) {
            return Ok(Exit::GaveUp);
        }
        let some_failed = states().any(|state| matches!(state, State::Done { code: 1 }));
        Ok(match some_failed {
            true => Exit::SomeFailed,
            false => Exit::Done,
        })
    }
}
