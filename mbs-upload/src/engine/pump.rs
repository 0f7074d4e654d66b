//! The thread that keeps the connection: sends calls, hands out what is heard, pings, reconnects.

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read},
    os::{fd::AsFd, unix::net::UnixStream},
    sync::mpsc::{Receiver, Sender},
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tungstenite::{Error, Message};

use super::{
    Event, message,
    socket::{Address, Socket, descriptor},
};
use crate::{
    api::Api,
    attempt::{Policy, chance},
    failure::Failure,
};

/// A connection on which nothing came for so long is asked whether it lives.
const PING_AFTER: Duration = Duration::from_secs(20);
/// And so long after that it is taken for dead.
const DEAD_AFTER: Duration = Duration::from_secs(25);

pub(super) enum Command {
    Call {
        id: u64,
        frame: String,
        events: Sender<Event>,
    },
    Forget(u64),
    Quit,
}

struct Pending {
    frame: String,
    events: Sender<Event>,
    sent: bool,
    started: bool,
    overtaken: bool,
}

pub(super) struct Pump {
    address: Address,
    api: Api,
    policy: Policy,
    socket: Option<Socket>,
    commands: Receiver<Command>,
    woken: UnixStream,
    pending: BTreeMap<u64, Pending>,
    heard: Instant,
    pinged: bool,
    /// Bytes wait for room in the socket.
    blocked: bool,
    /// Connections made in a row on which nothing was heard.
    tries: u32,
    quit: bool,
}

impl Pump {
    pub(super) fn new(
        address: Address,
        api: Api,
        policy: Policy,
        socket: Socket,
        commands: Receiver<Command>,
        woken: UnixStream,
    ) -> Pump {
        Pump {
            address,
            api,
            policy,
            socket: Some(socket),
            commands,
            woken,
            pending: BTreeMap::new(),
            heard: Instant::now(),
            pinged: false,
            blocked: false,
            tries: 0,
            quit: false,
        }
    }

    pub(super) fn run(mut self) {
        while !self.quit {
            if self.socket.is_none() && !self.pending.is_empty() {
                self.reconnect();
            }
            if self.converse().is_err() {
                self.socket = None;
            } else {
                self.wait(self.until_ping());
            }
            self.take_commands();
        }
        if let Some(socket) = &mut self.socket {
            // Courtesy only; the process goes away whether the server hears of it or not.
            let _ = socket.close(None);
            let _ = socket.flush();
        }
    }

    /// Sends what is to be sent and hands out what has come. An error ends the connection.
    fn converse(&mut self) -> Result<(), Error> {
        let Some(socket) = &mut self.socket else {
            return Ok(());
        };
        for pending in self.pending.values_mut().filter(|pending| !pending.sent) {
            pending.sent = true;
            not_now(socket.write(Message::text(pending.frame.as_str())))?;
        }
        if self.heard.elapsed() >= PING_AFTER + DEAD_AFTER {
            return Err(Error::ConnectionClosed);
        }
        if self.heard.elapsed() >= PING_AFTER && !self.pinged {
            self.pinged = true;
            not_now(socket.write(Message::Ping(Vec::new().into())))?;
        }
        let flushed = socket.flush();
        self.blocked = flushed.is_err();
        not_now(flushed)?;
        let mut news = Vec::new();
        let end = loop {
            match socket.read() {
                Ok(Message::Text(text)) => news.extend(message::read(text.as_str())),
                Ok(Message::Close(_)) => break Err(Error::ConnectionClosed),
                Ok(_) => {}
                Err(error) => break not_now(Err(error)),
            }
            self.heard = Instant::now();
            self.pinged = false;
            self.tries = 0;
        };
        for (id, event) in news {
            self.tell(id, event);
        }
        end
    }

    fn tell(&mut self, id: u64, event: Event) {
        if event == Event::Started {
            for (_, earlier) in self.pending.range_mut(..id) {
                if !earlier.started && !earlier.overtaken {
                    earlier.overtaken = true;
                    let _ = earlier.events.send(Event::Overtaken);
                }
            }
        }
        let last = matches!(event, Event::Done(_) | Event::Failed(_) | Event::Refused(_));
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.started |= event == Event::Started;
            // A caller that has gone needs no news.
            let _ = pending.events.send(event);
        }
        if last {
            self.pending.remove(&id);
        }
    }

    fn reconnect(&mut self) {
        loop {
            // Counted until something is heard: an engine may take a connection and drop it at once.
            if self.tries > 0 {
                let end = Instant::now() + self.policy.pause(self.tries, chance());
                while Instant::now() < end && !self.quit {
                    self.wait(Some(end.saturating_duration_since(Instant::now())));
                    self.take_commands();
                }
                if self.quit {
                    return;
                }
            }
            self.tries += 1;
            let failure = match self.address.connect(&self.api) {
                Ok(_) if self.tries > self.policy.retries + 1 => {
                    Failure::NoAnswer("the engine drops each connection at once".into())
                }
                Ok(socket) => {
                    self.socket = Some(socket);
                    (self.heard, self.pinged) = (Instant::now(), false);
                    for pending in self.pending.values().filter(|pending| pending.sent) {
                        let _ = pending.events.send(Event::Reconnected);
                    }
                    return;
                }
                Err(failure) => failure,
            };
            if self.tries > self.policy.retries {
                self.tries = 0;
                for (_, pending) in std::mem::take(&mut self.pending) {
                    let _ = pending.events.send(Event::Gone(failure.to_string()));
                }
                return;
            }
        }
    }

    fn take_commands(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Call { id, frame, events } => {
                    let pending = Pending {
                        frame,
                        events,
                        sent: false,
                        started: false,
                        overtaken: false,
                    };
                    self.pending.insert(id, pending);
                }
                Command::Forget(id) => {
                    self.pending.remove(&id);
                }
                Command::Quit => self.quit = true,
            }
        }
    }

    /// Time until the connection must be asked whether it lives, or given up.
    fn until_ping(&self) -> Option<Duration> {
        self.socket.as_ref()?;
        let limit = if self.pinged {
            PING_AFTER + DEAD_AFTER
        } else {
            PING_AFTER
        };
        Some(limit.saturating_sub(self.heard.elapsed()) + Duration::from_millis(1))
    }

    /// Sleeps until something comes from the server or from a caller, or `limit` has passed.
    fn wait(&mut self, limit: Option<Duration>) {
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
        // An interruption only makes us look around once more.
        let _ = poll(&mut fds, limit.as_ref());
        drop(fds);
        let mut nudges = [0; 256];
        while matches!(self.woken.read(&mut nudges), Ok(count) if count == nudges.len()) {}
    }
}

/// A socket that has no room or no news just now is no error.
fn not_now(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        other => other,
    }
}
