//! What the connection's thread waits for, and how long.

use std::{io::Read, os::fd::AsFd, time::Duration};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::api::engine::{
    pump::{DEAD_AFTER, PING_AFTER, Pump},
    socket::descriptor,
};

impl Pump {
    /// Time until the connection must be asked whether it lives, or given up.
    pub(super) fn until_ping(&self) -> Option<Duration> {
        self.socket.as_ref()?;
        let limit = if self.pinged {
            PING_AFTER + DEAD_AFTER
        } else {
            PING_AFTER
        };
        Some(limit.saturating_sub(self.heard.elapsed()) + Duration::from_millis(1))
    }

    /// Sleeps until something comes from the server or from a caller, or `limit` has passed.
    pub(super) fn wait(&mut self, limit: Option<Duration>) {
        let limit = limit.map(|limit| Timespec {
            tv_sec: limit.as_secs() as i64,
            tv_nsec: i64::from(limit.subsec_nanos()),
        });
        let wake = self.woken.as_fd();
        let mut fds = vec![PollFd::new(&wake, PollFlags::IN)];
        let socket = self.socket.as_ref().map(descriptor);
        if let Some(socket) = &socket {
            let room = if self.blocked {
                PollFlags::OUT
            } else {
                PollFlags::empty()
            };
            fds.push(PollFd::new(socket, PollFlags::IN | room));
        }
        // Once requested it can be read for ever.
        if !self.shutdown.requested() {
            fds.push(PollFd::new(&self.shutdown, PollFlags::IN));
        }
        // An interruption only makes us look around once more.
        let _ = poll(&mut fds, limit.as_ref());
        drop(fds);
        let mut nudges = [0; 256];
        while matches!(self.woken.read(&mut nudges), Ok(count) if count == nudges.len()) {}
    }
}
