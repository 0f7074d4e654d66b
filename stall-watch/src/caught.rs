//! The signals that we are sent: handed on to the command, or telling that a child has ended.

use std::{io, os::unix::net::UnixStream};

use rustix::event::{PollFd, PollFlags};
use signal_hook::{
    consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1},
    iterator::{backend::SignalDelivery, exfiltrator::SignalOnly},
};
use stall_watch::proc::Proc;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To end, by this signal.
    End(i32),
    /// To say how far the command is. It does not hear of it: it might die.
    Tell,
}

/// Signals caught from now on.
pub(crate) struct Caught(SignalDelivery<UnixStream, SignalOnly>);

impl Caught {
    /// Those that were ignored when we were started (nohup, `&` in a script) stay so, for the command,
    /// too.
    pub(crate) fn install(proc: &Proc) -> io::Result<Caught> {
        let mut signals = vec![SIGCHLD];
        let ignored = proc.ignored().unwrap_or(0);
        let heeded = |signal: &i32| ignored >> (signal - 1) & 1 == 0;
        let wanted = [SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1];
        signals.extend(wanted.into_iter().filter(heeded));
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        let caught = SignalDelivery::with_pipe(read, write, SignalOnly, signals)?;
        wire::stop::unblock_signals()?;
        Ok(Caught(caught))
    }

    pub(crate) fn poll(&self) -> PollFd<'_> {
        PollFd::new(self.0.get_read(), PollFlags::IN)
    }

    /// Those that ask for something, since the last call.
    pub(crate) fn take(&mut self) -> Vec<Asked> {
        let asked = |signal| match signal {
            SIGCHLD => None,
            SIGUSR1 => Some(Asked::Tell),
            _ => Some(Asked::End(signal)),
        };
        self.0.pending().filter_map(asked).collect()
    }
}
