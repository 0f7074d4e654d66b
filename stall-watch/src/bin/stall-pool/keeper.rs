//! The keeper of one worker: a small process of its own, so that the worker outlives the pool, its
//! output always has a reader, and how it ended is written down whoever is there to see it.
//!
//! It takes the worker's seat, starts the command in a process group of its own, adopts all orphans of
//! it, writes its output to the log, hands signals on, and ends after the last of its descendants.

use std::{
    ffi::OsString,
    io,
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    path::Path,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, fcntl_setfl},
    io::Errno,
    pipe::{PipeFlags, pipe_with},
    process::{Pid, Signal, WaitStatus, kill_process_group},
};
use signal_hook::{
    consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2},
    iterator::{backend::SignalDelivery, exfiltrator::SignalOnly},
};
use stall_watch::{
    events,
    group::{self, Group},
    proc::Proc,
};

use crate::{life::End, log::Log, seat::Seat};

/// The first word of a keeper's command line.
pub(crate) const FLAG: &str = "--keep";

/// Its end when somebody else has the seat, or it could not begin.
const NOT_BEGUN: u8 = 125;
/// What is left after KILL is looked at so often.
const PRESS: Duration = Duration::from_millis(50);

/// What a keeper is told.
#[derive(Clone, Debug)]
pub(crate) struct Task<'a> {
    pub(crate) seat: &'a Path,
    /// Which start of the worker it is.
    pub(crate) run: u32,
    pub(crate) log: &'a Path,
    pub(crate) log_size: u64,
    pub(crate) log_keep: u32,
    /// What the worker leaves behind has so long from TERM to KILL.
    pub(crate) kill_after: Duration,
}

impl Task<'_> {
    /// The command that becomes the keeper of `command`.
    pub(crate) fn into_command(self, command: &[OsString]) -> Command {
        // The very program that runs now, also when a newer one has taken its place.
        let mut keeper = Command::new("/proc/self/exe");
        keeper
            .arg0("stall-pool")
            .arg(FLAG)
            .args([self.seat, self.log])
            .arg(self.run.to_string())
            .arg(self.log_size.to_string())
            .arg(self.log_keep.to_string())
            .arg(self.kill_after.as_millis().to_string())
            .arg(std::process::id().to_string())
            .args(command)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        keeper
    }
}

/// Keeps a worker, from its start to the end of all that it has started.
pub(crate) fn keep(words: &[OsString]) -> ExitCode {
    let number = |n: usize| words.get(n)?.to_str()?.parse::<u64>().ok();
    let task = || {
        Some(Task {
            seat: Path::new(words.first()?),
            log: Path::new(words.get(1)?),
            run: number(2)? as u32,
            log_size: number(3)?,
            log_keep: number(4)? as u32,
            kill_after: Duration::from_millis(number(5)?),
        })
    };
    match (task(), words.get(7..)) {
        (Some(task), Some([program, arguments @ ..])) => {
            let pool = number(6).and_then(|pid| Pid::from_raw(pid as i32));
            run(&task, pool, program, arguments).unwrap_or(ExitCode::from(NOT_BEGUN))
        }
        _ => ExitCode::from(NOT_BEGUN),
    }
}

fn run(
    task: &Task<'_>,
    pool: Option<Pid>,
    program: &OsString,
    arguments: &[OsString],
) -> io::Result<ExitCode> {
    let proc = Proc::default();
    let caught = Caught::install()?;
    let Some(mut seat) = take(task.seat)? else {
        return Ok(ExitCode::from(NOT_BEGUN));
    };
    // A pool that was killed meanwhile waits for no worker, and the next one starts its own.
    if rustix::process::getppid() != pool {
        return Ok(ExitCode::from(NOT_BEGUN));
    }
    group::adopt_orphans()?;
    let log = Log::open(task.log, task.log_size, task.log_keep)?;
    seat.sit(&proc, task.run)?;
    let (from, to) = pipe_with(PipeFlags::CLOEXEC)?;
    fcntl_setfl(&from, OFlags::NONBLOCK)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(to.try_clone()?)
        .stderr(to)
        .process_group(0);
    let child = match group::spawn(&mut command) {
        Ok(child) => child,
        Err(error) => {
            seat.end(&End::NotStarted(events::reason(&error)))?;
            return Ok(ExitCode::from(NOT_BEGUN));
        }
    };
    // Our copies of the pipe are closed with it.
    drop(command);
    let keeper = Keeper {
        me: Group::kept(rustix::process::getpid(), start(&proc)),
        proc,
        caught,
        main: Pid::from_child(&child),
        from: Some(from),
        log,
        asked: false,
        kill_after: task.kill_after,
    };
    keeper.watch(&mut seat)
}

