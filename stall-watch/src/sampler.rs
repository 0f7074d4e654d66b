//! What a command has done since the last look.

use std::{collections::HashMap, time::Duration};

use rustix::process::Pid;

use crate::{
    group::Group,
    proc,
    sockets::{self, Sockets},
    units::Count,
};

/// A sign of progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ProgressSignal {
    /// Bytes on stdout or stderr
    Output,
    /// CPU time over --cpu-min
    Cpu,
    /// Bytes read or written, sent or received; offsets of open files
    Io,
    /// Units reported on STALL_PROGRESS_FD
    Units,
}

impl ProgressSignal {
    /// All of them.
    pub const ALL: [ProgressSignal; 4] = [
        ProgressSignal::Output,
        ProgressSignal::Cpu,
        ProgressSignal::Io,
        ProgressSignal::Units,
    ];

    /// Its name in records and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            ProgressSignal::Output => "output",
            ProgressSignal::Cpu => "cpu",
            ProgressSignal::Io => "io",
            ProgressSignal::Units => "units",
        }
    }
}

/// What was done since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Bytes on stdout and stderr.
    pub output: u64,
    /// CPU time of all processes.
    pub cpu: Duration,
    /// Bytes that they read and wrote.
    pub bytes: u64,
    /// Files that were opened, closed, or moved in.
    pub offsets: u64,
    /// Sockets that bytes went through.
    pub sockets: u64,
    /// Units that were reported.
    pub units: Count,
}

impl Sample {
    /// The signs of progress in it; CPU time counts from `cpu_min` on.
    pub fn signs(&self, cpu_min: Duration) -> impl Iterator<Item = ProgressSignal> + use<> {
        let there = [
            self.output > 0,
            !self.cpu.is_zero() && self.cpu >= cpu_min,
            self.bytes > 0 || self.offsets > 0 || self.sockets > 0,
            self.units != Count::default(),
        ];
        ProgressSignal::ALL
            .into_iter()
            .zip(there)
            .filter_map(|(sign, there)| there.then_some(sign))
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    start: u64,
    cpu: Duration,
    bytes: u64,
}

/// How thorough a look is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// As little as will do.
    Quick,
    /// All processes, all open files and sockets.
    Full,
}

/// Every so many looks the processes are searched for anew; between them those known are looked at,
/// which costs half. While nothing moves, the looks between them are left out: what was done meanwhile
/// is found by the next.
const SEARCH_EVERY: u32 = 4;

/// Looks at the processes of a group through /proc.
#[derive(Debug, Default)]
pub struct Sampler {
    looks: u32,
    /// The last look found nothing done.
    quiet: bool,
    pids: Vec<Pid>,
    seen: HashMap<Pid, Seen>,
    opened: Option<Opened>,
}

/// How far what they have open is.
#[derive(Debug)]
struct Opened {
    offsets: HashMap<(Pid, i32), u64>,
    sockets: Sockets,
}

impl Sampler {
    /// How many processes there were at the last look, where there was one.
    pub fn processes(&self) -> Option<u64> {
        (self.looks > 0).then_some(self.seen.len() as u64)
    }

    /// Takes a look, and adds what was done since the last one to `sample`.
    pub fn look(&mut self, group: &mut Group, depth: Depth, sample: &mut Sample) {
        let search = depth == Depth::Full || self.looks.is_multiple_of(SEARCH_EVERY);
        self.looks = self.looks.wrapping_add(1);
        if search {
            self.pids = group.roughly(depth == Depth::Full);
        } else if self.quiet {
            return;
        }
        let before = std::mem::take(&mut self.seen);
        for &pid in &self.pids {
            let Some((stat, bytes)) = proc::work(pid) else {
                continue;
            };
            let old = before.get(&pid).filter(|old| old.start == stat.start);
            let old = old.copied().unwrap_or_default();
            // Not to be read where the process changed its user; its last count stands.
            let bytes = bytes.unwrap_or(old.bytes);
            sample.cpu += stat.cpu.saturating_sub(old.cpu);
            sample.bytes += bytes.saturating_sub(old.bytes);
            let now = Seen {
                start: stat.start,
                cpu: stat.cpu,
                bytes,
            };
            self.seen.insert(pid, now);
        }
        for (pid, gone) in &before {
            let replaced = |now: &Seen| now.start != gone.start;
            if self.seen.get(pid).is_none_or(replaced) {
                // Its parent has inherited these; they were counted before.
                sample.cpu = sample.cpu.saturating_sub(gone.cpu);
                sample.bytes = sample.bytes.saturating_sub(gone.bytes);
            }
        }
        self.quiet = sample.cpu.is_zero() && sample.bytes == 0;
        if depth == Depth::Full {
            let mut now = self.opened();
            if let Some(before) = &self.opened {
                let (new, old) = (&now.offsets, &before.offsets);
                let differs = |key: &&(Pid, i32)| new.get(key) != old.get(key);
                let gone = old.keys().filter(|key| !new.contains_key(key));
                sample.offsets += new.keys().chain(gone).filter(differs).count() as u64;
                sample.sockets += sockets::moved(&now.sockets, &before.sockets);
                // One that nothing was told of this time is none that is new the next.
                for (inode, moved) in &before.sockets {
                    now.sockets.entry(*inode).or_insert(*moved);
                }
            }
            self.opened = Some(now);
        }
    }

    /// It has made progress: what is open is compared with a later look only.
    pub fn forget_opened(&mut self) {
        self.opened = None;
    }

    fn opened(&self) -> Opened {
        let mut offsets = HashMap::new();
        let mut sockets = Vec::new();
        for &pid in &self.pids {
            let opened = proc::opened(pid);
            offsets.extend(opened.files.into_iter().map(|(fd, _, at)| ((pid, fd), at)));
            sockets.extend(opened.sockets.into_iter().map(|inode| (pid, inode)));
        }
        Opened {
            offsets,
            sockets: sockets::look(&sockets),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sign_stands_for_itself() {
        let names = |sample: Sample| -> Vec<&str> {
            let signs = sample.signs(Duration::from_millis(100));
            signs.map(ProgressSignal::name).collect()
        };
        assert_eq!(names(Sample::default()), [""; 0]);
        let sample = Sample {
            output: 1,
            cpu: Duration::from_millis(90),
            offsets: 1,
            ..Sample::default()
        };
        assert_eq!(names(sample), ["output", "io"]);
        let sample = Sample {
            cpu: Duration::from_millis(100),
            units: Count {
                work: 0,
                discovery: 1,
            },
            ..Sample::default()
        };
        assert_eq!(names(sample), ["cpu", "units"]);
    }
}
