//! One start of the command, up to its end.

use std::{
    io,
    process::Command,
    time::{Duration, Instant},
};

use rustix::{process::Signal, termios::tcgetpgrp};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGUSR1};
use stall_watch::{
    caught::STOP_SIGNALS,
    events,
    group::{self, Group, Orphans, Place, Reaped},
    sampler::{ProgressSignal, Sampler},
    units::{self, Count, Units},
    watch::{Limits, Watch},
};

mod look;

use crate::{
    code::Code,
    notify,
    run::{Run, wait},
    streams::Streams,
};

/// While processes are being ended, it is looked whether they are gone, and KILL repeated, so often.
const ENDING: Duration = Duration::from_millis(50);
/// What is there so long after KILL hangs in the kernel.
const HANGS: Duration = Duration::from_secs(10);

/// How an attempt ended.
pub(crate) enum Outcome {
    /// For good.
    Code(Code),
    /// It was ended because it stood still.
    Stalled,
}

/// Why all processes are being ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    Stalled,
    OverTime,
    Asked(i32),
}

/// They are being ended.
struct Ending {
    why: Why,
    term: Instant,
    kill: Option<Instant>,
    repeat: Instant,
}

/// A running command.
pub(crate) struct Attempt {
    started: Instant,
    place: Place,
    group: Group,
    streams: Streams,
    units: Units,
    sampler: Sampler,
    watch: Watch,
    interval: Duration,
    next: Instant,
    /// Signs that count, known from the first look on.
    signs: Option<Vec<ProgressSignal>>,
    output_seen: u64,
    thorough: Duration,
    recorded: Instant,
    total: Count,
    /// What it said last that it waits for.
    waits: Option<String>,
    /// When the command itself was seen to have ended.
    over: Option<Instant>,
    ending: Option<Ending>,
}

impl Attempt {
    /// Starts the command.
    ///
    /// # Errors
    /// It could not be started.
    pub(crate) fn start(run: &mut Run<'_>) -> io::Result<Attempt> {
        let mut command = Command::new(&run.args.command[0]);
        command.args(&run.args.command[1..]);
        let (units, reporter) = units::open()?;
        command.env(units::VARIABLE, reporter.number());
        if run.notify.is_some() {
            for name in notify::VARIABLES {
                command.env_remove(name);
            }
        }
        let streams = Streams::give(&mut command)?;
        let place = place();
        // What is ours of its pipes is closed with the command, in there, and with the reporter.
        let group = Group::start(command, place, Orphans::All)?;
        drop(reporter);
        let now = Instant::now();
        let interval = run.sample_interval();
        run.record("started", |event| {
            event.pid = Some(group.root().as_raw_nonzero().get() as u64);
        });
        let limits = Limits {
            stall: run.args.stall,
            max: run.args.max,
            sample: interval,
            wait: run.args.wait,
        };
        Ok(Attempt {
            started: now,
            place,
            group,
            streams,
            units,
            sampler: Sampler::default(),
            watch: Watch::new(limits, Duration::ZERO),
            interval,
            next: now + interval,
            signs: None,
            output_seen: 0,
            thorough: Duration::ZERO,
            recorded: now,
            total: Count::default(),
            waits: None,
            over: None,
            ending: None,
        })
    }

    /// Watches it until it has ended, or all of it was ended.
    ///
    /// # Errors
    /// This process cannot wait for events.
    pub(crate) fn watch(&mut self, run: &mut Run<'_>) -> anyhow::Result<Outcome> {
        loop {
            let reaped = group::reap();
            self.group.note(&reaped);
            for lost in self.streams.pump() {
                run.lost_output.set(true);
                let reason = events::reason(&lost.error);
                run.args
                    .complain(format_args!("{}: write: {reason}", lost.stream));
            }
            if let Some(end) = self.ended(run, &reaped) {
                return Ok(end);
            }
            let now = Instant::now();
            if self.ending.is_some() {
                self.kill_remaining(run, now);
            } else if self.over.is_some() {
                run.feed();
            } else if now >= self.next || run.time_left().is_zero() {
                self.look(run, now);
            }
            let until = match &self.ending {
                Some(_) => ENDING,
                None if self.over.is_some() => self.interval,
                None => self
                    .next
                    .saturating_duration_since(Instant::now())
                    .min(run.time_left()),
            };
            let mut fds = vec![run.caught.poll()];
            fds.extend(self.streams.polls());
            wait(&mut fds, until)?;
            for signal in run.caught.take() {
                match signal {
                    SIGUSR1 => self.print_progress(run),
                    signal if STOP_SIGNALS.contains(&signal) => self.on_signal(run, signal),
                    _ => {}
                }
            }
        }
    }

