//! The signals that the pool is sent.

use std::{io, os::unix::net::UnixStream};

use rustix::event::{PollFd, PollFlags};
use signal_hook::{
    consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2},
    iterator::{backend::SignalDelivery, exfiltrator::SignalOnly},
};
use stall_watch::proc::Proc;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// End, by this signal.
    Stop(i32),
    /// Read the parameters again.
    Reload,
    /// One worker less.
    Less,
    /// One worker more.
    More,
}

/// Signals caught from now on.
pub(crate) struct Asked(SignalDelivery<UnixStream, SignalOnly>);

impl Asked {
    /// ^C stays ignored for a job in the background of a script.
    pub(crate) fn install(proc: &Proc) -> io::Result<Asked> {
        let mut signals = vec![SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD];
        let ignored = proc.ignored().unwrap_or(0);
        if ignored >> (SIGINT - 1) & 1 == 0 {
            signals.push(SIGINT);
        }
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        Ok(Asked(SignalDelivery::with_pipe(
            read, write, SignalOnly, signals,
        )?))
    }

    pub(crate) fn poll(&self) -> PollFd<'_> {
        PollFd::new(self.0.get_read(), PollFlags::IN)
    }

    /// Since the last call.
    pub(crate) fn take(&mut self) -> Vec<Wish> {
        let wish = |signal| match signal {
            SIGTERM | SIGINT => Some(Wish::Stop(signal)),
            SIGHUP => Some(Wish::Reload),
            SIGUSR1 => Some(Wish::Less),
            SIGUSR2 => Some(Wish::More),
            _ => None,
        };
        self.0.pending().filter_map(wish).collect()
    }
}
