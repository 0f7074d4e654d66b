//! stall-pool, the real binary over real processes.
#![allow(clippy::unwrap_used)]

/// How workers end, and what follows.
mod ends;

/// What is taken for a stall, and what is left of a worker that did.
mod stalls;

/// The pool is killed, and another one takes its place.
mod killed;

/// Signals that the pool itself gets.
mod asked;

/// Disks and memory that are made up.
mod scaling;

/// What is printed, told and logged.
mod telling;

/// The recipes that are shipped.
mod recipes;

use std::{fs, path::PathBuf, process::Child, time::Duration};

use harness::{Run, Workdir, run::Ran, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use stall_watch::{
    group,
    proc::{self, Stat},
};

/// Longer than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// Each worker takes a lock of its number, and says so loudly where it is taken.
const ALONE: &str = "exec 8>>alone.$1; flock -n 8 || { echo $1 >>doubled; exit 99; }
echo $1 $$ >>starts
unit() { echo $1 >&$STALL_PROGRESS_FD; }
";

/// A folder with a pool in it; whatever is left of its workers ends with it.
struct Pool {
    work: Workdir,
    child: Option<Child>,
}

impl Pool {
    /// A folder whose workers will run this bash script, with their number as $1.
    fn of(script: &str) -> Pool {
        let work = Workdir::new();
        work.write("worker.sh", format!("{ALONE}{script}\n"));
        Pool { work, child: None }
    }

    /// The pool's command, with short limits; flags may follow, and override them.
    fn run(&self, flags: &[&str]) -> Run {
        // Whoever started the tests may have had signals ignored, as nohup and `&` do.
        self.work
            .command("env")
            .arg("--default-signal=HUP,INT,QUIT")
            .arg(harness::run::tool("stall-pool"))
            .args(["--state", "pool", "--events", "events", "--sample", "0.1s"])
            .args(["--cooldown", "0.1s", "--kill-after", "1s", "--grace", "30s"])
            .args(flags)
            .args(["--", "bash", "worker.sh", "{worker}"])
    }

    /// Starts it.
    fn start(&mut self, flags: &[&str]) {
        self.child = Some(self.run(flags).start());
    }

    fn pid(&self) -> Pid {
        Pid::from_child(self.child.as_ref().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// The same by a name that only kill(1) knows.
    fn signal_by_name(&self, name: &str) {
        let pid = self.pid().as_raw_nonzero().to_string();
        let kill = format!("kill -s {name} {pid}");
        self.work.command("bash").args(["-c", &kill]).ok();
    }

    /// Waits for its end.
    fn end(&mut self) -> Ran {
        Ran::of(self.child.take().unwrap())
    }

    /// Ends it as a crash would.
    fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.end();
    }

    /// Asks it to end, and sees that all of it does.
    fn stop(&mut self) -> Ran {
        self.signal(Signal::TERM);
        self.end()
    }

    /// The events so far.
    fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.work.join("events")).unwrap_or_default();
        // The last line may be about to be written.
        text.split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The events of one name.
    fn told(&self, name: &str) -> Vec<Value> {
        let mut events = self.events();
        events.retain(|event| event["event"] == name);
        events
    }

    /// Waits until as many events of this name were told.
    fn wait_told(&self, name: &str, count: usize) -> Vec<Value> {
        wait_for(&format!("{count} events {name}"), DEADLINE, || {
            Some(self.told(name)).filter(|told| told.len() >= count)
        })
    }

    /// Number and process of each start so far.
    fn starts(&self) -> Vec<(u32, u32)> {
        let text = fs::read_to_string(self.work.join("starts")).unwrap_or_default();
        let start = |line: &str| {
            let (number, pid) = line.split_once(' ')?;
            Some((number.parse().ok()?, pid.parse().ok()?))
        };
        text.lines().filter_map(start).collect()
    }

    /// Waits until there were as many starts.
    fn wait_starts(&self, count: usize) -> Vec<(u32, u32)> {
        wait_for(&format!("{count} starts"), DEADLINE, || {
            Some(self.starts()).filter(|starts| starts.len() >= count)
        })
    }

    /// The numbers of those that live, in order.
    fn alive(&self) -> Vec<u32> {
        let mut alive: Vec<u32> = self
            .starts()
            .into_iter()
            .filter(|(_, pid)| lives(*pid))
            .map(|(number, _)| number)
            .collect();
        alive.sort();
        alive
    }

    /// Waits until just these live.
    fn wait_alive(&self, wanted: &[u32]) {
        wait_for(&format!("workers {wanted:?}"), DEADLINE, || {
            (self.alive() == wanted).then_some(())
        });
    }

    /// The state, as --status prints it: pool, workers.
    fn status(&self) -> (Value, Vec<Value>) {
        let ran = self
            .work
            .tool("stall-pool")
            .args(["--state", "pool", "--status"])
            .ok();
        ran.summary();
        (ran.of_type("pool").remove(0), ran.of_type("worker"))
    }

    /// Waits until each worker is in this state, as the pool that runs now says.
    fn wait_states(&self, wanted: &[&str]) {
        wait_for(&format!("states {wanted:?}"), DEADLINE, || {
            if !self.work.join("pool").exists() {
                return None;
            }
            let (pool, workers) = self.status();
            if pool["pid"] != self.pid().as_raw_nonzero().get() {
                return None;
            }
            let states: Vec<&str> = workers.iter().filter_map(|w| w["state"].as_str()).collect();
            (states == wanted).then_some(())
        });
    }

    /// What is left of the workers, whatever became of the pool.
    fn left(&self) -> Vec<Stat> {
        proc::holders(&self.work.join("pool.workers.lock"))
    }

    #[track_caller]
    fn never_doubled(&self) {
        let doubled = fs::read_to_string(self.work.join("doubled"));
        assert!(doubled.is_err(), "{doubled:?}\n{:?}", self.events());
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        for stat in self.left() {
            group::send(&stat, Signal::KILL);
        }
    }
}

/// Does a process live, that is, is it there and no zombie?
fn lives(pid: u32) -> bool {
    Pid::from_raw(pid as i32)
        .and_then(proc::stat)
        .is_some_and(|stat| !stat.has_ended())
}
