//! A proxy that cuts connections, to be put before any server: what a network does to a client, at
//! places where no server's own fault would be.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// The most bytes of a request, and of an answer, that pass before a cut, as powers of two. Each power
/// is as likely as the others: most cuts are where most messages are, near the beginning.
const UP: u64 = 19;
const DOWN: u64 = 11;

/// A proxy at work until the process ends.
#[derive(Debug)]
pub struct Cutter {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: String,
    every: u64,
    taken: AtomicU64,
    /// Connections that were cut, and those that are to be.
    condemned: AtomicU64,
    cuts: AtomicU64,
    chance: Mutex<u64>,
    tell: fn(&str),
}

/// Where a connection is to be cut.
#[derive(Debug)]
struct Sentence {
    shared: Arc<Shared>,
    number: u64,
    /// It is the answer that is cut.
    down: bool,
    /// Bytes that pass before.
    after: u64,
    done: AtomicU64,
}

impl Cutter {
    /// Passes connections on to `target`, a host and port; of `every` so many one is cut, at a byte that
    /// `seed` decides. One that ends before that byte is whole, and the next one is cut in its place.
    /// `tell` hears of each cut.
    ///
    /// # Errors
    /// It cannot listen there.
    pub fn start(
        listen: impl ToSocketAddrs,
        target: &str,
        (every, seed): (u64, u64),
        tell: fn(&str),
    ) -> io::Result<Cutter> {
        let listener = TcpListener::bind(listen)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target: target.into(),
            every: every.max(1),
            taken: AtomicU64::new(0),
            condemned: AtomicU64::new(0),
            cuts: AtomicU64::new(0),
            chance: Mutex::new(seed | 1),
            tell,
        });
        let taker = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&taker);
                thread::spawn(move || shared.pass(client));
            }
        });
        Ok(Cutter { address, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections that were cut so far.
    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn pass(self: Arc<Shared>, client: TcpStream) {
        let sentence = self.sentence();
        let ends = || -> io::Result<_> {
            let server = TcpStream::connect(&self.target)?;
            client.set_nodelay(true)?;
            server.set_nodelay(true)?;
            Ok((client.try_clone()?, server.try_clone()?, server))
        };
        // A server that is not there lets go of its clients in the same way.
        if let Ok((client_too, server_too, server)) = ends() {
            let sentence = sentence.as_ref();
            thread::scope(|scope| {
                scope.spawn(|| copy(client_too, server_too, sentence.filter(|s| !s.down)));
                copy(server, client, sentence.filter(|s| s.down));
            });
        }
        if let Some(sentence) = sentence.filter(|s| s.done.load(Ordering::SeqCst) == 0) {
            sentence.shared.condemned.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn sentence(self: &Arc<Shared>) -> Option<Sentence> {
        let number = self.taken.fetch_add(1, Ordering::SeqCst) + 1;
        let due = number / self.every;
        let mine = self
            .condemned
            .try_update(Ordering::SeqCst, Ordering::SeqCst, |condemned| {
                (condemned < due).then_some(condemned + 1)
            });
        mine.ok()?;
        let down = self.below(2) == 1;
        let power = self.below(1 + if down { DOWN } else { UP });
        Some(Sentence {
            shared: Arc::clone(self),
            number,
            down,
            after: self.below(1 << power),
            done: AtomicU64::new(0),
        })
    }

    /// Reproducible chance: xorshift.
    fn below(&self, most: u64) -> u64 {
        let mut state = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state % most
    }
}

/// Copies one direction to its end or to the cut, which takes the other one with it.
fn copy(mut from: TcpStream, mut to: TcpStream, sentence: Option<&Sentence>) {
    let mut left = sentence.map_or(u64::MAX, |sentence| sentence.after);
    let mut buffer = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        if to.write_all(&buffer[..count.min(most)]).is_err() {
            break;
        }
        if count > most {
            if let Some(sentence) = sentence {
                sentence.carry_out();
            }
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
            return;
        }
        left -= count as u64;
    }
    // The other direction may have more to say.
    let _ = to.shutdown(Shutdown::Write);
}

impl Sentence {
    fn carry_out(&self) {
        self.done.store(1, Ordering::SeqCst);
        self.shared.cuts.fetch_add(1, Ordering::SeqCst);
        let (number, after) = (self.number, self.after);
        let part = if self.down { "answer" } else { "request" };
        (self.shared.tell)(&format!(
            "connection {number}: cut after {after} bytes of the {part}"
        ));
    }
}
