//! The metadata task: the engine looks into an uploaded file and makes a row of it in the table
//! `upload`, which alone can become part of an ebook.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{engine::Event, failure::Failure, server::Server};

/// The task is killed after 60 s; a `.doc` is converted before, which may take 240 s more.
const WORK_WITHIN: Duration = Duration::from_secs(600);
/// A call that waits longer in the queue is asked about, and then made again: harmless, since a
/// second row for one file is only removed later, while a task that was lost never comes.
const QUEUED_WITHIN: Duration = Duration::from_secs(1800);
/// How often the API is asked for the row of a task that nothing is heard of, before the task is made
/// again: that costs the engine a second, while a task that is lost never comes.
const QUESTIONS: u32 = 2;
/// Rows that may be missing in a row among those made since: other users' are removed, too.
const GAP: u32 = 25;
/// Rows before the first one that we heard of, among which that of an earlier call may be.
const AROUND: i64 = 200;
/// Rows that are looked at before giving up.
const ROWS: i64 = 2000;

/// The call's place among the rows of the table `upload`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since(i64);

impl Since {
    /// The place of a call that is made now.
    pub fn now(server: &Server) -> Since {
        Since(server.newest_upload.load(Ordering::Relaxed))
    }

    /// That of an earlier run's call: the newest row that it knew of, 0 for none.
    pub fn at(row: i64) -> Since {
        Since(row)
    }

    /// The newest row known at the call.
    pub fn row(self) -> i64 {
        self.0
    }
}

/// Has the engine look into `file` and propose `meta`; gives the row that it made. When the result
/// is lost on the way, the API is asked for it.
///
/// # Errors
/// [`Failure::NoAnswer`] when nobody knows what became of the task, [`Failure::Task`] when it
/// failed, [`Failure::Busy`] when the engine's queue is full, [`Failure::NoEngine`] without engine.
pub fn extract(server: &Server, file: &str, meta: &Value, since: Since) -> Result<i64, Failure> {
    let call = server.engine()?.call("metadata", &json!([file, meta]));
    let patience = server.policy.patience();
    // The engine confirms a call at once. Then it may wait in the queue.
    let mut deadline = Some(Instant::now() + patience);
    let (mut doubt, mut put_off, mut broken) = (None, None, false);
    loop {
        match call.next(deadline) {
            // Whoever tries to get the connection back sees to it that this has an end.
            Some(Event::Lost) => (put_off, broken) = (deadline.take(), true),
            Some(Event::Sent) => (doubt, deadline) = (None, Some(Instant::now() + patience)),
            Some(Event::Accepted) => {
                (doubt, broken) = (None, false);
                deadline = Some(Instant::now() + QUEUED_WITHIN);
            }
            Some(Event::Started) => {
                (doubt, broken) = (None, false);
                deadline = Some(Instant::now() + WORK_WITHIN);
            }
            Some(Event::Done(row)) => {
                let id = row
                    .as_i64()
                    .ok_or_else(|| Failure::Task(format!("strange result {row}")))?;
                server.newest_upload.fetch_max(id, Ordering::Relaxed);
                return Ok(id);
            }
            Some(Event::Failed(why)) => return Err(Failure::Task(why)),
            Some(Event::Refused(why)) => {
                return Err(match why.contains("QueueFull") {
                    true => Failure::Busy {
                        after: None,
                        message: "the engine's queue is full".into(),
                    },
                    false => Failure::Task(why),
                });
            }
            // A connection that breaks again and again must not put off the question.
            Some(Event::Reconnected | Event::Overtaken) => {
                let asked_at = deadline.or(put_off).filter(|_| doubt.is_some());
                deadline = Some(asked_at.unwrap_or_else(|| Instant::now() + patience / 5));
                doubt.get_or_insert(1);
            }
            Some(Event::Gone(why)) => return Err(Failure::NoEngine(why)),
            None => {
                let asked = doubt.unwrap_or(1);
                if let Some(id) = find(server, file, since)? {
                    return Ok(id);
                }
                if asked >= QUESTIONS {
                    let why = "the engine lost the metadata task".to_string();
                    return Err(match broken {
                        true => Failure::Interrupted(why),
                        false => Failure::NoAnswer(why),
                    });
                }
                doubt = Some(asked + 1);
                deadline = Some(Instant::now() + (patience / 5) * (1 << asked));
            }
        }
    }
}

/// The row that an earlier call made of `file`, looked for among those made since. The upload's
/// folder has a name of its own, so the file names the call.
///
/// # Errors
/// As [`Api::get`](crate::api::Api::get).
pub fn find(server: &Server, file: &str, since: Since) -> Result<Option<i64>, Failure> {
    let newest = server.newest_upload.load(Ordering::Relaxed);
    if newest == 0 {
        // Nothing is known of the table yet, so there is no place to start from.
        return Ok(None);
    }
    let first = 1 + if since.0 > 0 {
        since.0
    } else {
        (newest - AROUND).max(0)
    };
    let mut missing = 0;
    for id in first..first + ROWS {
        match read(server, id) {
            Ok(row) => {
                missing = 0;
                if row.get("file").and_then(Value::as_str) == Some(file) {
                    server.newest_upload.fetch_max(id, Ordering::Relaxed);
                    return Ok(Some(id));
                }
            }
            Err(Failure::NotFound(_)) => missing += 1,
            Err(other) => return Err(other),
        }
        if missing >= GAP && id >= server.newest_upload.load(Ordering::Relaxed) {
            break;
        }
    }
    Ok(None)
}

/// A row of the table `upload`.
///
/// # Errors
/// As [`Api::get`](crate::api::Api::get).
pub fn read(server: &Server, id: i64) -> Result<Value, Failure> {
    server.api.get(&format!("/api/uploads-meta/{id}"))
}
