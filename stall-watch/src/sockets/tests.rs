use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    os::{fd::AsFd, unix::net::UnixStream},
};

use super::*;

fn inode(socket: &impl AsFd) -> u64 {
    rustix::fs::fstat(socket).unwrap().st_ino
}

/// How they are seen by either way of asking.
fn both_ways(sockets: &[u64]) -> [Sockets; 2] {
    let wanted: HashSet<u64> = sockets.iter().copied().collect();
    let told = diag::ask(&wanted).unwrap();
    [told, listed::read(getpid(), &wanted)]
}

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("[::1]:0").or_else(|_| TcpListener::bind("127.0.0.1:0"));
    let listener = listener.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

#[test]
fn bytes_that_arrive_and_are_not_read_are_the_other_side_s_progress() {
    let (mut here, mut there) = pair();
    let (a, b) = (inode(&here), inode(&there));
    let before = both_ways(&[a, b]);
    here.write_all(b"a book").unwrap();
    // Over the loopback it has arrived by now; what is acknowledged is counted.
    let after = both_ways(&[a, b]);
    assert!(after[0][&a].is_further(Some(before[0][&a])));
    for way in [0, 1] {
        assert_eq!(after[way][&b].unread, 6);
        assert!(!after[way][&b].is_further(Some(before[way][&b])));
    }
    there.read_exact(&mut [0; 6]).unwrap();
    let read = both_ways(&[a, b]);
    for way in [0, 1] {
        assert!(read[way][&b].is_further(Some(after[way][&b])));
        assert!(!read[way][&a].is_further(Some(after[way][&a])));
    }
}

#[test]
fn a_connection_alone_is_no_progress_and_one_that_carried_something_is() {
    let (mut here, _there) = pair();
    let now = |socket: &TcpStream| both_ways(&[inode(socket)])[0].clone();
    let nothing = Sockets::new();
    assert_eq!(moved(&now(&here), &nothing), 0);
    here.write_all(b"x").unwrap();
    assert_eq!(moved(&now(&here), &nothing), 1);
    assert_eq!(moved(&nothing, &now(&here)), 0);
}

#[test]
fn queues_tell_of_unix_sockets_and_udp() {
    let (mut here, there) = UnixStream::pair().unwrap();
    let ask = |socket: u64| both_ways(&[socket])[0][&socket];
    let before = ask(inode(&here));
    here.write_all(b"12345").unwrap();
    assert!(ask(inode(&here)).is_further(Some(before)));
    assert_eq!(ask(inode(&there)).unread, 5);
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = udp.local_addr().unwrap();
    UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .send_to(b"1", to)
        .unwrap();
    let full = both_ways(&[inode(&udp)]).map(|way| way[&inode(&udp)]);
    udp.recv_from(&mut [0; 9]).unwrap();
    let read = both_ways(&[inode(&udp)]).map(|way| way[&inode(&udp)]);
    assert!(
        [0, 1]
            .iter()
            .all(|way| read[*way].is_further(Some(full[*way])))
    );
    assert!(
        ![0, 1]
            .iter()
            .any(|way| full[*way].is_further(Some(read[*way])))
    );
}

#[test]
fn of_many_sockets_only_those_asked_for_are_told() {
    let pairs: Vec<_> = (0..200).map(|_| pair()).collect();
    let wanted: Vec<u64> = pairs
        .iter()
        .take(150)
        .map(|(here, _)| inode(here))
        .collect();
    for way in both_ways(&wanted) {
        assert_eq!(way.len(), 150);
    }
}

#[test]
fn half_an_answer_and_a_refusal_are_no_sockets() {
    let wanted = HashSet::from([7]);
    let message = |length: u32, kind: u16, body: &[u8]| {
        let mut message = length.to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend([0; 10]);
        message.extend(body);
        message
    };
    let ask = |piece: &[u8]| {
        let mut found = Sockets::new();
        let more = diag::answer(piece, &wanted, &mut found).map_err(|error| error.kind());
        (more, found.len())
    };
    assert_eq!(ask(&[]), (Ok(true), 0));
    assert_eq!(ask(&[1, 2, 3]), (Ok(true), 0));
    assert_eq!(ask(&message(0, 20, &[])), (Ok(true), 0));
    assert_eq!(ask(&message(4000, 20, &[2; 60])), (Ok(true), 0));
    assert_eq!(ask(&message(36, 20, &[2; 20])), (Ok(true), 0));
    assert_eq!(ask(&message(20, 3, &[0; 4])), (Ok(false), 0));
    let refused = (-13_i32).to_ne_bytes();
    for kind in [2, 3] {
        let (more, _) = ask(&message(20, kind, &refused));
        assert_eq!(more, Err(std::io::ErrorKind::PermissionDenied));
    }
    assert_eq!(
        listed::parse("head\n 0: 1 2 0A zz 0 0 0 0 7 1\n 1: 1", &wanted),
        Sockets::new()
    );
}
