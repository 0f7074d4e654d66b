//! SIGINT and SIGTERM: finish what is in flight, then die by the signal, so that the parent sees
//! what happened. A second signal ends the process at once.

use std::{
    io,
    os::{fd::AsFd, unix::net::UnixStream},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use rustix::event::{PollFd, PollFlags, poll};
use signal_hook::consts::{SIGINT, SIGTERM};

struct Stop {
    asked: Arc<AtomicBool>,
    by: Arc<AtomicUsize>,
    wake: UnixStream,
}

static STOP: OnceLock<Stop> = OnceLock::new();

/// Takes over SIGINT and SIGTERM. Called once, by [`Tool::run`](crate::Tool::run).
pub fn install() -> io::Result<()> {
    let asked = Arc::new(AtomicBool::new(false));
    let by = Arc::new(AtomicUsize::new(0));
    let (wake, signalled) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM] {
        // Order matters: the second signal must find the flag that the first one set.
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&asked))?;
        signal_hook::flag::register_usize(signal, Arc::clone(&by), signal as usize)?;
        signal_hook::flag::register(signal, Arc::clone(&asked))?;
        signal_hook::low_level::pipe::register(signal, signalled.try_clone()?)?;
    }
    STOP.get_or_init(|| Stop { asked, by, wake });
    Ok(())
}

/// Has a signal asked this process to stop?
pub fn requested() -> bool {
    STOP.get()
        .is_some_and(|stop| stop.asked.load(Ordering::Relaxed))
}

/// Ends the process by the signal that asked it to stop, if one did.
pub fn die_if_requested() {
    if let Some(stop) = STOP.get()
        && requested()
    {
        let signal = stop.by.load(Ordering::Relaxed) as i32;
        let _ = signal_hook::low_level::emulate_default_handler(signal);
    }
}

/// Waits until `input` can be read, or a stop is requested, or `timeout` has passed.
/// Says whether there is something to read (an end of file counts).
pub fn readable(input: impl AsFd, timeout: Option<std::time::Duration>) -> io::Result<bool> {
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
            if readable(&self.0, None)? {
                // Not through std's own buffer: what poll does not see must not be held back there.
                return rustix::io::read(&self.0, buffer).map_err(Into::into);
            }
        }
        Ok(0)
    }
}
