//! The processes of one worker, as the pool sees them: started, looked at, asked to end, ended.

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags},
    fs::{OFlags, fcntl_setfl},
    io::Errno,
    pipe::{PipeFlags, pipe_with},
    process::{Signal, WaitStatus},
};
use stall_watch::{
    evidence,
    group::{Group, Orphans, Place, Reaped},
    proc::Stat,
    sampler::{Depth, ProgressSignal, Sample, Sampler},
    units::{self, Count, Units},
};

use crate::{
    log::Log,
    worker::{Waits, WorkerEnd},
};

/// What does not heed KILL is told of after so long.
const HANGS: Duration = Duration::from_secs(10);
/// The variable that holds a worker's number.
pub(crate) const NUMBER: &str = "STALL_WORKER";
/// What is kept of the last lines.
const TAIL: u64 = 2048;
/// Pieces of output that are read before others get their turn.
const TURN: usize = 16;

/// A worker that runs.
#[derive(Debug)]
pub(crate) struct Process {
    group: Group,
    sampler: Sampler,
    units: Units,
    /// Units since the last look.
    count: Count,
    /// Its output; closed when it was closed there.
    from: Option<OwnedFd>,
    log: Log,
    /// Bytes of output since the last look.
    output: u64,
    pub(crate) began: Instant,
    thorough: Instant,
    /// It was asked to end: what it has started was, too, and ends in its own time.
    asked: bool,
    ending: Option<Ending>,
}

#[derive(Debug)]
struct Ending {
    kill: Instant,
    killed: bool,
    told: bool,
    /// The worker has ended; it is what it left behind.
    left: bool,
}

impl Process {
    /// Starts the worker of this number.
    ///
    /// # Errors
    /// The command cannot be run, or no process can be made.
    pub(crate) fn start(mut command: Command, number: u32, log: Log) -> io::Result<Process> {
        let (units, reporter) = units::open()?;
        let (from, to) = pipe_with(PipeFlags::CLOEXEC)?;
        fcntl_setfl(&from, OFlags::NONBLOCK)?;
        command
            .env(units::VARIABLE, reporter.number())
            .env(NUMBER, number.to_string())
            .stdin(Stdio::null())
            .stdout(to.try_clone()?)
            .stderr(to);
        let orphans = Orphans::Marked(NUMBER, number.to_string());
        let group = Group::start(command, Place::OwnGroup, orphans)?;
        let now = Instant::now();
        Ok(Process {
            group,
            sampler: Sampler::default(),
            units,
            count: Count::default(),
            from: Some(from),
            log,
            output: 0,
            began: now,
            thorough: now,
            asked: false,
            ending: None,
        })
    }

    /// Its first process, which leads its group.
    pub(crate) fn pid(&self) -> u64 {
        self.group.root().as_raw_nonzero().get() as u64
    }

