//! The metadata task: the engine looks into an uploaded file and makes a row of it in the table
//! `upload`, which alone can become part of an ebook.

mod watch;

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Instant,
};

use serde_json::{Value, json};

use crate::{
    api::Api,
    model::failure::Failure,
    retry::{
        Retry,
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

/// A place among the rows of the table `upload`: the newest row known at a call, 0 for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since(pub i64);

/// The newest row of the table `upload` that was heard of.
#[derive(Debug, Default)]
pub struct NewestRow(AtomicI64);

impl NewestRow {
    /// The place of a call that is made now.
    pub fn now(&self) -> Since {
        Since(self.0.load(Ordering::Relaxed))
    }

    /// There is this row.
    pub fn saw(&self, row: i64) {
        self.0.fetch_max(row, Ordering::Relaxed);
    }
}

/// What the metadata task is asked with.
#[derive(Clone, Copy, Debug)]
pub struct Extractor<'a> {
    /// The server.
    pub api: &'a dyn Api,
    /// How long it is waited for.
    pub retry: &'a Retry,
    /// The newest row of its table.
    pub newest: &'a NewestRow,
}

impl Extractor<'_> {
    /// Has the engine look into `file` and propose `meta`; gives the row that it made. When the result
    /// is lost on the way, the API is asked for it. `clock` runs while the task moves, and not while it
    /// waits.
    ///
    /// # Errors
    /// [`Failure::NoAnswer`] when nobody knows what became of the task, [`Failure::Interrupted`] when its
    /// connection broke meanwhile, [`Failure::Task`] when it failed, [`Failure::Busy`] when the engine's
    /// queue is full, [`Failure::NoEngine`] without engine.
    pub fn extract(
        &self,
        file: &str,
        meta: &Value,
        since: Since,
        clock: &mut Clock,
    ) -> Result<i64, Failure> {
        let retry = self.retry;
        let call = self.api.call("metadata", &json!([file, meta]))?;
        let mut watch = Watch::new(
            retry.policy.confirm_within(),
            retry.limits,
            retry.longest_outage,
        );
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
                    Next::Ask => match self.find(file, since)? {
                        Some(id) => TaskResult::Row(id),
                        None => match watch.not_there(Instant::now()) {
                            Some(failure) => TaskResult::Failed(failure),
                            None => continue,
                        },
                    },
                    // Behind us in the queue: when its turn comes, ours has come or was lost.
                    Next::Sound => {
                        if sounding.is_none() {
                            sounding = Some(self.api.call("metadata", &json!([]))?);
                        }
                        continue;
                    }
                    Next::Late(failure) => match self.find(file, since)? {
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
                    self.newest.saw(id);
                    return Ok(id);
                }
            }
        }
    }

    /// The row that an earlier call made of `file`, looked for among those made since. The upload's
    /// folder has a name of its own, so the file names the call.
    pub fn find(&self, file: &str, since: Since) -> Result<Option<i64>, Failure> {
        let Since(newest) = self.newest.now();
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
            match self.read_firmly(id) {
                Ok(row) => {
                    missing = 0;
                    if row.get("file").and_then(Value::as_str) == Some(file) {
                        self.newest.saw(id);
                        return Ok(Some(id));
                    }
                }
                Err(Failure::NotFound(_)) => missing += 1,
                Err(other) => return Err(other),
            }
            if missing >= GAP && id >= self.newest.now().0 {
                break;
            }
        }
        Ok(None)
    }

    /// A row among many. A question that breaks is asked again by itself: were all of them asked again, a
    /// line that breaks every now and then would let no search come to its end.
    fn read_firmly(&self, id: i64) -> Result<Value, Failure> {
        for failed in 1.. {
            let failure = match read(self.api, id) {
                Ok(row) => return Ok(row),
                Err(failure) => failure,
            };
            match self.retry.policy.next(&failure, failed, chance()) {
                attempt::Next::Wait(pause) if failed <= FIRMLY => {
                    let _waiting = wire::waiting::announce(&failure.to_string(), pause);
                    if self.retry.shutdown.sleep(pause) {
                        return Err(failure);
                    }
                }
                _ => return Err(failure),
            }
        }
        unreachable!("the tries come to an end")
    }
}

/// A row of the table `upload`.
pub fn read(api: &dyn Api, id: i64) -> Result<Value, Failure> {
    api.get(&format!("/api/uploads-meta/{id}"))
}
