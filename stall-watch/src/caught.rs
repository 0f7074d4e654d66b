//! The signals that we are sent: handed on to the command, or telling that a child has ended.

use std::{io, os::unix::net::UnixStream};

use rustix::event::{PollFd, PollFlags};
use signal_hook::{
    consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM},
    iterator::{backend::SignalDelivery, exfiltrator::SignalOnly},
};
use stall_watch::proc::Proc;

/// Signals caught from now on.
pub(crate) struct Caught(SignalDelivery<UnixStream, SignalOnly>);

impl Caught {
    /// Those that were ignored when we were started (nohup, `&` in a script) stay so, for the command,
    /// too.
    pub(crate) fn install(proc: &Proc) -> io::Result<Caught> {
        let mut signals = vec![SIGTERM, SIGCHLD];
        let ignored = proc.ignored().unwrap_or(0);
        let heeded = |signal: &i32| ignored >> (signal - 1) & 1 == 0;
        signals.extend([SIGHUP, SIGINT, SIGQUIT].into_iter().filter(heeded));
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        Ok(Caught(SignalDelivery::with_pipe(
            read, write, SignalOnly, signals,
        )?))
    }

    pub(crate) fn poll(&self) -> PollFd<'_> {
        PollFd::new(self.0.get_read(), PollFlags::IN)
    }

    /// Those that ask us to end, since the last call.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = i32> {
        self.0.pending().filter(|&signal| signal != SIGCHLD)
    }
}
