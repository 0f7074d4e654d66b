//! The thread that keeps the connection: sends calls, hands out what is heard, pings, reconnects.

mod waiting;

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    os::unix::net::UnixStream,
    sync::{
        Arc,
        mpsc::{Receiver, Sender},
    },
    time::{Duration, Instant},
};

use tungstenite::{Error, Message};

use crate::{
    api::{
        engine::{
            Event, message,
            socket::{Address, Socket},
        },
        rest::Rest,
    },
    model::failure::Failure,
    retry::{
        outage::{Outage, Part},
        shutdown::{STOPPED, Shutdown},
    },
};

/// A connection on which nothing came for so long is asked whether it lives.
const PING_AFTER: Duration = Duration::from_secs(20);
/// And so long after that it is taken for dead.
const DEAD_AFTER: Duration = Duration::from_secs(25);

/// Messages that are read before anything else is looked at; a flood must not keep it from that.
const AT_A_TIME: usize = 64;
/// Words about one call in a second that its caller hears; the engine says two in all.
const WORDS: u32 = 16;

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
    /// Words passed on since then.
    words: (Instant, u32),
}

impl Pending {
    /// May another word of this second be passed on? More say nothing, and would fill the memory.
    fn may_hear(&mut self, now: Instant) -> bool {
        let (since, count) = &mut self.words;
        if now.duration_since(*since) >= Duration::from_secs(1) {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= WORDS
    }
}

pub(super) struct Pump {
    address: Address,
    api: Rest,
    outage: Arc<Outage>,
    shutdown: Shutdown,
    socket: Option<Socket>,
    commands: Receiver<Command>,
    woken: UnixStream,
    pending: BTreeMap<u64, Pending>,
    heard: Instant,
    pinged: bool,
    /// Bytes wait for room in the socket.
    blocked: bool,
    /// There is more to be read.
    more: bool,
    /// Nothing was heard yet on this connection: an engine may take it and drop it at once.
    fresh: bool,
    /// No try before.
    not_before: Instant,
    quit: bool,
}

impl Pump {
    pub(super) fn new(
        address: Address,
        api: Rest,
        (outage, shutdown): (Arc<Outage>, Shutdown),
        socket: Socket,
        commands: Receiver<Command>,
        woken: UnixStream,
    ) -> Pump {
        Pump {
            address,
            api,
            outage,
            shutdown,
            socket: Some(socket),
            commands,
            woken,
            pending: BTreeMap::new(),
            heard: Instant::now(),
            pinged: false,
            blocked: false,
            more: false,
            fresh: true,
            not_before: Instant::now(),
            quit: false,
        }
    }

    pub(super) fn run(mut self) {
        while !self.quit {
            self.end_if_shut_down();
            if self.socket.is_none() && !self.pending.is_empty() {
                self.reconnect();
            }
            if self.converse().is_err() {
                self.lose();
            } else if !self.quit {
                self.wait(if self.more {
                    Some(Duration::ZERO)
                } else {
                    self.until_ping()
                });
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
        if (self.fresh || self.heard.elapsed() >= PING_AFTER) && !self.pinged {
            self.pinged = true;
            not_now(socket.write(Message::Ping(Vec::new().into())))?;
        }
        let flushed = socket.flush();
        self.blocked = flushed.is_err();
        not_now(flushed)?;
        let (mut news, mut left) = (Vec::new(), AT_A_TIME);
        let end = loop {
            self.more = left == 0;
            if self.more {
                break Ok(());
            }
            left -= 1;
            match socket.read() {
                Ok(Message::Text(text)) => news.extend(message::read(text.as_str())),
                Ok(Message::Close(_)) => break Err(Error::ConnectionClosed),
                Ok(_) => {}
                Err(error) => break not_now(Err(error)),
            }
            self.heard = Instant::now();
            self.pinged = false;
            if std::mem::take(&mut self.fresh) {
                self.outage.heard(Part::Engine);
            }
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
        if let Some(pending) = self.pending.get_mut(&id)
            && (last || pending.may_hear(Instant::now()))
        {
            pending.started |= event == Event::Started;
            // A caller that has gone needs no news.
            let _ = pending.events.send(event);
        }
        if last {
            self.pending.remove(&id);
        }
    }

    /// The connection is gone.
    fn lose(&mut self) {
        self.socket = None;
        self.more = false;
        for pending in self.pending.values() {
            let _ = pending.events.send(Event::Lost);
        }
        // Where nobody waits, nobody tries again to see whether it is still so.
        if self.fresh && !self.pending.is_empty() {
            self.missed("the engine drops each connection at once");
        }
    }

    /// Makes a connection again, as long as somebody waits for one and the server may be away.
    fn reconnect(&mut self) {
        while !self.quit && !self.pending.is_empty() {
            let left = self.not_before.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                self.wait(Some(left));
                self.take_commands();
                self.end_if_shut_down();
                continue;
            }
            match self.address.connect(&self.api, &self.shutdown) {
                Ok(socket) => {
                    self.socket = Some(socket);
                    (self.heard, self.pinged, self.fresh) = (Instant::now(), false, true);
                    for pending in self.pending.values() {
                        let news = match pending.sent {
                            true => Event::Reconnected,
                            false => Event::Sent,
                        };
                        let _ = pending.events.send(news);
                    }
                    return;
                }
                Err(Failure::Denied(why)) => {
                    self.outage.give_up(&why);
                    self.end(&why);
                }
                Err(failure) => self.missed(&failure.to_string()),
            }
            self.take_commands();
        }
    }

    fn missed(&mut self, why: &str) {
        match self.outage.missed(Part::Engine, why) {
            Some(pause) => self.not_before = Instant::now() + pause,
            None => self.end(&self.outage.gone().unwrap_or_default()),
        }
    }

    fn end_if_shut_down(&mut self) {
        if self.shutdown.requested() {
            self.end(STOPPED);
        }
    }

    fn end(&mut self, why: &str) {
        for (_, pending) in std::mem::take(&mut self.pending) {
            let _ = pending.events.send(Event::Gone(why.into()));
        }
    }

    fn take_commands(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Call { id, frame, events } => {
                    if self.socket.is_none() {
                        let _ = events.send(Event::Lost);
                    }
                    let pending = Pending {
                        frame,
                        events,
                        sent: false,
                        started: false,
                        overtaken: false,
                        words: (Instant::now(), 0),
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
}

/// A socket that has no room or no news just now is no error.
fn not_now(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(Error::Io(error))
            if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
        {
            Ok(())
        }
        other => other,
    }
}
