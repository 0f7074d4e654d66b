//! Why a command stands still: what its processes wait for, where in which file, under which
//! pressure. One fact a line, for a person and for whoever advises on it.

use crate::proc::{self, Stat};

/// A tree of hundreds is told by its first few.
const PROCESSES: usize = 6;
/// Of the files of one process.
const FILES: usize = 2;

/// The facts, as far as they may be known.
pub fn gather(members: &[Stat]) -> Vec<String> {
    let mut facts = Vec::new();
    for stat in members.iter().take(PROCESSES) {
        facts.push(of_process(stat));
    }
    if members.len() > PROCESSES {
        facts.push(format!("{} more processes", members.len() - PROCESSES));
    }
    facts.extend(
        proc::pressures().map(|(what, share)| format!("{what} pressure over 10 s: {share:.2} %")),
    );
    facts
}

fn of_process(stat: &Stat) -> String {
    let state = match stat.state {
        'R' => "runs",
        'S' => "sleeps",
        'D' => "waits for a device",
        'T' | 't' => "is stopped",
        _ => "is in an odd state",
    };
    let mut fact = format!("process {} {} {state}", stat.pid, stat.name);
    if let Some(place) = proc::waits_in(stat.pid) {
        fact += &format!(" in {place}");
    }
    let mut files = proc::opened(stat.pid).files;
    // The newest descriptors are those of the work at hand.
    files.sort_by_key(|file| std::cmp::Reverse(file.0));
    for (_, path, offset) in files.iter().take(FILES) {
        fact += &format!("; {} at byte {offset}", path.display());
    }
    fact
}
