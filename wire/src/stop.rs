//! SIGINT, SIGTERM, SIGHUP and SIGQUIT: finish what is in flight, then die by the signal, so that the
//! parent sees what happened. A second one ends the process at once. SIGUSR1: say how far it is.

use std::{
    io,
    os::{fd::AsFd, unix::net::UnixStream},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use nix::sys::signal::SigSet;
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Resource, Rlimit, getpid, setrlimit},
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1},
    flag, low_level,
};

struct Stop {
    asked: Arc<AtomicBool>,
    by: Arc<AtomicUsize>,
    wake: UnixStream,
    progress: Arc<AtomicBool>,
}

static STOP: OnceLock<Stop> = OnceLock::new();

/// Takes over the signals that ask to stop, and SIGUSR1. Called once, by
/// [`Tool::run`](crate::Tool::run), before any thread is started.
///
/// Whoever started us may have blocked some; they are let through. What it had us ignore (`nohup`, `&` in
/// a script) stays ignored.
///
/// # Errors
/// No descriptors are left.
pub fn install() -> io::Result<()> {
    let (wake, signalled) = UnixStream::pair()?;
    let stop = Stop {
        asked: Arc::default(),
        by: Arc::default(),
        wake,
        progress: Arc::default(),
    };
    let ignored = ignored();
    let heeded = |signal: &i32| ignored >> (signal - 1) & 1 == 0;
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT]
        .into_iter()
        .filter(heeded)
    {
        // Order matters: the second signal must find the flag that the first one set.
        let asked = || Arc::clone(&stop.asked);
        match is_init() {
            true => flag::register_conditional_shutdown(signal, 128 + signal, asked())?,
            false => flag::register_conditional_default(signal, asked())?,
        };
        flag::register_usize(signal, Arc::clone(&stop.by), signal as usize)?;
        flag::register(signal, asked())?;
        low_level::pipe::register(signal, signalled.try_clone()?)?;
    }
    if heeded(&SIGUSR1) {
        flag::register(SIGUSR1, Arc::clone(&stop.progress))?;
    }
    unblock_signals()?;
    STOP.get_or_init(|| stop);
    Ok(())
}

/// Lets signals through that came blocked, to this thread and those that it starts.
///
/// # Errors
/// Never on Linux.
pub fn unblock_signals() -> io::Result<()> {
    Ok(SigSet::all().thread_unblock()?)
}

/// Has a signal asked this process to stop?
pub fn requested() -> bool {
    STOP.get()
        .is_some_and(|stop| stop.asked.load(Ordering::Relaxed))
}

/// Was SIGUSR1 sent since the last call? Who asks has to say how far it is.
pub fn progress_wanted() -> bool {
    STOP.get()
        .is_some_and(|stop| stop.progress.swap(false, Ordering::Relaxed))
}

/// Ends the process by the signal that asked it to stop, if one did.
pub fn die_if_requested() {
    if let Some(stop) = STOP.get()
        && requested()
    {
        die_by(stop.by.load(Ordering::Relaxed) as i32);
    }
}

/// From now on a signal that asks to stop ends the process at once: it waits where nothing can wake it, and
/// has nothing to finish.
///
/// # Errors
/// The thread that watches cannot be started.
pub fn die_on_signal() -> io::Result<()> {
    let watch = || {
        while !sleep(std::time::Duration::from_secs(3600)) {}
        die_if_requested();
    };
    let thread = std::thread::Builder::new().name("stop".into());
    thread.spawn(watch).map(drop)
}

/// Ends the process by this signal, or with the code that a shell makes of that: the first process of a
/// container cannot send itself one, and the attempt would end it by SIGSEGV.
#[expect(
    clippy::exit,
    reason = "there is no other way to end by a signal that is not heeded"
)]
pub fn die_by(signal: i32) {
    if is_init() {
        std::process::exit(128 + signal);
    }
    // SIGQUIT would leave a core, with passwords in it.
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = setrlimit(Resource::Core, none);
    let _ = low_level::emulate_default_handler(signal);
}

/// Are we the first process of a container?
fn is_init() -> bool {
    getpid().is_init()
}

/// The signals that were ignored when we were started, a bit each; where /proc is not there, none.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok())
        .unwrap_or(0)
}

/// Waits until `input` can be read, or a stop is requested, or `timeout` has passed.
/// Says whether there is something to read (an end of file counts).
pub fn wait_readable(input: impl AsFd, timeout: Option<std::time::Duration>) -> io::Result<bool> {
    let timeout = timeout.map(|t| rustix::event::Timespec {
        tv_sec: t.as_secs() as i64,
        tv_nsec: i64::from(t.subsec_nanos()),
    });
    let input = input.as_fd();
    let Some(stop) = STOP.get() else {
        return Ok(true);
    };
    let mut fds = [
        PollFd::new(&input, PollFlags::IN),
        PollFd::new(&stop.wake, PollFlags::IN),
    ];
    match poll(&mut fds, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(!requested() && !fds[0].revents().is_empty()),
        Err(error) => Err(error.into()),
    }
}

/// Sleeps, but no longer than until a stop is requested. Says whether it was.
pub fn sleep(time: std::time::Duration) -> bool {
    let end = std::time::Instant::now() + time;
    while !requested() {
        let left = end.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() {
            return false;
        }
        match STOP.get() {
            Some(stop) => {
                let limit = rustix::event::Timespec {
                    tv_sec: left.as_secs() as i64,
                    tv_nsec: i64::from(left.subsec_nanos()),
                };
                let _ = poll(&mut [PollFd::new(&stop.wake, PollFlags::IN)], Some(&limit));
            }
            None => std::thread::sleep(left),
        }
    }
    true
}

/// Standard input that ends when a stop is requested, instead of blocking for ever in a read.
pub struct Stdin(io::Stdin);

/// Standard input, to be wrapped in a buffered reader once.
pub fn stdin() -> Stdin {
    Stdin(io::stdin())
}

impl io::Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !requested() {
            if wait_readable(&self.0, None)? {
                // Not through std's own buffer: what poll does not see must not be held back there.
                return rustix::io::read(&self.0, buffer).map_err(Into::into);
            }
        }
        Ok(0)
    }
}
