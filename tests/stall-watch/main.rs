//! stall-watch, the real binary over real processes.
#![allow(clippy::unwrap_used)]

/// How a run ends, as timeout(1) has it.
mod ends;

/// stdin, stdout and stderr are the command's.
mod passing;

/// What is taken for progress, and what for a stall.
mod judging;

/// All descendants are ended, and none of others.
mod tree;

/// Signals that stall-watch itself gets.
mod asked;

/// Event records, restarts, systemd.
mod telling;

/// Terminals, and a /proc that cannot be read.
mod places;

use std::{path::Path, time::Duration};

use harness::{Run, Workdir, run::tool, wait_for};
use serde_json::Value;

/// Longer than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// A run of a bash script under stall-watch, with short limits; more of them may follow.
fn watched(work: &Workdir, flags: &[&str], script: &str) -> Run {
    // Whoever started the tests may have had signals ignored, as nohup and `&` do.
    work.command("env")
        .arg("--default-signal=HUP,INT,QUIT")
        .arg(tool("stall-watch"))
        .args(["--sample", "0.1s", "--stall", "1s", "--kill-after", "1s"])
        .args(flags)
        .args(["--", "bash", "-c", script])
}

/// The event records in a file.
fn events(work: &Workdir, file: &str) -> Vec<Value> {
    std::fs::read_to_string(work.join(file))
        .unwrap_or_default()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What they are about, in order.
fn names(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect()
}

/// Waits until a file has as many lines, and gives the numbers in them.
fn numbers(path: &Path, count: usize) -> Vec<u32> {
    wait_for("numbers of processes", DEADLINE, || {
        let text = std::fs::read_to_string(path).ok()?;
        let numbers: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
        (numbers.len() >= count && text.ends_with('\n')).then_some(numbers)
    })
}

/// Does a process live, that is, is it there and no zombie?
fn lives(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim().starts_with('Z'))
}
