//! All workers together: who has a place, who is to be started, asked to end, or ended. No clock, no
//! I/O: whoever carries out the orders tells what came of them.

use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

use stall_watch::{load::Figures, units::Count, watch::WatchResult};

use crate::{
    scale::{Answer, Scale},
    worker::{Outcome, Rules, State, Waits, Why, Worker, WorkerEnd},
};

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Order {
    /// Start this worker.
    Start(u32),
    /// Ask it to end, in its own time.
    Ask(u32),
    /// WorkerEnd it, with all that it started.
    End(u32),
    /// It was asked long enough ago.
    Kill(u32),
    /// Tell whoever wants to know.
    Report(Note),
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Note {
    /// As in the event records.
    pub(crate) event: &'static str,
    pub(crate) worker: Option<u32>,
    pub(crate) action: Option<&'static str>,
    pub(crate) reason: String,
}

/// The pool's end, once it was asked for.
#[derive(Clone, Copy, Debug)]
struct Stop {
    deadline: Duration,
    /// The next one is asked then at the latest.
    turn: Duration,
}

/// The workers, and how many of them may run.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    pub(crate) rules: Rules,
    /// How long a worker that was asked to end may take.
    pub(crate) grace: Duration,
    pub(crate) workers: BTreeMap<u32, Worker>,
    pub(crate) scale: Scale,
    /// Nobody is started before.
    pub(crate) hold: Option<Duration>,
    stop: Option<Stop>,
}

impl Pool {
    /// Workers 1 to `count`, for which there may be fewer places.
    pub(crate) fn new(rules: Rules, grace: Duration, count: u32, scale: Scale) -> Pool {
        let workers = (1..=count).map(|number| (number, Worker::new(&rules)));
        Pool {
            workers: workers.collect(),
            rules,
            grace,
            scale,
            hold: None,
            stop: None,
        }
    }

    /// Those that would run if there were a place for all.
    pub(crate) fn live(&self) -> u32 {
        self.count(Worker::is_live)
    }

    fn count(&self, what: impl Fn(&Worker) -> bool) -> u32 {
        self.workers.values().filter(|worker| what(worker)).count() as u32
    }

    /// Is there nothing left to do?
    pub(crate) fn is_over(&self) -> bool {
        match self.stop {
            Some(_) => self.count(Worker::runs) == 0,
            None => self.live() == 0,
        }
    }

