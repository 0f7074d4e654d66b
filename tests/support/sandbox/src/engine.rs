//! The task engine: one queue for all users, some tasks at a time, updates to the caller.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::AbortHandle;

use crate::App;
use crate::convert;
use crate::faults::{Fault, Kind};
use crate::metadata::{self, Failed};
use crate::sessions::{Key, Seat, Sessions};

/// A call that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    name: &'static str,
    pub(crate) id: String,
    pub(crate) call_id: Value,
    pub(crate) args: Vec<Value>,
    pub(crate) user: String,
    key: Key,
    silent: bool,
}

/// Why a call was not taken.
#[derive(Debug)]
pub(crate) enum NotTaken {
    /// The queue is full.
    Full,
    /// There is no such task.
    Unknown,
}

#[derive(Debug, Default)]
struct State {
    sessions: Sessions,
    /// By priority of the role, then in the order of the calls.
    queue: BTreeMap<(u8, u64), Task>,
    running: HashMap<u64, Option<AbortHandle>>,
    counter: u64,
    /// Counts restarts: what began before one has no say after it.
    epoch: u64,
}

/// The engine.
#[derive(Debug, Default)]
pub(crate) struct Engine(Mutex<State>);

impl Engine {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn join(&self, user: &str, session_id: Option<&str>, keep: Duration) -> Seat {
        self.state().sessions.join(user, session_id, keep)
    }

    pub(crate) fn leave(&self, seat: &Seat) {
        self.state().sessions.leave(seat);
    }

    /// Sends one text to whoever holds the session.
    pub(crate) fn reply(&self, key: &Key, text: String, keep: Duration) {
        self.state().sessions.send(key, text, keep);
    }

    /// Cuts all connections; tasks go on.
    pub(crate) fn cut_all(&self) {
        self.state().sessions.cut_all();
    }

    /// What a restart does: no connection, no task, no unsent update is left.
    pub(crate) fn restart(&self) {
        let mut state = self.state();
        state.epoch += 1;
        state.queue.clear();
        state.sessions.cut_all();
        state.sessions.forget();
        for (_, handle) in state.running.drain() {
            if let Some(handle) = handle {
                handle.abort();
            }
        }
    }
}

/// Takes a call, answers "r" before anything else can be said about it, and starts what may run.
pub(crate) fn call(
    app: &Arc<App>,
    key: &Key,
    role: &str,
    (call_id, name, args): (Value, &str, Vec<Value>),
    silent: bool,
) -> Result<(), NotTaken> {
    if !matches!(name, "metadata" | "convert") {
        return Err(NotTaken::Unknown);
    }
    let priority = match role {
        "superuser" => 5,
        "admin" => 6,
        _ => 4,
    };
    let mut state = app.engine.state();
    if state.queue.len() >= app.settings.queue_limit {
        return Err(NotTaken::Full);
    }
    state.counter += 1;
    let number = state.counter;
    let user = key.0.clone();
    let task = Task {
        name: if name == "convert" {
            "convert"
        } else {
            "metadata"
        },
        id: new_id(),
        call_id,
        args,
        user,
        key: key.clone(),
        silent,
    };
    if !silent {
        let reply = python_json(&json!(["r", task.call_id, task.id]));
        state.sessions.send(key, reply, app.keep());
    }
    state.queue.insert((priority, number), task);
    start(app, &mut state);
    Ok(())
}

/// Starts waiting tasks while there is room.
fn start(app: &Arc<App>, state: &mut State) {
    while state.running.len() < app.settings.tasks {
        let Some(((_, number), task)) = state.queue.pop_first() else {
            return;
        };
        let fault = app.faults.meet("TASK", task.name);
        let kind = fault.as_ref().map(|fault| fault.kind);
        if kind == Some(Kind::Lost) {
            continue; // No trace of it, and the next one takes its place.
        }
        if kind != Some(Kind::NoStarted) {
            let started = json!({ "status": "started", "task_id": task.id });
            tell(app, state, &task, &started);
        }
        if kind == Some(Kind::DropWs) {
            state.sessions.cut(&task.key);
        }
        let epoch = state.epoch;
        let (app, handle) = (Arc::clone(app), number);
        let running = tokio::spawn(run(app, task, number, epoch, fault));
        state.running.insert(handle, Some(running.abort_handle()));
    }
}

async fn run(app: Arc<App>, task: Task, number: u64, epoch: u64, fault: Option<Fault>) {
    let ticket = app.log.begin("TASK", task.name);
    let mut outcome = None;
    match fault.as_ref().map(|fault| fault.kind) {
        Some(Kind::Hang) => std::future::pending().await,
        Some(Kind::Error) => {
            let error = fault
                .as_ref()
                .map(|fault| fault.message.clone())
                .unwrap_or_default();
            outcome = Some(Err(Failed {
                error,
                duration: None,
            }));
        }
        Some(Kind::Delay) => {
            let millis = fault.as_ref().map_or(0, |fault| fault.millis);
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
        _ => {}
    }
    let outcome = match outcome {
        Some(outcome) => outcome,
        None if task.name == "convert" => Err(convert::refuse(&app, &task).await),
        None => metadata::run(&app, &task).await,
    };
    app.log.end(ticket, |entry| {
        entry.status = Some(if outcome.is_ok() { 200 } else { 500 });
        entry.hash = outcome.as_ref().ok().map(|done| done.hash.clone());
        entry.note = outcome.as_ref().err().map(|failed| failed.error.clone());
        entry.fault = fault.as_ref().map(|fault| format!("{:?}", fault.kind));
    });
    let mut state = app.engine.state();
    if state.epoch != epoch {
        return;
    }
    state.running.remove(&number);
    if fault.is_some_and(|fault| fault.kind == Kind::LostResult) {
        state.sessions.cut(&task.key);
    } else {
        let update = match outcome {
            Ok(done) => json!({ "status": "success", "result": done.upload_id,
                "duration": done.duration, "task_id": task.id }),
            Err(failed) => json!({ "status": "error", "error": failed.error,
                "duration": failed.duration, "task_id": task.id }),
        };
        tell(&app, &mut state, &task, &update);
    }
    start(&app, &mut state);
}

fn tell(app: &App, state: &mut State, task: &Task, update: &Value) {
    if !task.silent {
        let text = python_json(&json!(["m", task.call_id, update]));
        state.sessions.send(&task.key, text, app.keep());
    }
}

/// 32 hexadecimal digits, as of a UUID.
fn new_id() -> String {
    let mut bytes = [0; 16];
    // The kernel's generator; should it fail, ids are equal and tests will say so.
    if let Ok(mut source) = std::fs::File::open("/dev/urandom") {
        let _ = std::io::Read::read_exact(&mut source, &mut bytes);
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// JSON as ujson writes it: slashes escaped, everything beyond ASCII too.
pub(crate) fn python_json(value: &Value) -> String {
    let mut out = String::new();
    for c in value.to_string().chars() {
        match c {
            '/' => out.push_str("\\/"),
            c if c.is_ascii() => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::python_json;

    #[test]
    fn slashes_and_letters_come_escaped() {
        let value = serde_json::json!(["a/b", "č\u{1d11e}"]);
        assert_eq!(python_json(&value), r#"["a\/b","\u010d\ud834\udd1e"]"#);
    }
}
