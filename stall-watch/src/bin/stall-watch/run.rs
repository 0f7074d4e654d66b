//! All attempts: what they share, and the pauses between them.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use anyhow::Context;
use rustix::{
    event::{PollFd, Timespec, poll},
    io::Errno,
};
use signal_hook::consts::SIGUSR1;
use stall_watch::{
    caught::{Caught, STOP_SIGNALS},
    events::{self, Events},
    group, proc,
    sampler::ProgressSignal,
};
use wire::records::Event;

use crate::{
    args::Args,
    attempt::{Attempt, Outcome},
    code::Code,
    notify::Notify,
};

/// The longest pause before a restart.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What all attempts share.
pub(crate) struct Run<'a> {
    pub(crate) args: &'a Args,
    pub(crate) caught: Caught,
    pub(crate) events: Events,
    pub(crate) notify: Option<Notify>,
    pub(crate) begun: Instant,
    /// Which start this is, from 1 on.
    pub(crate) attempt: u32,
    /// The signal that asked us to end.
    pub(crate) asked: Option<i32>,
    /// Output could not be written.
    pub(crate) lost_output: Cell<bool>,
}

/// Runs the command until it has ended, or stalled too often.
pub(crate) fn run(args: &Args) -> anyhow::Result<Code> {
    group::adopt_orphans().context("prctl: adopt orphans")?;
    let notify = args.watchdog.then(Notify::open).transpose();
    let shown = args.command.iter().map(|word| word.to_string_lossy());
    let mut run = Run {
        args,
        caught: Caught::install(&[SIGUSR1]).context("signals: catch")?,
        events: Events::open(
            args.events.as_deref(),
            "stall-watch",
            shown.collect::<Vec<_>>().join(" "),
        )?,
        notify: notify.context("NOTIFY_SOCKET: connect")?.flatten(),
        begun: Instant::now(),
        attempt: 0,
        asked: None,
        lost_output: Cell::new(false),
    };
    let code = run.attempts()?;
    if let Some(lost) = run.events.lost() {
        args.complain(format_args!("--events: write: {lost} records were lost"));
    }
    match code {
        Code::Exit(0) if run.lost_output.get() => Ok(Code::OWN_FAILURE),
        code => Ok(code),
    }
}

impl Run<'_> {
    fn attempts(&mut self) -> anyhow::Result<Code> {
        loop {
            self.attempt += 1;
            let end = match Attempt::start(self) {
                Ok(mut attempt) => attempt.watch(self)?,
                Err(error) => return Ok(self.not_started(&error)),
            };
            match end {
                Outcome::Code(code) => return Ok(code),
                Outcome::Stalled if self.attempt > self.args.restart || self.asked.is_some() => {
                    return Ok(Code::STALLED);
                }
                Outcome::Stalled => {}
            }
            let pause = pause(self.attempt);
            if !self.pause(pause)? {
                return Ok(self.asked.map_or(Code::STALLED, Code::Signal));
            }
            self.record("restarted", |event| {
                event.action = Some("restart".into());
                event.reason = Some(format!("it stalled; waited {} s", pause.as_secs()));
            });
        }
    }

    fn not_started(&self, error: &std::io::Error) -> Code {
        let code = match Errno::from_io_error(error) {
            Some(Errno::NOENT) => Code::NOT_FOUND,
            Some(Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE) => Code::OWN_FAILURE,
            _ => Code::CANNOT_RUN,
        };
        let reason = events::reason(error);
        self.args
            .complain(format_args!("{}: run: {reason}", self.args.program()));
        code
    }

    /// Waits before a restart. Says whether there is to be one.
    fn pause(&mut self, pause: Duration) -> anyhow::Result<bool> {
        let end = Instant::now() + pause;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if self.args.max.is_some_and(|max| self.begun.elapsed() >= max) {
                return Ok(false);
            }
            if left.is_zero() {
                return Ok(true);
            }
            let left = left.min(self.time_left());
            self.feed();
            wait(&mut [self.caught.poll()], left.min(self.sample_interval()))?;
            for signal in self.caught.take() {
                if STOP_SIGNALS.contains(&signal) {
                    self.asked = Some(signal);
                    return Ok(false);
                }
                if signal == SIGUSR1 {
                    let left = end.saturating_duration_since(Instant::now()).as_secs();
                    let program = self.args.program();
                    self.args
                        .say(format_args!("{program}: stalled; again in {left} s"));
                }
            }
        }
    }

    /// Until --max.
    pub(crate) fn time_left(&self) -> Duration {
        let max = self.args.max.unwrap_or(Duration::MAX);
        max.saturating_sub(self.begun.elapsed())
    }

    /// The time between two looks.
    pub(crate) fn sample_interval(&self) -> Duration {
        let interval = self.args.sample_interval();
        self.notify
            .as_ref()
            .map_or(interval, |notify| interval.min(notify.every))
    }

    pub(crate) fn feed(&self) {
        if let Some(notify) = &self.notify {
            notify.feed();
        }
    }

    /// Records an event.
    pub(crate) fn record(&mut self, name: &str, fill: impl FnOnce(&mut Event)) {
        let mut event = Event {
            event: name.into(),
            attempt: Some(self.attempt.into()),
            ..Event::default()
        };
        fill(&mut event);
        let _ = self.events.write(event);
    }

    /// The signs of progress that can be seen; where one cannot, it is said.
    pub(crate) fn signs(&self, output_seen: bool, terminal: bool) -> Vec<ProgressSignal> {
        let mut wanted = self.args.signals.clone();
        if terminal
            && wanted.contains(&ProgressSignal::Output)
            && !wanted.contains(&ProgressSignal::Io)
        {
            wanted.push(ProgressSignal::Io);
        }
        let there = proc::is_there();
        let before = wanted.len();
        wanted.retain(|sign| match sign {
            ProgressSignal::Output => output_seen,
            ProgressSignal::Units => true,
            ProgressSignal::Cpu | ProgressSignal::Io => there,
        });
        if !there && wanted.len() < before {
            let rest: Vec<&str> = wanted.iter().map(|sign| sign.name()).collect();
            let rest = match rest.as_slice() {
                [] => "no sign of progress can be read; only --max ends the command".into(),
                rest => format!("only {} counts as progress", rest.join(", ")),
            };
            self.args
                .complain(format_args!("/proc: read: it is not there; {rest}"));
        }
        wanted
    }
}

/// 1, 2, 4 … 60 s.
fn pause(attempt: u32) -> Duration {
    let doubled = 1_u64.checked_shl(attempt - 1).unwrap_or(u64::MAX);
    LONGEST_PAUSE.min(Duration::from_secs(doubled))
}

/// Sleeps until one of them is ready, a signal has come, or the time is over.
pub(crate) fn wait(fds: &mut [PollFd<'_>], time: Duration) -> Result<(), Errno> {
    let time = Timespec {
        tv_sec: time.as_secs().min(3600) as i64,
        tv_nsec: time.subsec_nanos().into(),
    };
    match poll(fds, Some(&time)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        let seconds = [1, 2, 3, 6, 7, 64, 65, 1000].map(|attempt| pause(attempt).as_secs());
        assert_eq!(seconds, [1, 2, 4, 32, 60, 60, 60, 60]);
    }
}
