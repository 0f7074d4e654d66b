//! What the pool decided is done.

use stall_watch::events;

use super::Run;
use crate::{crew::Process, keeper::Task, life::End, pool::Order};

impl Run<'_> {
    /// Carries out what the pool decided.
    pub(super) fn obey(&mut self, orders: Vec<Order>) {
        for order in orders {
            match order {
                Order::Start(number) => self.start(number),
                Order::Tell(note) => self.tell(&note),
                Order::Ask(number) => {
                    if let Some(process) = self.processes.get_mut(&number) {
                        process.ask(&self.proc);
                    }
                }
                Order::End(number) => {
                    if let Some(process) = self.processes.get_mut(&number) {
                        process.end(&self.proc, self.args.kill_after);
                    }
                }
                Order::Kill(number) => {
                    if let Some(process) = self.processes.get_mut(&number) {
                        process.kill();
                    }
                }
            }
        }
    }

    fn start(&mut self, number: u32) {
        let files = self.place.files(number);
        let run = self.pool.workers.get(&number).map_or(1, |life| life.starts);
        let words = self
            .params
            .command(&self.args.command, number, self.args.workers);
        let task = Task {
            seat: &files.seat,
            run,
            log: &files.log,
            log_size: self.args.log_size,
            log_keep: self.args.log_keep,
            kill_after: self.args.kill_after,
        };
        let mut command = task.into_command(&words);
        command.env("STALL_WORKER", number.to_string());
        match Process::start(command, files, &self.proc) {
            Ok(process) => {
                self.tell_started(number, &process);
                self.processes.insert(number, process);
            }
            Err(error) => {
                let reason = events::reason(&error);
                self.complain(format_args!("worker {number}: start: {reason}"));
                // No memory, no descriptors: that may pass.
                let orders = self.pool.ended(self.clock.now(), number, &End::Code(125));
                self.obey(orders);
            }
        }
    }
}
