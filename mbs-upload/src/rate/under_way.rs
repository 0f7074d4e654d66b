//! The files under way, to tell of those that take long. Pure: the time is given.

use std::time::Instant;

use bytesize::ByteSize;

use crate::{
    model::{job::Job, stage::Stage},
    rate::eta::rough,
};

/// All files under way.
#[derive(Debug, Default)]
pub struct UnderWay {
    files: Vec<One>,
    begun: u64,
}

#[derive(Debug)]
struct One {
    number: u64,
    shown: String,
    size: u64,
    stage: Stage,
    since: Instant,
    reported: bool,
}

impl UnderWay {
    /// A worker begins with a file; gives the number to end it by.
    pub fn begin(&mut self, job: &Job, now: Instant) -> u64 {
        self.begun += 1;
        self.files.push(One {
            number: self.begun,
            shown: job.shown(),
            size: job.content.size(),
            stage: job.stage.clone(),
            since: now,
            reported: false,
        });
        self.begun
    }

    /// A file has ended; gives the tries that failed of late because the server could not cope.
    pub fn end(&mut self, number: u64) -> u32 {
        let at = self.files.iter().position(|one| one.number == number);
        at.map_or(0, |at| self.files.swap_remove(at).stage.take_strained())
    }

    /// Such tries of all files under way.
    pub fn take_strained(&self) -> u32 {
        self.files.iter().map(|one| one.stage.take_strained()).sum()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.files.len()
    }

    /// Those that began before `limit` and were not reported yet: name, and message.
    pub fn slow(&mut self, limit: Instant, now: Instant) -> Vec<(String, String)> {
        let slow = self
            .files
            .iter_mut()
            .filter(|one| one.since <= limit && !one.reported);
        slow.map(|one| {
            one.reported = true;
            let wait = match one.stage.get() {
                "" => "not begun".into(),
                stage => format!("waiting for {stage}"),
            };
            let took = rough(now.saturating_duration_since(one.since));
            let size = ByteSize(one.size);
            (
                one.shown.clone(),
                format!("slow: under way for {took}, {wait} ({size})"),
            )
        })
        .collect()
    }
}
