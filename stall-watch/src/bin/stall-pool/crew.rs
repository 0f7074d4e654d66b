//! The processes of one worker, as the pool sees them: started, looked at, asked to end, ended.

use std::{
    fs, io,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use stall_watch::{
    evidence,
    group::{self, Group, Reaped},
    proc::{Proc, Stat},
    signals::{Care, Sample, Sampler, Sign},
    units::{self, Count, Units},
};

use crate::{
    life::{End, Waits},
    seat::{self, Look, Sitter},
};

/// What does not heed KILL is told of after so long.
const HANGS: Duration = Duration::from_secs(10);
/// A keeper that was started takes its seat within this time, unless the machine is very busy.
const SITS: Duration = Duration::from_secs(30);
/// Of so many processes of each worker files are kept open between the looks.
const HELD: usize = 12;
/// What is kept of the last lines.
const TAIL: u64 = 2048;

/// Where the files of one worker are.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) seat: PathBuf,
    pub(crate) units: PathBuf,
    pub(crate) log: PathBuf,
}

/// A worker that runs.
#[derive(Debug)]
pub(crate) struct Process {
    files: Files,
    keeper: Pid,
    /// When the keeper started; with the number it names it for ever.
    start: u64,
    /// Becomes readable when the keeper has ended.
    pub(crate) held: Option<OwnedFd>,
    group: Group,
    sampler: Sampler,
    units: Units,
    log: Size,
    pub(crate) began: Instant,
    thorough: Instant,
    ending: Option<Ending>,
}

#[derive(Debug)]
struct Ending {
    kill: Instant,
    killed: bool,
    told: bool,
}

/// Whether it is there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Presence {
    /// It is.
    There,
    /// It has ended, with all that it had started.
    Ended(End),
    /// Somebody else has its seat.
    Other(Sitter),
}

impl Process {
    /// Starts the keeper, and with it the worker.
    ///
    /// # Errors
    /// No process can be made, or no file in the state's folder.
    pub(crate) fn start(mut command: Command, files: Files, proc: &Proc) -> io::Result<Process> {
        let (mut units, reporter) = units::open_file(&files.units)?;
        // What an earlier start was the last to tell is no news.
        let _ = units.read();
        command.env(units::VARIABLE, reporter.number());
        let child = command.spawn()?;
        drop(reporter);
        let keeper = Pid::from_child(&child);
        // It is a child that was not waited for, so it is there.
        let start = proc.stat(keeper)?.start;
        Ok(Process::of(files, keeper, start, units))
    }

    /// Goes on with one that a former pool started.
    ///
    /// # Errors
    /// Its file of units cannot be opened.
    pub(crate) fn adopt(sitter: &Sitter, files: Files) -> io::Result<Process> {
        let (mut units, _) = units::open_file(&files.units)?;
        // Nor is what a former pool was told.
        let _ = units.read();
        Ok(Process::of(files, sitter.pid, sitter.start, units))
    }

    fn of(files: Files, keeper: Pid, start: u64, units: Units) -> Process {
        let now = Instant::now();
        let mut log = Size::default();
        log.grown(&files.log);
        Process {
            files,
            keeper,
            start,
            held: pidfd_open(keeper, PidfdFlags::empty()).ok(),
            group: Group::kept(keeper, start),
            sampler: Sampler::new(HELD),
            units,
            log,
            began: now,
            thorough: now,
            ending: None,
        }
    }

    pub(crate) fn keeper(&self) -> Pid {
        self.keeper
    }

    /// Is it there? `reaped` are the children of this process that have ended.
    pub(crate) fn presence(&mut self, proc: &Proc, reaped: &Reaped) -> Presence {
        self.group.note(reaped);
        let lives = proc.stat(self.keeper);
        if lives.is_ok_and(|stat| stat.start == self.start && !stat.has_ended()) {
            return Presence::There;
        }
        match seat::look(&self.files.seat) {
            Ok(Look::Free(Some(sitter))) if self.is(&sitter) => {
                // A keeper that was killed has left no word.
                Presence::Ended(sitter.end.unwrap_or(End::Signal(9)))
            }
            Ok(Look::Free(_)) => Presence::Ended(End::Code(125)),
            Ok(Look::Taken(Some(sitter))) if sitter.lives(proc) => Presence::Other(sitter),
            Ok(Look::Taken(sitter)) => {
                // The keeper was killed, and what it kept is there still; or it is being taken just now.
                let killed = sitter.is_some_and(|sitter| self.is(&sitter));
                if killed || self.began.elapsed() >= SITS {
                    self.clear(proc);
                }
                Presence::There
            }
            Err(_) => Presence::There,
        }
    }