    /// Was it asked to end?
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.is_some()
    }

    /// What is to be done now; to be asked again after every change and every little while.
    pub(crate) fn orders(&mut self, now: Duration) -> Vec<Order> {
        let mut orders = Vec::new();
        for (&number, worker) in &mut self.workers {
            if worker.is_late(now) {
                let seconds = self.rules.verify.as_secs_f64();
                let reason = format!("no work within {seconds} s of its restart");
                orders.push(tell("warned", number, None, reason));
            }
            if let State::Ending {
                since,
                why: Why::Asked,
            } = worker.state
            {
                let patience = match self.stop {
                    Some(stop) => now >= stop.deadline,
                    None => now.saturating_sub(since) >= self.grace,
                };
                if patience {
                    orders.push(Order::Kill(number));
                }
            }
        }
        match &mut self.stop {
            Some(_) => self.stop_one(now, &mut orders),
            None => {
                self.retire_surplus(now, &mut orders);
                self.admit(now);
                self.start(now, &mut orders);
            }
        }
        orders
    }

    /// The highest first, one after another, each within its share of the time that is left.
    fn stop_one(&mut self, now: Duration, orders: &mut Vec<Order>) {
        let Some(stop) = &mut self.stop else {
            return;
        };
        let draining = |worker: &Worker| {
            matches!(
                worker.state,
                State::Ending {
                    why: Why::Asked,
                    ..
                }
            )
        };
        if self.workers.values().any(draining) && now < stop.turn {
            return;
        }
        let running = |worker: &Worker| matches!(worker.state, State::Running { .. });
        let left = self
            .workers
            .values()
            .filter(|worker| running(worker))
            .count() as u32;
        let last = self
            .workers
            .iter_mut()
            .rev()
            .find(|(_, worker)| running(worker));
        if let Some((&number, worker)) = last {
            worker.end(now, Why::Asked);
            stop.turn = now + stop.deadline.saturating_sub(now) / left;
            orders.push(Order::Ask(number));
        }
    }

    /// Where there are more than may run, those are given up that do the least, of these the highest.
    fn retire_surplus(&mut self, now: Duration, orders: &mut Vec<Order>) {
        let stays = |worker: &Worker| {
            worker.has_place()
                && !matches!(
                    worker.state,
                    State::Ending {
                        why: Why::Asked,
                        ..
                    }
                )
        };
        let surplus = self.count(stays).saturating_sub(self.scale.limit());
        let mut least: Vec<(u32, &mut Worker)> = self
            .workers
            .iter_mut()
            .filter(|(_, worker)| stays(worker))
            .map(|(&number, worker)| (number, worker))
            .collect();
        least.sort_by_key(|(number, worker)| (worker.activity(), Reverse(*number)));
        for (number, worker) in least.into_iter().take(surplus as usize) {
            match worker.state {
                State::Running { .. } => {
                    worker.end(now, Why::Asked);
                    orders.push(Order::Ask(number));
                }
                State::Waiting { .. } => worker.state = State::Held,
                // It ends anyway; what follows is seen then.
                _ => {}
            }
        }
    }

    /// The lowest are taken where there are fewer.
    fn admit(&mut self, now: Duration) {
        let places = self
            .scale
            .limit()
            .saturating_sub(self.count(Worker::has_place));
        let held = self
            .workers
            .values_mut()
            .filter(|worker| worker.state == State::Held);
        for worker in held.take(places as usize) {
            worker.admit(now);
        }
    }

    fn start(&mut self, now: Duration, orders: &mut Vec<Order>) {
        if self.hold.is_some_and(|until| now < until) {
            return;
        }
        self.hold = None;
        for (&number, worker) in &mut self.workers {
            if matches!(worker.state, State::Waiting { until } if until <= now) {
                if worker.failing {
                    let reason = format!("restart {} in a row", worker.failed + 1);
                    orders.push(tell("restarted", number, Some("restart"), reason));
                }
                worker.start(now, &self.rules);
                orders.push(Order::Start(number));
            }
        }
    }

    /// Takes a look at a worker into account.
    pub(crate) fn look(
        &mut self,
        now: Duration,
        number: u32,
        progress: bool,
        units: Count,
    ) -> WatchResult {
        match self.workers.get_mut(&number) {
            Some(worker) => worker.look(now, &self.rules, progress, units),
            None => WatchResult::Fine,
        }
    }

    /// What a worker waits for on purpose; to be told before a look.
    pub(crate) fn waits(&mut self, number: u32, waits: Option<Waits>) {
        if let Some(worker) = self.workers.get_mut(&number) {
            worker.waits = waits;
        }
    }

    /// A look said that this worker stalled.
    pub(crate) fn stalled(&mut self, now: Duration, number: u32, figures: &Figures) -> Vec<Order> {
        let live = self.live();
        let Some(worker) = self.workers.get_mut(&number) else {
            return Vec::new();
        };
        let answer = match self.stop {
            Some(_) => Answer::Forgive("all are being ended".into()),
            None => self.scale.stalled(now, figures, live, worker.idle()),
        };
        let idle = format!("no progress for {:.1} s", worker.idle().as_secs_f64());
        let stalled = |action, reason| tell("stalled", number, Some(action), reason);
        match answer {
            Answer::Restart => {
                worker.end(now, Why::Stalled);
                vec![stalled("restart", idle), Order::End(number)]
            }
            Answer::Forgive(why) => {
                worker.reset_idle();
                vec![stalled("none", format!("{idle}; {why}"))]
            }
            // It is the one that does nothing; all others go on.
            Answer::ScaleDown(reason) => {
                worker.end(now, Why::Asked);
                vec![
                    stalled("scale_down", idle),
                    self.scaled("scale_down", reason),
                    Order::Ask(number),
                ]
            }
        }
    }

    /// Figures over the last interval.
    pub(crate) fn figures(&mut self, now: Duration, figures: &Figures) -> Vec<Order> {
        if self.stop.is_some() {
            return Vec::new();
        }
        let (before, live) = (self.scale.limit(), self.live());
        let reason = self.scale.look(now, figures, live);
        let action = match self.scale.limit() < before {
            true => "scale_down",
            false => "scale_up",
        };
        reason
            .map(|reason| self.scaled(action, reason))
            .into_iter()
            .collect()
    }

    fn scaled(&self, action: &'static str, reason: String) -> Order {
        Order::Report(Note {
            event: "scaled",
            worker: None,
            action: Some(action),
            reason: format!(
                "{} of {} workers: {reason}",
                self.scale.limit(),
                self.scale.target()
            ),
        })
    }

    /// A worker has ended, with all that it had started.
    pub(crate) fn ended(&mut self, now: Duration, number: u32, end: &WorkerEnd) -> Vec<Order> {
        let Some(worker) = self.workers.get_mut(&number) else {
            return Vec::new();
        };
        let mut orders = Vec::new();
        if worker.ended(now, end, &self.rules) == Outcome::HoldAll {
            self.hold = Some(now + self.rules.cooldown);
            let seconds = self.rules.cooldown.as_secs_f64();
            let reason = format!("it gave up (255); no worker starts for {seconds} s");
            orders.push(tell("warned", number, Some("hold"), reason));
        }
        if let State::Paused { reason } = &worker.state {
            orders.push(tell("paused", number, Some("pause"), reason.clone()));
        }
        orders
    }

    /// A person wants one worker less, or more. `grow` says whether there may be numbers beyond those
    /// there are.
    pub(crate) fn change_target(&mut self, now: Duration, more: bool, grow: bool) -> Order {
        let count = self.workers.len() as u32;
        let live = self.live();
        let beyond = more && self.scale.target() >= count;
        let done = match more {
            true => (grow || !beyond) && self.scale.more(now),
            false => self.scale.less(now, live),
        };
        if done && beyond {
            self.workers.insert(count + 1, Worker::new(&self.rules));
        }
        match (done, more) {
            (true, true) => self.scaled("scale_up", "asked for".into()),
            (true, false) => self.scaled("scale_down", "asked for".into()),
            (false, true) if beyond && !grow => self.scaled(
                "none",
                "the command is cut in as many parts as there are".into(),
            ),
            (false, _) => self.scaled("none", "that is the bound".into()),
        }
    }

    /// Paused workers are tried again, and a hold is over.
    pub(crate) fn resume(&mut self) {
        self.hold = None;
        self.workers.values_mut().for_each(Worker::resume);
    }

    /// The pool is to end, workers first.
    pub(crate) fn stop(&mut self, now: Duration) {
        self.stop.get_or_insert(Stop {
            deadline: now + self.grace,
            turn: now,
        });
    }

    /// No more patience.
    pub(crate) fn stop_now(&mut self, now: Duration) {
        self.stop = Some(Stop {
            deadline: now,
            turn: now,
        });
        for worker in self.workers.values_mut().filter(|worker| worker.runs()) {
            worker.end(now, Why::Asked);
        }
    }
}

fn tell(event: &'static str, worker: u32, action: Option<&'static str>, reason: String) -> Order {
    Order::Report(Note {
        event,
        worker: Some(worker),
        action,
        reason,
    })
}

#[cfg(test)]
mod simulated;
#[cfg(test)]
mod tests;
