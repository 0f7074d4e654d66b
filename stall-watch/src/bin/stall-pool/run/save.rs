//! What the pool writes down of itself.

use stall_watch::events;
use wire::records;

use super::Run;
use crate::{
    process::Process,
    state::{self, Saved},
    worker::Worker,
};

impl Run<'_> {
    /// The state of this moment.
    fn snapshot(&self) -> Saved {
        let now = self.clock.now();
        let figures = self.load.figures;
        let round = |figure: Option<f64>| figure.map(|figure| (figure * 10.0).round() / 10.0);
        let worker = |(number, worker): (&u32, &Worker)| {
            let process = self.processes.get(number);
            records::Worker {
                pid: process.map(Process::pid),
                log: Some(self.paths.log(*number).display().to_string()),
                ..state::record(*number, worker, now)
            }
        };
        Saved {
            pool: records::Pool {
                at: state::shown(now),
                pid: Some(std::process::id().into()),
                command: self.args.shown(),
                workers: self.args.workers.into(),
                target: self.pool.scale.target().into(),
                places: self.pool.scale.limit().into(),
                changed: self.pool.scale.changed().map(state::shown),
                hold: self.pool.hold.map(state::shown),
                finished: self.pool.is_over() && !self.pool.is_stopping(),
                disks: self.load.disks.clone(),
                disk: round(figures.disk),
                io: round(figures.io),
                memory: round(figures.memory),
            },
            workers: self.pool.workers.iter().map(worker).collect(),
        }
    }

    /// Writes the state where it has changed, or in any case.
    pub(super) fn save(&mut self, always: bool) {
        let snapshot = self.snapshot();
        let durable = snapshot.durable().text();
        if !always && durable == self.saved {
            return;
        }
        match self.paths.save(&snapshot.text()) {
            Ok(()) => {
                self.saved = durable;
                self.unsaved = false;
            }
            // The workers are worth more than what is known of them.
            Err(error) => {
                if !std::mem::replace(&mut self.unsaved, true) {
                    let (state, reason) = (self.args.state.display(), events::reason(&error));
                    self.complain(format_args!("{state}: write: {reason}"));
                }
            }
        }
    }
}
