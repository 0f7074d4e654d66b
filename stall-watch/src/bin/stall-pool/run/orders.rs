//! What the pool decided is done.

use std::process::Command;

use rustix::io::Errno;
use stall_watch::events;

use super::Run;
use crate::{log::Log, pool::Order, process::Process, worker::WorkerEnd};

impl Run<'_> {
    /// Carries out what the pool decided.
    pub(super) fn carry_out(&mut self, orders: Vec<Order>) {
        for order in orders {
            match order {
                Order::Start(number) => self.start(number),
                Order::Report(note) => self.report(&note),
                Order::Ask(number) => {
                    if let Some(process) = self.processes.get_mut(&number) {
                        process.ask();
                    }
                }
                Order::End(number) => {
                    if let Some(process) = self.processes.get_mut(&number) {
                        process.end(self.args.kill_after);
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
        let words = self
            .params
            .command(&self.args.command, number, self.args.workers);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        let (path, args) = (self.paths.log(number), self.args);
        let start = || {
            let log = Log::open(&path, args.log_size, args.log_keep)?;
            Process::start(command, number, log)
        };
        match self.worker_lock.hand_down(start) {
            Ok(process) => {
                self.report_started(number, &process);
                self.processes.insert(number, process);
            }
            Err(error) => {
                let reason = events::reason(&error);
                let end = match Errno::from_io_error(&error) {
                    // That may pass.
                    Some(Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE) => {
                        self.complain(format_args!("worker {number}: start: {reason}"));
                        WorkerEnd::Code(125)
                    }
                    _ => WorkerEnd::NotStarted(reason),
                };
                self.report_ended(number, &end, None);
                let orders = self.pool.ended(self.clock.now(), number, &end);
                self.carry_out(orders);
            }
        }
    }
}
