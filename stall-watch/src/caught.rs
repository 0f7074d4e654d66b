//! The signals that a watchdog is sent. They wake whoever waits for its descriptor.

use std::{io, os::unix::net::UnixStream};

use rustix::event::{PollFd, PollFlags};
use signal_hook::{
    consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM},
    iterator::{backend::SignalDelivery, exfiltrator::SignalOnly},
};

use crate::proc;

/// Those that ask a program to end.
pub const STOP_SIGNALS: [i32; 4] = [SIGTERM, SIGINT, SIGHUP, SIGQUIT];

/// Signals caught from now on.
#[derive(Debug)]
pub struct Caught(SignalDelivery<UnixStream, SignalOnly>);

impl Caught {
    /// Catches [`STOP_SIGNALS`], SIGCHLD and `others`. Those that were ignored when we were started (nohup, `&` in a
    /// script) stay so, for what we start, too.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn install(others: &[i32]) -> io::Result<Caught> {
        let ignored = proc::ignored();
        let heeded = |signal: &&i32| **signal > 31 || ignored >> (**signal - 1) & 1 == 0;
        let mut signals = vec![SIGCHLD];
        signals.extend(STOP_SIGNALS.iter().chain(others).filter(heeded));
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        let caught = SignalDelivery::with_pipe(read, write, SignalOnly, signals)?;
        wire::stop::unblock_signals()?;
        Ok(Caught(caught))
    }

    /// Readable when one has come.
    pub fn poll(&self) -> PollFd<'_> {
        PollFd::new(self.0.get_read(), PollFlags::IN)
    }

    /// Those that have come since the last call.
    pub fn take(&mut self) -> Vec<i32> {
        self.0.pending().collect()
    }
}
