//! Who listens on a WebSocket, and what waits for the one who went.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// User and session id: equal session ids of different users do not disturb each other.
pub(crate) type Key = (String, String);

/// What a connection is told to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// Send this text.
    Send(String),
    /// Send CLOSE 1000 with an empty reason.
    Close,
    /// End without a word.
    Cut,
}

/// All connections and all unsent updates.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: HashMap<Key, (u64, UnboundedSender<Order>)>,
    unsent: HashMap<Key, (Instant, Vec<String>)>,
    counter: u64,
}

/// A place in the list of sessions.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) key: Key,
    number: u64,
    pub(crate) orders: UnboundedReceiver<Order>,
}

impl Sessions {
    /// Registers a connection. One with the same key is closed; what waited is sent.
    pub(crate) fn join(&mut self, user: &str, session_id: Option<&str>, keep: Duration) -> Seat {
        self.counter += 1;
        let number = self.counter;
        // Without an id each connection is its own session, never to be resumed.
        let id = session_id.map_or_else(|| format!("\0{number}"), str::to_owned);
        let key = (user.to_owned(), id);
        let (sender, orders) = unbounded_channel();
        if let Some((first, waiting)) = self.unsent.remove(&key)
            && first.elapsed() < keep
        {
            for text in waiting {
                let _ = sender.send(Order::Send(text));
            }
        }
        if let Some((_, former)) = self.open.insert(key.clone(), (number, sender)) {
            let _ = former.send(Order::Close);
        }
        Seat {
            key,
            number,
            orders,
        }
    }

    /// Removes a connection, unless another one took its place.
    pub(crate) fn leave(&mut self, seat: &Seat) {
        if self
            .open
            .get(&seat.key)
            .is_some_and(|(number, _)| *number == seat.number)
        {
            self.open.remove(&seat.key);
        }
    }

    /// Sends to whoever holds the session now, or keeps it for the one who returns.
    pub(crate) fn send(&mut self, key: &Key, text: String, keep: Duration) {
        if let Some((_, sender)) = self.open.get(key) {
            let _ = sender.send(Order::Send(text));
            return;
        }
        let (first, waiting) = self
            .unsent
            .entry(key.clone())
            .or_insert_with(|| (Instant::now(), Vec::new()));
        // The time runs from the first one; when it is over all are forgotten.
        if first.elapsed() >= keep {
            *first = Instant::now();
            waiting.clear();
        }
        waiting.push(text);
    }

    /// Cuts the connection of a session, if there is one.
    pub(crate) fn cut(&mut self, key: &Key) {
        if let Some((_, sender)) = self.open.remove(key) {
            let _ = sender.send(Order::Cut);
        }
    }

    /// Cuts all connections.
    pub(crate) fn cut_all(&mut self) {
        for (_, (_, sender)) in self.open.drain() {
            let _ = sender.send(Order::Cut);
        }
    }

    /// Forgets what waits.
    pub(crate) fn forget(&mut self) {
        self.unsent.clear();
    }
}
