//! /proc/PID/net: the queues of the sockets in a network namespace.

use std::collections::HashSet;

use rustix::process::Pid;

use super::{Moved, Sockets};
use crate::proc;

const LISTS: [&str; 4] = ["tcp", "tcp6", "udp", "udp6"];

/// These sockets of the namespace that the process is in.
pub(super) fn read(pid: Pid, wanted: &HashSet<u64>) -> Sockets {
    let lists = LISTS.iter().filter_map(|list| proc::net(pid, list));
    lists.flat_map(|text| parse(&text, wanted)).collect()
}

pub(super) fn parse(text: &str, wanted: &HashSet<u64>) -> Sockets {
    let socket = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let inode = words.get(9)?.parse().ok()?;
        let (sending, unread) = words.get(4)?.split_once(':')?;
        let length = |hex| u32::from_str_radix(hex, 16).ok();
        let moved = Moved {
            bytes: None,
            sending: length(sending)?,
            unread: length(unread)?,
        };
        wanted.contains(&inode).then_some((inode, moved))
    };
    text.lines().skip(1).filter_map(socket).collect()
}
