//! The server's task engine: one WebSocket for all calls of the process, on a thread of its own.
//!
//! A connection that breaks is made again under the same session id, so that the engine sends what
//! it could not deliver. It does not keep everything: a message written to a connection that was
//! dying is gone, and an engine that restarts forgets its tasks. So a caller hears of each
//! reconnection, and asks the API what became of its task when nothing more is heard.

mod message;
mod pump;
mod socket;

use std::{
    io::Write,
    os::unix::net::UnixStream,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    api::rest::Rest,
    model::failure::Failure,
    retry::{attempt::chance, outage::Outage, shutdown::Shutdown},
};
use pump::{Command, Pump};
use socket::Address;

/// Time for the thread to close the connection in good order.
const GOODBYE: Duration = Duration::from_secs(1);

/// What becomes of a call, in the order in which it is heard.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The engine has it in its queue.
    Accepted,
    /// It is being worked on.
    Started,
    /// It is being worked on still.
    Progress,
    /// It is done, and made this row.
    Done(Option<i64>),
    /// It ended with an error.
    Failed(String),
    /// The engine did not take it.
    Refused(String),
    /// There is no connection: nothing will be heard until there is one.
    Lost,
    /// The call, made while there was no connection, is on its way now.
    Sent,
    /// The connection was broken in between: what was said meanwhile may be lost.
    Reconnected,
    /// A later call has started; the queue is in order, so this one's start was lost.
    Overtaken,
    /// No connection could be made for as long as the server may be away.
    Gone(String),
}

/// The engine as its callers see it.
#[derive(Debug)]
pub struct Engine {
    url: String,
    commands: Mutex<Sender<Command>>,
    wake: UnixStream,
    next: AtomicU64,
    /// Closed when the thread has ended.
    ended: Mutex<Receiver<()>>,
}

/// One call under way; dropped, it is forgotten.
#[derive(Debug)]
pub struct Call<'a> {
    /// The engine to forget it, and its number there.
    engine: Option<(&'a Engine, u64)>,
    events: Receiver<Event>,
}

impl Engine {
    /// Connects, so that a wrong address is found before anything is sent.
    ///
    /// # Errors
    /// [`Failure::NotReached`] with the reason, [`Failure::Denied`] when the token is not accepted.
    pub fn open(
        url: &str,
        api: &Rest,
        outage: &Arc<Outage>,
        shutdown: &Shutdown,
    ) -> Result<Engine, Failure> {
        let session = format!("{:016x}{:016x}", chance(), chance());
        let address = Address::new(url, session)?;
        let socket = address.connect(api, shutdown)?;
        let broken = |error: std::io::Error| Failure::NotReached(format!("engine thread: {error}"));
        let (wake, woken) = UnixStream::pair().map_err(broken)?;
        wake.set_nonblocking(true).map_err(broken)?;
        woken.set_nonblocking(true).map_err(broken)?;
        let (commands, orders) = mpsc::channel();
        let pump = Pump::new(
            address,
            api.clone(),
            (Arc::clone(outage), shutdown.clone()),
            socket,
            orders,
            woken,
        );
        let (alive, ended) = mpsc::channel();
        std::thread::Builder::new()
            .name("engine".into())
            .spawn(move || {
                pump.run();
                drop(alive);
            })
            .map_err(broken)?;
        Ok(Engine {
            url: url.into(),
            commands: commands.into(),
            wake,
            next: AtomicU64::new(1),
            ended: ended.into(),
        })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends a call; its events follow.
    pub fn call(&self, task: &str, args: &Value) -> Call<'_> {
        let (sender, events) = mpsc::channel();
        // Numbers must grow in the order of sending, which the lock in between sees to.
        let commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let frame = json!([id, task, { "args": args }]).to_string();
        // When the thread is gone the channel is closed, and the caller hears of it at once.
        let _ = commands.send(Command::Call {
            id,
            frame,
            events: sender,
        });
        drop(commands);
        self.nudge();
        Call {
            engine: Some((self, id)),
            events,
        }
    }

    fn order(&self, command: Command) {
        let commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = commands.send(command);
        drop(commands);
        self.nudge();
    }

    fn nudge(&self) {
        // A full pipe has woken it already.
        let _ = (&self.wake).write(&[1]);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.order(Command::Quit);
        // It may be making a connection that nobody needs any more.
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(GOODBYE);
    }
}

impl Call<'_> {
    /// The next event, or nothing by the deadline; without a deadline it waits as long as it takes.
    pub fn next(&self, deadline: Option<Instant>) -> Option<Event> {
        let gone = || Event::Gone("the engine thread has ended".into());
        match deadline {
            None => Some(self.events.recv().unwrap_or_else(|_| gone())),
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                match self.events.recv_timeout(left.max(Duration::from_millis(1))) {
                    Ok(event) => Some(event),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => Some(gone()),
                }
            }
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if let Some((engine, id)) = self.engine {
            engine.order(Command::Forget(id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_sits_in_a_connect_holds_no_exit_up() {
        let (commands, orders) = mpsc::channel();
        let (wake, _woken) = UnixStream::pair().unwrap();
        let (_alive, ended) = mpsc::channel();
        drop(Engine {
            url: String::new(),
            commands: commands.into(),
            wake,
            next: AtomicU64::new(1),
            ended: ended.into(),
        });
        assert!(matches!(orders.recv(), Ok(Command::Quit)));
    }
}
