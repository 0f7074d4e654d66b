//! The metadata task: the engine looks into an uploaded file and makes a row of it in the table
//! `upload`, which alone can become part of an ebook.

mod watch;

use std::{sync::atomic::Ordering, time::Instant};

use serde_json::{Value, json};

use crate::{
    api::Server,
    model::failure::Failure,
    retry::{
        attempt::{self, chance},
        timeout::Clock,
    },
};
use watch::{Next, TaskResult, Watch};

/// Rows that may be missing in a row among those made since: other users' are removed, too.
const GAP: u32 = 25;
/// Rows before the first one that we heard of, among which that of an earlier call may be.
const AROUND: i64 = 200;
/// Rows that are looked at before giving up.
const ROWS: i64 = 2000;
/// Further tries of one row, which do not count as tries of the file.
const FIRMLY: u32 = 2;

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
/// is lost on the way, the API is asked for it. `clock` is told when the task moves and when it waits.
///
/// # Errors
/// [`Failure::NoAnswer`] when nobody knows what became of the task, [`Failure::Interrupted`] when its
/// connection broke meanwhile, [`Failure::Task`] when it failed, [`Failure::Busy`] when the engine's
/// queue is full, [`Failure::NoEngine`] without engine.
pub fn extract(
    server: &Server,
    file: &str,
    meta: &Value,
    since: Since,
    clock: &mut Clock,
) -> Result<i64, Failure> {
    let engine = server.engine()?;
    let call = engine.call("metadata", &json!([file, meta]));
    let mut watch = Watch::new(server.policy.patience(), server.limits, server.absent_for);
    // The clock stands still unless the task is being worked on.
    clock.waits(Instant::now());
    let mut sounding = None;
    loop {
        let deadline = watch.deadline(clock);
        let event = call.next(deadline);
        let now = Instant::now();
        let end = match event {
            Some(event) => watch.heard(event, clock, now),
            None => Some(match watch.silence(clock, now) {
                Next::Ask => match find(server, file, since)? {
                    Some(id) => TaskResult::Row(id),
                    None => match watch.not_there(Instant::now()) {
                        Some(failure) => TaskResult::Failed(failure),
                        None => continue,
                    },
                },
                // Behind us in the queue: when its turn comes, ours has come or was lost.
                Next::Sound => {
                    sounding.get_or_insert_with(|| engine.call("metadata", &json!([])));
                    continue;
                }
                Next::Late(failure) => match find(server, file, since)? {
                    Some(id) => TaskResult::Row(id),
                    None => TaskResult::Failed(failure),
                },
            }),
        };
        match end {
            None => {}
            Some(TaskResult::Failed(failure)) => return Err(failure),
            Some(TaskResult::Row(id)) => {
                drop(sounding);
                clock.moves(now);
                server.newest_upload.fetch_max(id, Ordering::Relaxed);
                return Ok(id);
            }
        }
    }
}

/// The row that an earlier call made of `file`, looked for among those made since. The upload's
/// folder has a name of its own, so the file names the call.
///
/// # Errors
/// As [`Api::get`](crate::api::rest::Api::get).
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
        match read_firmly(server, id) {
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

/// A row among many. A question that breaks is asked again by itself: were all of them asked again, a
/// line that breaks every now and then would let no search come to its end.
fn read_firmly(server: &Server, id: i64) -> Result<Value, Failure> {
    for failed in 1.. {
        let failure = match read(server, id) {
            Ok(row) => return Ok(row),
            Err(failure) => failure,
        };
        match server.policy.next(&failure, failed, chance()) {
            attempt::Next::Wait(pause) if failed <= FIRMLY => {
                let _waiting = wire::waiting::announce(&failure.to_string(), pause);
                if server.shutdown.sleep(pause) {
                    return Err(failure);
                }
            }
            _ => return Err(failure),
        }
    }
    unreachable!("the tries come to an end")
}

/// A row of the table `upload`.
///
/// # Errors
/// As [`Api::get`](crate::api::rest::Api::get).
pub fn read(server: &Server, id: i64) -> Result<Value, Failure> {
    server.api.get(&format!("/api/uploads-meta/{id}"))
}