    /// Is it over?
    fn ended(&mut self, run: &mut Run<'_>, reaped: &Reaped) -> Option<Outcome> {
        match &self.ending {
            None => {
                let status = self.group.ended()?;
                let over = *self.over.get_or_insert_with(Instant::now);
                // Nobody is watched any more. Descendants that hold its output may write for a while;
                // then they are let go, as all others are at once.
                let through = self.streams.are_through();
                let gone = reaped.none_left && !self.streams.are_blocked();
                let left = through && over.elapsed() >= run.args.kill_after;
                if self.streams.are_open() && !gone && !left {
                    return None;
                }
                run.record("ended", |event| {
                    event.seconds = Some(self.started.elapsed().as_secs_f64());
                    event.code = status.exit_status().map(Into::into);
                    event.signal = status.terminating_signal().map(name);
                });
                Some(Outcome::Code(Code::of(status)))
            }
            Some(ending) => {
                let hangs = ending.kill.is_some_and(|kill| kill.elapsed() >= HANGS);
                // A slow reader gets the time that the command would have had.
                let patience = run.args.kill_after + HANGS;
                let written = !self.streams.are_blocked() || ending.term.elapsed() >= patience;
                if !(hangs || (reaped.none_left && written)) {
                    return None;
                }
                let (why, killed) = (ending.why, ending.kill.is_some());
                Some(self.all_ended(run, why, killed, reaped.none_left))
            }
        }
    }

    /// Records how it went, and finds the code.
    fn all_ended(&mut self, run: &mut Run<'_>, why: Why, killed: bool, none_left: bool) -> Outcome {
        let mut left: Vec<String> = Vec::new();
        if !none_left {
            let members = self.group.members();
            left.extend(
                members
                    .iter()
                    .map(|stat| format!("{} {}", stat.pid, stat.name)),
            );
            if left.is_empty() {
                left.push("processes that cannot be seen".into());
            }
            let list = left.join(", ");
            run.args.complain(format_args!(
                "{}: kill: still there: {list}",
                run.args.program()
            ));
        }
        let status = self.group.ended();
        run.record("killed", |event| {
            event.seconds = Some(self.started.elapsed().as_secs_f64());
            event.action = Some(if killed { "KILL" } else { "TERM" }.into());
            event.remaining = Some(left);
        });
        run.record("ended", |event| {
            event.seconds = Some(self.started.elapsed().as_secs_f64());
            event.code = status
                .and_then(|status| status.exit_status())
                .map(Into::into);
            event.signal = status
                .and_then(|status| status.terminating_signal())
                .map(name);
        });
        match why {
            Why::Stalled if none_left => Outcome::Stalled,
            // Beside what is still there, a new start would be a second one.
            Why::Stalled | Why::OverTime => Outcome::Code(Code::STALLED),
            Why::Asked(signal) => Outcome::Code(Code::Signal(signal)),
        }
    }

    /// A signal came: the first goes to the command, a second ends all.
    fn on_signal(&mut self, run: &mut Run<'_>, signal: i32) {
        // A terminal that goes away may say so more than once.
        let again = run.asked.is_some() && signal != SIGHUP;
        run.asked = Some(signal);
        if self.over.is_some() && self.ending.is_none() {
            self.end(Why::Asked(signal));
            return;
        }
        if again || self.ending.is_some() {
            let why = match &self.ending {
                Some(ending) => ending.why,
                None => Why::Asked(signal),
            };
            self.end(why);
            self.kill(Instant::now());
            return;
        }
        // The keyboard's signals went to the whole group that has the terminal.
        let keyboard = self.place == Place::OurGroup && matches!(signal, SIGINT | SIGQUIT);
        if !keyboard && let Some(signal) = Signal::from_named_raw(signal) {
            self.group.signal(signal);
        }
    }

    /// Begins to end all of it.
    fn end(&mut self, why: Why) {
        if self.ending.is_none() {
            self.group.signal(Signal::TERM);
            let now = Instant::now();
            self.ending = Some(Ending {
                why,
                term: now,
                kill: None,
                repeat: now,
            });
        }
    }

    fn kill(&mut self, now: Instant) {
        self.group.signal(Signal::KILL);
        if let Some(ending) = &mut self.ending {
            ending.kill.get_or_insert(now);
            ending.repeat = now + ENDING;
        }
    }

    /// Kills what did not heed TERM, until nothing is left.
    fn kill_remaining(&mut self, run: &mut Run<'_>, now: Instant) {
        run.feed();
        if let Some(ending) = &self.ending {
            let due = match ending.kill {
                Some(_) => ending.repeat,
                None => ending.term + run.args.kill_after,
            };
            if now >= due {
                self.kill(now);
            }
        }
    }
}

/// A command that has our terminal must stay in the group that the terminal belongs to.
fn place() -> Place {
    // 0 where the group is of another PID namespace; rustix's own getpgrp has no answer for that.
    let ours = nix::unistd::getpgrp().as_raw();
    let (input, output, error) = (io::stdin(), io::stdout(), io::stderr());
    let mut owners = [tcgetpgrp(&input), tcgetpgrp(&output), tcgetpgrp(&error)].into_iter();
    if owners.any(|owner| owner.is_ok_and(|owner| owner.as_raw_pid() == ours)) {
        Place::OurGroup
    } else {
        Place::OwnGroup
    }
}

fn name(signal: i32) -> String {
    signal_hook::low_level::signal_name(signal).map_or_else(|| signal.to_string(), Into::into)
}
