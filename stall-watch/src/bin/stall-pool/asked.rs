//! The signals that the pool is sent.

use std::{io, os::unix::net::UnixStream};

use rustix::event::{PollFd, PollFlags};
use signal_hook::{
    consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2},
    iterator::{backend::SignalDelivery, exfiltrator::SignalOnly},
};
use stall_watch::proc::Proc;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// End, by this signal.
    Stop(i32),
    /// Say how it stands.
    Tell,
    /// Read the parameters again.
    Reload,
    /// One worker less.
    Less,
    /// One worker more.
    More,
}

/// SIGRTMIN+1 and SIGRTMIN+2, as kill(1) calls them.
const LESS: i32 = 35;
const MORE: i32 = 36;

/// Signals caught from now on.
pub(crate) struct Asked(SignalDelivery<UnixStream, SignalOnly>);

impl Asked {
    /// What came ignored stays so, as ^C for a job in the background of a script.
    pub(crate) fn install(proc: &Proc) -> io::Result<Asked> {
        let ignored = proc.ignored().unwrap_or(0);
        let heeded = |signal: &i32| *signal > 31 || ignored >> (signal - 1) & 1 == 0;
        let wanted = [
            SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, LESS, MORE,
        ];
        let mut signals: Vec<i32> = wanted.into_iter().filter(heeded).collect();
        signals.push(SIGCHLD);
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        let asked = SignalDelivery::with_pipe(read, write, SignalOnly, signals)?;
        wire::stop::unblock_signals()?;
        Ok(Asked(asked))
    }

    pub(crate) fn poll(&self) -> PollFd<'_> {
        PollFd::new(self.0.get_read(), PollFlags::IN)
    }

    /// Since the last call.
    pub(crate) fn take(&mut self) -> Vec<Wish> {
        let wish = |signal| match signal {
            SIGTERM | SIGINT | SIGHUP | SIGQUIT => Some(Wish::Stop(signal)),
            SIGUSR1 => Some(Wish::Tell),
            SIGUSR2 => Some(Wish::Reload),
            LESS => Some(Wish::Less),
            MORE => Some(Wish::More),
            _ => None,
        };
        self.0.pending().filter_map(wish).collect()
    }
}
