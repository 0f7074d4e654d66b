//! What the workers do, as the pool sees it.

use stall_watch::{group, units::Count, watch::WatchResult};

use super::Run;
use crate::{process::Process, worker::State};

impl Run<'_> {
    /// Who has ended?
    pub(super) fn check_ends(&mut self) {
        let reaped = group::reap();
        let numbers: Vec<u32> = self.processes.keys().copied().collect();
        for number in numbers {
            let Some(process) = self.processes.get_mut(&number) else {
                continue;
            };
            if let Some(left) = process.press() {
                self.report_hanging(number, &left);
            }
            let Some(process) = self.processes.get_mut(&number) else {
                continue;
            };
            let ended = process.ended(&reaped, self.args.kill_after);
            process.relay();
            let Some(end) = ended else {
                continue;
            };
            let now = self.clock.now();
            let mut process = self.processes.remove(&number);
            // What it did last may have brought work back.
            let units = process.as_mut().map(Process::units).unwrap_or_default();
            let _ = self
                .pool
                .look(now, number, units != Count::default(), units);
            self.report_ended(number, &end, process.as_ref());
            let by_us = process.as_ref().is_some_and(|p| p.ended_by().is_some());
            let orders = self.pool.ended(now, number, &end);
            self.carry_out(orders);
            if !by_us {
                self.report_restart(number, &end);
            }
        }
    }

    /// Who makes progress?
    pub(super) fn take_looks(&mut self) {
        let numbers: Vec<u32> = self.processes.keys().copied().collect();
        for number in numbers {
            let now = self.clock.now();
            let (Some(process), Some(worker)) = (
                self.processes.get_mut(&number),
                self.pool.workers.get(&number),
            ) else {
                continue;
            };
            if process.is_ending() || !matches!(worker.state, State::Running { .. }) {
                continue;
            }
            let sample = process.look(&self.args.signals, worker.matters(now), self.args.stall);
            let signs: Vec<_> = sample
                .signs(self.args.cpu_min)
                .filter(|sign| self.args.signals.contains(sign))
                .collect();
            if !signs.is_empty() {
                process.moved();
            }
            let waits = process.waits(now);
            self.pool.waits(number, waits);
            match self.pool.look(now, number, !signs.is_empty(), sample.units) {
                WatchResult::Stalled => {
                    let figures = self.load.now(now);
                    let orders = self.pool.stalled(now, number, &figures);
                    self.carry_out(orders);
                }
                WatchResult::Warn => self.report_warned(number),
                WatchResult::Moves => self.report_progress(number),
                WatchResult::Fine | WatchResult::OverTime => {}
            }
        }
    }
}
