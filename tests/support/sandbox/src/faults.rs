//! Faults on request: what a client must live through on the way to a real server.

use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use serde_json::Value;

use crate::log::pattern;

/// What goes wrong.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Requests, calls, tasks: waits `millis` first.
    Delay,
    /// Requests: does the work, then waits `millis` before it answers.
    DelayAnswer,
    /// Requests: answers with `status` and does no work.
    Status,
    /// Requests: does the work, then answers with `status`.
    StatusAfterCommit,
    /// Requests: reads `bytes` of the body, then cuts the connection; no work is done.
    /// Calls: cuts the WebSocket; the task is not queued. WebSockets: cuts them once they are made.
    Drop,
    /// Requests: does the work, then cuts the connection instead of an answer.
    DropAfterCommit,
    /// Requests: answers 200 with a text that is not JSON and does no work.
    Garbage,
    /// Requests: reads `bytes` of the body and never answers. Tasks: start and never end.
    Hang,
    /// Requests: reads the body slowly, `bytes` in each `millis`, then does the work.
    Trickle,
    /// Calls: answers `QueueFull()`.
    QueueFull,
    /// Calls: queues the task and says nothing about it.
    NoReply,
    /// Tasks: ends with the error `message` and does no work.
    Error,
    /// Tasks: cuts the WebSocket when the task has started. The task goes on, and its result
    /// waits for the session's return.
    DropWs,
    /// Tasks: does the work, then cuts the WebSocket and loses the result.
    LostResult,
    /// Tasks: does the work, but the word of its start is lost.
    NoStarted,
    /// Tasks: never starts nor ends, as if the engine had forgotten it.
    Lost,
    /// At once, `on` is `engine`: a restart. All connections are cut, all tasks are gone.
    Restart,
    /// At once, `on` is `engine`: cuts all WebSockets; tasks go on.
    DropAll,
}

/// One order: from the `nth` matching event on, `times` times.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// `POST /api/upload`, with `*` for a number; `api` for every request to it; `GET /ws` for the
    /// handshake and `WS /ws` for what comes after it; `CALL metadata`, `TASK metadata`; `engine`
    /// for what happens at once.
    pub on: String,
    /// What happens.
    pub kind: Kind,
    /// The first event that is hit, from 1.
    #[serde(default = "one")]
    pub nth: u64,
    /// How many in a row; 0: all that follow.
    #[serde(default = "one")]
    pub times: u64,
    /// Milliseconds, for the delays and the slow.
    #[serde(default)]
    pub millis: u64,
    /// HTTP status.
    #[serde(default = "server_error")]
    pub status: u16,
    /// Seconds in the header Retry-After of a status, where not 0.
    #[serde(default)]
    pub retry_after: u64,
    /// Bytes of the body that are read before a drop or a hang, or in each step of a trickle.
    #[serde(default)]
    pub bytes: u64,
    /// Text of a task's error.
    #[serde(default = "some_error")]
    pub message: String,
    #[serde(skip)]
    seen: u64,
}

fn one() -> u64 {
    1
}

fn server_error() -> u16 {
    500
}

fn some_error() -> String {
    "Fault on request".to_owned()
}

/// The orders that are open.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    /// Takes an order; an error says what is wrong with it.
    pub(crate) fn read(order: &Value) -> Result<Fault, String> {
        let mut order = order.clone();
        // A bare number is the shortest way to ask for a status.
        if let Some(status) = order["kind"]
            .as_u64()
            .or(order["kind"].as_str().and_then(number))
        {
            order["kind"] = "status".into();
            order["status"] = status.into();
        }
        serde_json::from_value(order).map_err(|e| format!("fault: {e}"))
    }

    pub(crate) fn add(&self, fault: Fault) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(fault);
    }

    pub(crate) fn clear(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// The fault that this event meets, if any. Every matching order counts it.
    pub(crate) fn meet(&self, method: &str, path: &str) -> Option<Fault> {
        let event = format!("{method} {}", pattern(path));
        let exact = format!("{method} {path}");
        let of_api = path.starts_with("/api") || path == "/login";
        let mut hit = None;
        for fault in self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter_mut()
        {
            if fault.on == event || fault.on == exact || (fault.on == "api" && of_api) {
                fault.seen += 1;
                let last = fault.nth.saturating_add(fault.times).saturating_sub(1);
                let on = fault.seen >= fault.nth && (fault.times == 0 || fault.seen <= last);
                if on && hit.is_none() {
                    hit = Some(fault.clone());
                }
            }
        }
        hit
    }
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}