/// Whoever only looks at a seat has it for a moment.
fn take(path: &Path) -> io::Result<Option<Seat>> {
    for _ in 0..20 {
        if let Some(seat) = Seat::take(path)? {
            return Ok(Some(seat));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(None)
}

fn start(proc: &Proc) -> u64 {
    proc.stat(rustix::process::getpid())
        .map_or(0, |stat| stat.start)
}

struct Keeper {
    proc: Proc,
    caught: Caught,
    me: Group,
    main: Pid,
    from: Option<OwnedFd>,
    log: Log,
    /// It was asked to end: what it has started was, too, and finishes in its own time.
    asked: bool,
    kill_after: Duration,
}

impl Keeper {
    fn watch(mut self, seat: &mut Seat) -> io::Result<ExitCode> {
        let mut ended: Option<(ExitCode, Instant)> = None;
        loop {
            let reaped = group::reap();
            let main = reaped.ended.iter().find(|(pid, _)| *pid == self.main);
            if let (None, Some((_, status))) = (&ended, main) {
                seat.end(&end(*status))?;
                ended = Some((code(*status), Instant::now()));
                if !self.asked {
                    self.me.signal(&self.proc, Signal::TERM);
                }
            }
            self.relay();
            if let Some((code, at)) = ended {
                if reaped.none_left {
                    return Ok(code);
                }
                if !self.asked && at.elapsed() >= self.kill_after {
                    self.me.signal(&self.proc, Signal::KILL);
                }
            }
            let pause = ended.is_some().then_some(PRESS);
            self.wait(pause)?;
            let signals: Vec<i32> = self.caught.0.pending().collect();
            for signal in signals.into_iter().filter(|signal| *signal != SIGCHLD) {
                self.hand_on(signal, ended.is_some());
            }
        }
    }

    /// To the command's own group; whoever began another one hears from whoever started it.
    fn hand_on(&mut self, signal: i32, ended: bool) {
        self.asked |= [SIGTERM, SIGINT, SIGQUIT].contains(&signal);
        // Once it has ended and was waited for, its number may be another's.
        if let (false, Some(signal)) = (ended, Signal::from_named_raw(signal)) {
            let _ = kill_process_group(self.main, signal);
            let _ = kill_process_group(self.main, Signal::CONT);
        }
    }

    /// What the worker and its descendants have written goes to the log.
    fn relay(&mut self) {
        let mut piece = [0; 65_536];
        while let Some(from) = &self.from {
            match rustix::io::read(from, &mut piece) {
                Ok(0) => self.from = None,
                Ok(length) => self.log.write(&piece[..length]),
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
    }

    fn wait(&self, pause: Option<Duration>) -> io::Result<()> {
        let pause = pause.map(|pause| Timespec {
            tv_sec: pause.as_secs() as i64,
            tv_nsec: pause.subsec_nanos().into(),
        });
        let mut fds = vec![PollFd::new(self.caught.0.get_read(), PollFlags::IN)];
        fds.extend(
            self.from
                .iter()
                .map(|from| PollFd::new(from, PollFlags::IN)),
        );
        match poll(&mut fds, pause.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn end(status: WaitStatus) -> End {
    match status.terminating_signal() {
        Some(signal) => End::Signal(signal),
        None => End::Code(status.exit_status().unwrap_or(0)),
    }
}

fn code(status: WaitStatus) -> ExitCode {
    let shell = |signal: i32| 128 + signal;
    let code = status
        .terminating_signal()
        .map(shell)
        .or(status.exit_status());
    ExitCode::from(code.unwrap_or(0) as u8)
}

/// Signals that are handed on, and that a child has ended.
struct Caught(SignalDelivery<UnixStream, SignalOnly>);

impl Caught {
    fn install() -> io::Result<Caught> {
        let signals = [SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2];
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        Ok(Caught(SignalDelivery::with_pipe(
            read, write, SignalOnly, signals,
        )?))
    }
}
