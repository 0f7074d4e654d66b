//! sock_diag(7): the kernel is asked about sockets through a netlink(7) socket.

use std::{
    collections::HashSet,
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto, netlink, recv, send,
        socket_with,
    },
};

use super::{Moved, Sockets};

// linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h, linux/unix_diag.h
const ERROR: u16 = 2;
const DONE: u16 = 3;
const BY_FAMILY: u16 = 20;
const REQUEST: u16 = 1;
const DUMP: u16 = 0x300;
const HEAD: usize = 16;
const INET_BODY: usize = 72;
const INET_INFO: u16 = 2;
const UNIX_BODY: usize = 16;
const UNIX_QUEUES: u16 = 4;
const SHOW_QUEUES: u32 = 0x10;
/// Those that are connected, or were: neither listening nor forgotten by their process.
const STATES: u32 = 1 << 1 | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 11;

/// What the kernel says of these sockets of our network namespace.
///
/// # Errors
/// It is not to be asked here.
pub(super) fn ask(wanted: &HashSet<u64>) -> io::Result<Sockets> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let kernel = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        flags,
        Some(netlink::SOCK_DIAG),
    )?;
    let mut found = Sockets::new();
    let all = |found: &Sockets| found.len() == wanted.len();
    let (inet, inet6) = (AddressFamily::INET, AddressFamily::INET6);
    dump(&kernel, inet, ipproto::TCP, wanted, &mut found)?;
    for (family, protocol) in [
        (inet6, ipproto::TCP),
        (inet, ipproto::UDP),
        (inet6, ipproto::UDP),
    ] {
        if !all(&found) {
            // Not every kernel has all of them.
            let _ = dump(&kernel, family, protocol, wanted, &mut found);
        }
    }
    for inode in wanted {
        if !found.contains_key(inode) {
            let _ = exchange(&kernel, &unix_request(*inode), wanted, &mut found);
        }
    }
    Ok(found)
}

fn dump(
    kernel: &OwnedFd,
    family: AddressFamily,
    protocol: rustix::net::Protocol,
    wanted: &HashSet<u64>,
    found: &mut Sockets,
) -> io::Result<()> {
    let mut body = [0; 56];
    (body[0], body[1]) = (family.as_raw() as u8, protocol.as_raw().get() as u8);
    body[2] = 1 << (INET_INFO - 1);
    body[4..8].copy_from_slice(&STATES.to_ne_bytes());
    exchange(kernel, &request(DUMP, &body), wanted, found)
}

fn unix_request(inode: u64) -> Vec<u8> {
    let mut body = [0; 24];
    body[0] = AddressFamily::UNIX.as_raw() as u8;
    body[4..8].copy_from_slice(&u32::MAX.to_ne_bytes());
    body[8..12].copy_from_slice(&(inode as u32).to_ne_bytes());
    body[12..16].copy_from_slice(&SHOW_QUEUES.to_ne_bytes());
    // Any cookie.
    body[16..24].copy_from_slice(&u64::MAX.to_ne_bytes());
    request(0, &body)
}

fn request(flags: u16, body: &[u8]) -> Vec<u8> {
    let length = (HEAD + body.len()) as u32;
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(BY_FAMILY.to_ne_bytes());
    message.extend((REQUEST | flags).to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    message
}

/// Sends a request, and reads its answer to the end.
fn exchange(
    kernel: impl AsFd,
    request: &[u8],
    wanted: &HashSet<u64>,
    found: &mut Sockets,
) -> io::Result<()> {
    let kernel = kernel.as_fd();
    let is_dump = u16_at(request, 6).is_some_and(|flags| flags & DUMP != 0);
    send(kernel, request, SendFlags::empty())?;
    let mut piece = vec![0; 32 << 10];
    loop {
        let (_, length) = recv(kernel, piece.as_mut_slice(), RecvFlags::empty())?;
        let more = answer(&piece[..length], wanted, found)?;
        if !(is_dump && more && length > 0) {
            return Ok(());
        }
    }
}

/// Reads one piece of an answer. Says whether there are more.
///
/// # Errors
/// The kernel refuses.
pub(super) fn answer(
    mut piece: &[u8],
    wanted: &HashSet<u64>,
    found: &mut Sockets,
) -> io::Result<bool> {
    while let (Some(length), Some(kind)) = (u32_at(piece, 0), u16_at(piece, 4)) {
        let Some(body) = piece.get(HEAD..length as usize) else {
            break;
        };
        match kind {
            DONE | ERROR => {
                let code = u32_at(body, 0).map_or(0, |code| code as i32);
                return match code {
                    0.. => Ok(false),
                    _ => Err(Errno::from_raw_os_error(code.wrapping_neg()).into()),
                };
            }
            BY_FAMILY => {
                let socket = socket(body).filter(|(inode, _)| wanted.contains(inode));
                found.extend(socket);
            }
            _ => {}
        }
        piece = piece.get(aligned(length as usize)..).unwrap_or_default();
    }
    Ok(true)
}

fn socket(body: &[u8]) -> Option<(u64, Moved)> {
    if u16::from(*body.first()?) == AddressFamily::UNIX.as_raw() {
        let queues = attribute(body.get(UNIX_BODY..)?, UNIX_QUEUES)?;
        let moved = Moved {
            bytes: None,
            unread: u32_at(queues, 0)?,
            sending: u32_at(queues, 4)?,
        };
        return Some((u32_at(body, 4)?.into(), moved));
    }
    let (unread, sending) = (u32_at(body, 56)?, u32_at(body, 60)?);
    // struct tcp_info: acknowledged, received. What arrived and waits to be read is not counted.
    let counters = attribute(body.get(INET_BODY..)?, INET_INFO);
    let counter = |at: usize| {
        let bytes = counters?.get(at..at + 8)?;
        Some(u64::from_ne_bytes(bytes.try_into().ok()?))
    };
    let counted = counter(120).zip(counter(128));
    let sum = |(acknowledged, received): (u64, u64)| {
        acknowledged.saturating_add(received.saturating_sub(unread.into()))
    };
    let moved = Moved {
        bytes: counted.map(sum),
        sending,
        unread,
    };
    Some((u32_at(body, 68)?.into(), moved))
}

fn attribute(mut list: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16_at(list, 0)?);
        let value = list.get(4..length)?;
        if u16_at(list, 2)? == wanted {
            return Some(value);
        }
        list = list.get(aligned(length)..)?;
    }
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
