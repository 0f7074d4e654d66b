//! What the sockets of a command have moved. Bytes that go by send(2) and recv(2) are counted nowhere in
//! /proc/PID/io, so whoever speaks to a server over a slow line looks silent there.
//!
//! The kernel is asked by sock_diag(7), which has counters for TCP. Where that is refused, and for sockets
//! of another network namespace, there are the lengths of the queues alone, as /proc/PID/net lists them.
//! They tell of UDP as well, and sock_diag those of Unix sockets: what stands in a queue now and not at the
//! next look was moved.

use std::collections::{HashMap, HashSet};

use rustix::process::{Pid, getpid};

use crate::proc;

mod diag;
mod listed;

/// The sockets of a command, by inode.
pub type Sockets = HashMap<u64, Moved>;

/// How far one socket is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Bytes that the other side has acknowledged, and those that were read here, together, where they are
    /// counted.
    pub bytes: Option<u64>,
    /// Bytes that were sent and have not arrived yet.
    pub sending: u32,
    /// Bytes that have arrived and were not read yet.
    pub unread: u32,
}

impl Moved {
    /// Has the command moved anything since? That something arrives which nobody reads is no progress,
    /// nor is a connection that was made and has carried nothing: its first byte is the kernel's own.
    fn is_further(self, before: Option<Moved>) -> bool {
        match before {
            Some(before) => {
                let counted = self.bytes.zip(before.bytes);
                counted.is_some_and(|(now, before)| now > before)
                    || self.sending != before.sending
                    || self.unread < before.unread
            }
            None => self.bytes.is_some_and(|bytes| bytes > 1),
        }
    }
}

/// How many sockets have moved something between two looks.
pub fn moved(now: &Sockets, before: &Sockets) -> u64 {
    let further = |(inode, moved): &(&u64, &Moved)| moved.is_further(before.get(inode).copied());
    now.iter().filter(further).count() as u64
}

/// Asks about these sockets. Those that nothing is known of are left out.
pub fn look(open: &[(Pid, u64)]) -> Sockets {
    let me = getpid();
    let mut places: HashMap<_, (Pid, HashSet<u64>)> = HashMap::new();
    let mut namespaces = HashMap::new();
    for &(pid, inode) in open {
        let namespace = namespaces.entry(pid).or_insert_with(|| proc::network(pid));
        let place = places.entry(namespace.clone());
        place.or_insert((pid, HashSet::new())).1.insert(inode);
    }
    let ours = proc::network(me);
    let ask = |(namespace, (pid, inodes)): (Option<_>, (Pid, HashSet<u64>))| {
        // A namespace that must not be seen is most likely ours.
        let here = namespace.is_none() || namespace == ours;
        let told = here.then(|| diag::ask(&inodes).ok()).flatten();
        told.unwrap_or_else(|| listed::read(pid, &inodes))
    };
    places.into_iter().flat_map(ask).collect()
}

#[cfg(test)]
mod tests;
