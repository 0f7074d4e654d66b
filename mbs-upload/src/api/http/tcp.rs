//! The TCP connection below HTTP. The time of a read or a write runs from the last byte that the
//! socket took or gave, so that a slow line is told from one that stands still.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::sockopt::set_socket_send_buffer_size,
};
use ureq::{
    Error, Timeout,
    unversioned::transport::{
        Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
        time::Duration as Limit,
    },
};

use crate::retry::{
    shutdown::{STOPPED, Shutdown},
    timeout::{Clock, Late, Limits},
};

/// Bytes that the system may hold back for us. What it took counts as sent, so that this must be
/// little against what the slowest line moves until it counts as stalled.
const HELD_BACK: usize = 256 << 10;

/// Makes connections.
#[derive(Debug)]
pub(super) struct Tcp(pub(super) Shutdown);

/// One of them.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    buffers: LazyBuffers,
    shutdown: Shutdown,
}

impl<In: Transport> Connector<In> for Tcp {
    type Out = Either<In, Connection>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if let Some(chained) = chained {
            return Ok(Some(Either::A(chained)));
        }
        go_on(&self.0)?;
        let stream = reach(details)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        // A wish; without it a stall is only noticed later.
        let _ = set_socket_send_buffer_size(&stream, HELD_BACK);
        let config = &details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(Either::B(Connection {
            stream,
            buffers,
            shutdown: self.0.clone(),
        })))
    }
}

/// The first address that answers, each having the same share of the time.
fn reach(details: &ConnectionDetails) -> Result<TcpStream, Error> {
    let share = limit(Some(details.timeout.after)) / (details.addrs.len().max(1) as u32);
    let mut last = Error::ConnectionFailed;
    for address in details.addrs.iter() {
        match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))) {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                last = Error::Timeout(Timeout::Connect);
            }
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let mut wait = Wait::new(timeout, timeout.per_write, Timeout::PerWrite);
        let mut rest = &self.buffers.output()[..amount];
        while !rest.is_empty() {
            go_on(&self.shutdown)?;
            match (&self.stream).write(rest) {
                Ok(0) => return Err(io::Error::from(ErrorKind::WriteZero).into()),
                Ok(count) => {
                    rest = &rest[count..];
                    wait.clock.moves(Instant::now());
                }
                Err(error) => wait.after(error, (&self.stream, PollFlags::OUT), &self.shutdown)?,
            }
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let mut wait = Wait::new(timeout, timeout.per_read, Timeout::PerRead);
        loop {
            match (&self.stream).read(self.buffers.input_append_buf()) {
                Ok(count) => {
                    self.buffers.input_appended(count);
                    return Ok(count > 0);
                }
                Err(error) => wait.after(error, (&self.stream, PollFlags::IN), &self.shutdown)?,
            }
        }
    }

    /// Is it still good for another request? Anything to read now is its end.
    fn is_open(&mut self) -> bool {
        let nothing = self.stream.peek(&mut [0]);
        nothing.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

/// A wait for the socket that has an end.
struct Wait {
    clock: Clock,
    stalled: Timeout,
    over: Timeout,
}

impl Wait {
    fn new(timeout: NextTimeout, still: Option<Limit>, stalled: Timeout) -> Wait {
        let limits = Limits {
            stall: limit(still),
            max_time: limit(Some(timeout.after)),
        };
        Wait {
            clock: Clock::new(limits, Instant::now()),
            stalled,
            over: timeout.reason,
        }
    }

    /// Waits for room or news after a read or a write that found none.
    fn after(
        &mut self,
        error: io::Error,
        (stream, what): (&TcpStream, PollFlags),
        shutdown: &Shutdown,
    ) -> Result<(), Error> {
        match error.kind() {
            ErrorKind::WouldBlock => {}
            ErrorKind::Interrupted => return Ok(()),
            _ => return Err(error.into()),
        }
        let now = Instant::now();
        match self.clock.late(now) {
            Some(Late::Stalled) => return Err(Error::Timeout(self.stalled)),
            Some(Late::Over) => return Err(Error::Timeout(self.over)),
            None => {}
        }
        let left = self.clock.deadline().map(|at| {
            // A moment later, so that it is late then.
            let left = at.saturating_duration_since(now) + Duration::from_millis(1);
            Timespec {
                tv_sec: left.as_secs() as i64,
                tv_nsec: i64::from(left.subsec_nanos()),
            }
        });
        let mut fds = [
            PollFd::new(stream, what),
            PollFd::new(shutdown, PollFlags::IN),
        ];
        match poll(&mut fds, left.as_ref()) {
            _ if shutdown.requested() => go_on(shutdown),
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }
}

/// Nothing more leaves once the shutdown is requested, even where there is room for it.
fn go_on(shutdown: &Shutdown) -> Result<(), Error> {
    match shutdown.requested() {
        true => Err(io::Error::other(STOPPED).into()),
        false => Ok(()),
    }
}

fn limit(limit: Option<Limit>) -> Duration {
    match limit {
        Some(Limit::Exact(time)) => time,
        Some(Limit::NotHappening) | None => Duration::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn connected() -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.set_nonblocking(true).unwrap();
        set_socket_send_buffer_size(&stream, 4096).unwrap();
        let buffers = LazyBuffers::new(16384, 8 << 20);
        let shutdown = Shutdown::new().unwrap();
        let connection = Connection {
            stream,
            buffers,
            shutdown,
        };
        (connection, listener.accept().unwrap().0)
    }

    fn timeout(per: u64, after: Limit) -> NextTimeout {
        NextTimeout {
            after,
            reason: Timeout::Global,
            per_read: Some(Limit::from_millis(per)),
            per_write: Some(Limit::from_millis(per)),
        }
    }

    #[test]
    fn a_reader_that_is_slow_is_waited_for_and_one_that_stands_still_is_not() {
        let (mut ours, mut theirs) = connected();
        let reader = std::thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            for _ in 0..24 {
                theirs.read_exact(&mut buffer).unwrap();
                std::thread::sleep(Duration::from_millis(50));
            }
            theirs
        });
        // All of it takes longer than this, but each piece comes sooner.
        let patient = timeout(800, Limit::NotHappening);
        let started = Instant::now();
        ours.transmit_output(24 * (64 << 10), patient).unwrap();
        let mut theirs = reader.join().unwrap();
        assert!(started.elapsed() > Duration::from_millis(800));
        let stalled = ours.transmit_output(8 << 20, timeout(100, Limit::NotHappening));
        assert!(matches!(stalled, Err(Error::Timeout(Timeout::PerWrite))));
        let silent = ours.await_input(timeout(100, Limit::NotHappening));
        assert!(matches!(silent, Err(Error::Timeout(Timeout::PerRead))));
        let over = ours.await_input(timeout(60_000, Limit::from_millis(100)));
        assert!(matches!(over, Err(Error::Timeout(Timeout::Global))));
        ours.shutdown.request();
        let halted = ours.await_input(timeout(60_000, Limit::NotHappening));
        assert!(matches!(halted, Err(Error::Io(_))));
        theirs.set_nonblocking(true).unwrap();
        while matches!(theirs.read(&mut [0; 64 << 10]), Ok(1..)) {}
        let halted = ours.transmit_output(1, timeout(60_000, Limit::NotHappening));
        assert!(matches!(halted, Err(Error::Io(_))), "there was room");
        ours.shutdown = Shutdown::new().unwrap();
        assert!(ours.is_open());
        drop(theirs);
        assert!(
            !ours
                .await_input(timeout(60_000, Limit::NotHappening))
                .unwrap_or(false)
        );
        assert!(!ours.is_open());
    }
}