    /// What to wait for.
    pub(crate) fn poll(&self) -> Option<PollFd<'_>> {
        let from = self.from.as_ref()?;
        Some(PollFd::new(from, PollFlags::IN))
    }

    /// Takes what it has reported, and moves what it has written to the log.
    pub(crate) fn relay(&mut self) {
        let count = self.units.read();
        self.count.work += count.work;
        self.count.discovery += count.discovery;
        let mut piece = [0; 65_536];
        for _ in 0..TURN {
            let Some(from) = &self.from else {
                return;
            };
            match rustix::io::read(from, &mut piece) {
                Ok(0) => self.from = None,
                Ok(length) => {
                    self.log.write(&piece[..length]);
                    self.output += length as u64;
                }
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    /// How it has ended, once all that it had started has, too. What it left behind is ended. `reaped` are
    /// the children of this process that have ended.
    pub(crate) fn ended(&mut self, reaped: &Reaped, kill_after: Duration) -> Option<WorkerEnd> {
        self.group.note(reaped);
        let status = self.group.ended()?;
        if self.group.members().is_empty() {
            return Some(end(status));
        }
        if !self.asked && self.ending.is_none() {
            self.end(kill_after);
            self.ending.as_mut()?.left = true;
        }
        None
    }

    /// What it has done since the last look. `matters` is whether a look that finds nothing would have
    /// consequences; `stall` for how long it may do nothing.
    pub(crate) fn look(
        &mut self,
        signs: &[ProgressSignal],
        matters: bool,
        stall: Duration,
    ) -> Sample {
        let mut sample = Sample {
            output: std::mem::take(&mut self.output),
            units: self.units(),
            ..Sample::default()
        };
        if signs.contains(&ProgressSignal::Cpu) || signs.contains(&ProgressSignal::Io) {
            let due = self.thorough.elapsed() >= stall / 10;
            let depth = match matters || due {
                true => Depth::Full,
                false => Depth::Quick,
            };
            if depth == Depth::Full {
                self.thorough = Instant::now();
            }
            self.sampler.look(&mut self.group, depth, &mut sample);
        }
        sample
    }

    /// What it waits for on purpose, by the pool's clock that shows `now`.
    pub(crate) fn waits(&self, now: Duration) -> Option<Waits> {
        let wait = self.units.wait()?;
        let left = wait.until.saturating_duration_since(Instant::now());
        Some(Waits {
            until: now + left,
            what: wait.what.clone(),
        })
    }

    /// It has made progress.
    pub(crate) fn moved(&mut self) {
        self.sampler.forget_opened();
    }

    /// The units that it has reported since the last look.
    pub(crate) fn units(&mut self) -> Count {
        std::mem::take(&mut self.count)
    }

    /// Why it stands still, and its last lines.
    pub(crate) fn evidence(&mut self) -> (Vec<String>, Vec<String>) {
        let members = self.group.members();
        (evidence::gather(&members), last_lines(self.log.path()))
    }

    /// How many processes it is, where they are looked at.
    pub(crate) fn count(&self) -> Option<u64> {
        self.sampler.processes()
    }

    /// Asks it to end, in its own time: its process group, that is; whoever began another one hears from
    /// whoever started it.
    pub(crate) fn ask(&mut self) {
        self.asked = true;
        self.group.ask(Signal::TERM);
    }

    /// Ends it, with all that it has started: TERM, after a while KILL.
    pub(crate) fn end(&mut self, kill_after: Duration) {
        self.group.signal(Signal::TERM);
        self.ending.get_or_insert(Ending {
            kill: Instant::now() + kill_after,
            killed: false,
            told: false,
            left: false,
        });
    }

    /// No more patience.
    pub(crate) fn kill(&mut self) {
        let now = Instant::now();
        let ending = self.ending.get_or_insert(Ending {
            kill: now,
            killed: false,
            told: false,
            left: false,
        });
        ending.kill = ending.kill.min(now);
    }

    /// Kills what did not heed, again and again. Gives what hangs in the kernel, once.
    pub(crate) fn press(&mut self) -> Option<Vec<Stat>> {
        let ending = self.ending.as_mut()?;
        let over = Instant::now().checked_duration_since(ending.kill)?;
        ending.killed = true;
        self.group.signal(Signal::KILL);
        if over < HANGS || ending.told {
            return None;
        }
        ending.told = true;
        Some(self.group.members())
    }

    /// Is it being ended?
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Is its end a matter of moments? What hangs in the kernel is waited for with more patience.
    pub(crate) fn is_about_to_end(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| !ending.told)
    }

    /// How it was ended, where it was.
    pub(crate) fn ended_by(&self) -> Option<&'static str> {
        let ending = self.ending.as_ref().filter(|ending| !ending.left)?;
        Some(if ending.killed { "KILL" } else { "TERM" })
    }
}

fn end(status: WaitStatus) -> WorkerEnd {
    match status.terminating_signal() {
        Some(signal) => WorkerEnd::Signal(signal),
        None => WorkerEnd::Code(status.exit_status().unwrap_or(0)),
    }
}

/// The last lines of a log.
pub(crate) fn last_lines(path: &Path) -> Vec<String> {
    let read = || -> io::Result<Vec<u8>> {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = fs::File::open(path)?;
        let from = file.metadata()?.len().saturating_sub(TAIL);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let first = lines.len().saturating_sub(5);
    lines[first..].iter().map(|line| line.to_string()).collect()
}
