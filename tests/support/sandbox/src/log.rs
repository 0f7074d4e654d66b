//! What the sandbox served: the proof that a client did not ask twice, or too much at once.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde::Serialize;
use serde_json::{Value, json};

/// One request, one WebSocket or one task of the engine.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// HTTP method; `WS` for a connection's life, `CALL` and `TASK` for the engine.
    pub method: String,
    /// Path without query, or the task's name.
    pub path: String,
    /// HTTP status; of a task 200 or 500. Missing while it is under way and when the connection
    /// was cut instead of an answer.
    pub status: Option<u16>,
    /// Milliseconds since the sandbox started.
    pub start: f64,
    /// The same, at the end.
    pub end: Option<f64>,
    /// SHA-1 of the content that it was about.
    pub hash: Option<String>,
    /// `Title: Last First, …` of a new ebook; `#id` of one that a file is added to.
    pub book: Option<String>,
    /// The fault that it met.
    pub fault: Option<String>,
    /// Why it failed, or other words for people.
    pub note: Option<String>,
}

/// What a handler tells the log about its request, by way of the response's extensions.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    pub(crate) hash: Option<String>,
    pub(crate) book: Option<String>,
}

/// All entries since the start.
#[derive(Debug)]
pub(crate) struct Log {
    started: Instant,
    entries: Mutex<Vec<Entry>>,
}

/// Names an entry that is still open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket(usize);

impl Log {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            entries: Mutex::default(),
        }
    }

    pub(crate) fn begin(&self, method: &str, path: &str) -> Ticket {
        let start = self.now();
        self.with(|entries| {
            entries.push(Entry {
                method: method.to_owned(),
                path: path.to_owned(),
                status: None,
                start,
                end: None,
                hash: None,
                book: None,
                fault: None,
                note: None,
            });
            Ticket(entries.len() - 1)
        })
    }

    /// Closes an entry after `change` had its say.
    pub(crate) fn end(&self, ticket: Ticket, change: impl FnOnce(&mut Entry)) {
        let end = self.now();
        self.with(|entries| {
            if let Some(entry) = entries.get_mut(ticket.0) {
                change(entry);
                entry.end = Some(end);
            }
        });
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.with(|entries| entries.clone())
    }

    /// Entries and the most that were in flight at a time, by request, content and book.
    pub(crate) fn report(&self) -> Value {
        let entries = self.entries();
        json!({ "entries": entries, "high_water": high_water(&entries) })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<Entry>) -> T) -> T {
        act(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn now(&self) -> f64 {
        self.started.elapsed().as_secs_f64() * 1000.0
    }
}

/// The most that were in flight at a time: for each `METHOD path` (numbers as `*`), each
/// `hash:…` and each `book:…`. Computed afterwards, since an upload's hash is known at its end.
pub(crate) fn high_water(entries: &[Entry]) -> BTreeMap<String, usize> {
    let mut edges: BTreeMap<String, Vec<(f64, i32)>> = BTreeMap::new();
    for entry in entries {
        let hash = entry.hash.as_ref().map(|hash| format!("hash:{hash}"));
        let book = entry.book.as_ref().map(|book| format!("book:{book}"));
        let kind = format!("{} {}", entry.method, pattern(&entry.path));
        for key in [Some(kind), hash, book].into_iter().flatten() {
            let edges = edges.entry(key).or_default();
            edges.push((entry.start, 1));
            edges.push((entry.end.unwrap_or(f64::MAX), -1));
        }
    }
    let most = |edges: &mut Vec<(f64, i32)>| {
        // At the same moment an end comes first: touching is not overlapping.
        edges.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let (mut now, mut most) = (0, 0);
        for (_, step) in edges {
            now += *step;
            most = most.max(now);
        }
        usize::try_from(most).unwrap_or_default()
    };
    edges
        .into_iter()
        .map(|(key, mut edges)| (key, most(&mut edges)))
        .collect()
}

/// The path with its numbers as `*`.
pub(crate) fn pattern(path: &str) -> String {
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    path.split('/')
        .map(|part| if plain(part) { "*" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}
