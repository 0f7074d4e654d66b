//! The lock that the workers hold: they inherit it, and the kernel keeps it as long as one of their processes
//! lives, whatever becomes of the pool. So nobody starts workers beside those of a pool that was killed.

use std::{
    collections::HashSet,
    fs::File,
    io,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::{Errno, FdFlags, fcntl_setfd},
    process::{Pid, Signal},
};
use stall_watch::{
    group::send,
    proc::{self, Stat},
};
use wire::{Exit, Fatal, OrFatal};

/// Between two looks at those that are being ended.
const PAUSE: Duration = Duration::from_millis(50);
/// What holds it so long after KILL hangs in the kernel.
const HANGS: Duration = Duration::from_secs(10);

/// The lock, taken.
#[derive(Debug)]
pub(crate) struct WorkerLock(File);

impl WorkerLock {
    /// Takes it. Whoever holds it was left by a pool that was killed, and is ended: TERM, after `grace` KILL.
    /// `tell` is called once with how many processes they are.
    ///
    /// # Errors
    /// [`Exit::Refused`]: they cannot be ended.
    pub(crate) fn take(
        path: &Path,
        grace: Duration,
        tell: impl FnOnce(usize),
    ) -> anyhow::Result<WorkerLock> {
        let shown = |act: &str| format!("{}: {act}", path.display());
        let file = File::options().append(true).create(true).open(path);
        let file = file.or_fatal(Exit::Usage, shown("open"))?;
        let begun = Instant::now();
        let (mut asked, mut tell) = (HashSet::new(), Some(tell));
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(WorkerLock(file)),
                Err(Errno::WOULDBLOCK | Errno::INTR) => {}
                Err(error) => Err(error).or_fatal(Exit::GaveUp, shown("lock"))?,
            }
            let holders = proc::holders(path);
            if let Some(tell) = tell.take_if(|_| !holders.is_empty()) {
                tell(holders.len());
            }
            let over = begun.elapsed().checked_sub(grace);
            if over.is_some() {
                for stat in &holders {
                    send(stat, Signal::KILL);
                }
            }
            // What they start to finish their work is let be.
            let knows = |pid: &Pid| asked.contains(pid);
            let is_new =
                |stat: &&Stat| !knows(&stat.pid) && !stat.parent.is_some_and(|p| knows(&p));
            let new: Vec<&Stat> = holders.iter().filter(is_new).collect();
            for stat in new {
                asked.insert(stat.pid);
                send(stat, Signal::TERM);
                send(stat, Signal::CONT);
            }
            if over.is_some_and(|over| over >= HANGS) {
                let pids: Vec<String> = holders.iter().map(|stat| stat.pid.to_string()).collect();
                let who = match pids.as_slice() {
                    [] => "processes that cannot be seen".into(),
                    pids => format!("processes {}", pids.join(", ")),
                };
                let why = format!("{who} of a pool that was killed hold it; end them");
                return Err(Fatal::new(Exit::Refused, format!("{}: {why}", shown("lock"))).into());
            }
            sleep(PAUSE);
        }
    }

    /// What `start` starts inherits the lock.
    ///
    /// # Errors
    /// As `start`.
    pub(crate) fn hand_down<T>(&self, start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        fcntl_setfd(&self.0, FdFlags::empty())?;
        let started = start();
        fcntl_setfd(&self.0, FdFlags::CLOEXEC)?;
        started
    }
}