    fn is(&self, sitter: &Sitter) -> bool {
        sitter.pid == self.keeper && sitter.start == self.start
    }

    /// Ends those that hold the seat without a keeper.
    fn clear(&mut self, proc: &Proc) {
        for stat in seat::holders(proc, &self.files.seat) {
            group::send(proc, &stat, Signal::KILL);
        }
    }

    /// What it has done since the last look. `matters` is whether a look that finds nothing would have
    /// consequences; `stall` for how long it may do nothing.
    pub(crate) fn look(&mut self, signs: &[Sign], matters: bool, stall: Duration) -> Sample {
        let mut sample = Sample {
            output: self.log.grown(&self.files.log),
            units: self.units.read(),
            ..Sample::default()
        };
        if signs.contains(&Sign::Cpu) || signs.contains(&Sign::Io) {
            let due = self.thorough.elapsed() >= stall / 10;
            let care = match matters || due {
                true => Care::Full,
                false => Care::Usual,
            };
            if care == Care::Full {
                self.thorough = Instant::now();
            }
            self.sampler.look(&mut self.group, care, &mut sample);
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
        self.units.read()
    }

    /// Why it stands still, and its last lines.
    pub(crate) fn evidence(&mut self, proc: &Proc) -> (Vec<String>, Vec<String>) {
        let members = self.group.members(proc);
        (
            evidence::gather(proc, &members),
            last_lines(&self.files.log),
        )
    }

    /// How many processes it is, where they are looked at.
    pub(crate) fn count(&self) -> Option<u64> {
        self.sampler.processes()
    }

    /// Asks it to end, in its own time: the keeper hands the signal on.
    pub(crate) fn ask(&mut self, proc: &Proc) {
        if let Ok(stat) = proc.stat(self.keeper)
            && stat.start == self.start
        {
            group::send(proc, &stat, Signal::TERM);
        }
    }

    /// Ends it, with all that it has started: TERM, after a while KILL.
    pub(crate) fn end(&mut self, proc: &Proc, kill_after: Duration) {
        self.group.signal(proc, Signal::TERM);
        self.ending.get_or_insert(Ending {
            kill: Instant::now() + kill_after,
            killed: false,
            told: false,
        });
    }

    /// No more patience.
    pub(crate) fn kill(&mut self) {
        let now = Instant::now();
        let ending = self.ending.get_or_insert(Ending {
            kill: now,
            killed: false,
            told: false,
        });
        ending.kill = ending.kill.min(now);
    }

    /// Kills what did not heed, again and again. Gives what hangs in the kernel, once.
    pub(crate) fn press(&mut self, proc: &Proc) -> Option<Vec<Stat>> {
        let ending = self.ending.as_mut()?;
        let over = Instant::now().checked_duration_since(ending.kill)?;
        ending.killed = true;
        self.group.signal(proc, Signal::KILL);
        if over < HANGS || ending.told {
            return None;
        }
        ending.told = true;
        Some(self.group.members(proc))
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
        let ending = self.ending.as_ref()?;
        Some(if ending.killed { "KILL" } else { "TERM" })
    }
}

/// How far a log has grown, whoever writes and rotates it.
#[derive(Debug, Default)]
struct Size {
    file: u64,
    size: u64,
}

impl Size {
    /// Bytes since the last call.
    fn grown(&mut self, path: &PathBuf) -> u64 {
        let Ok(meta) = fs::metadata(path) else {
            return 0;
        };
        let before = match meta.ino() == self.file {
            true => self.size,
            false => 0,
        };
        self.file = meta.ino();
        self.size = meta.len();
        self.size.saturating_sub(before)
    }
}

/// The last lines of a log.
pub(crate) fn last_lines(path: &PathBuf) -> Vec<String> {
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
