//! What the pool tells: event records, and lines on stderr.

use std::{
    fmt,
    io::{self, Write},
    os::{fd::AsFd, unix::process::CommandExt},
    process::{Command, Stdio},
};

use stall_watch::proc::Stat;
use wire::{path::printable, progress::Mode, records::Event};

use super::Run;
use crate::{
    args::Args,
    pool::Note,
    process::{NUMBER, Process, last_lines},
    worker::{State, WorkerEnd, signal_name},
};

/// A line on stderr.
pub(super) fn complain(args: &Args, what: fmt::Arguments<'_>) {
    if !args.output.quiet {
        say(what);
    }
}

/// The same, also where nothing but errors is to be said.
fn say(what: fmt::Arguments<'_>) {
    let line = printable(&format!("stall-pool: {what}"));
    // Nobody is left to be told when standard error is closed.
    let _ = writeln!(io::stderr(), "{line}");
}

impl Run<'_> {
    /// A line on stderr.
    pub(super) fn complain(&self, what: fmt::Arguments<'_>) {
        complain(self.args, what);
    }

    /// Records an event of a worker, or of the pool.
    fn record(
        &mut self,
        name: &str,
        number: Option<u32>,
        fill: impl FnOnce(&mut Event),
    ) -> Vec<u8> {
        let mut event = Event {
            event: name.into(),
            worker: number.map(Into::into),
            ..Event::default()
        };
        let worker = number.and_then(|number| self.pool.workers.get(&number));
        if let (Some(number), Some(worker)) = (number, worker) {
            event.attempt = Some(worker.starts.into());
            event.work = Some(worker.units.work);
            event.discovery = Some(worker.units.discovery);
            event.idle = worker.runs().then(|| worker.idle().as_secs_f64());
            if let Some(process) = self.processes.get(&number) {
                event.pid = Some(process.pid());
                event.seconds = Some(process.began.elapsed().as_secs_f64());
                event.processes = process.count();
            }
        }
        fill(&mut event);
        self.events.write(event)
    }

    /// What the pool itself had to tell.
    pub(super) fn report(&mut self, note: &Note) {
        let worker = note.worker;
        let evidence = match (note.event, worker) {
            ("stalled" | "warned", Some(number)) => self.evidence(number),
            _ => None,
        };
        let (workers, scale) = (self.pool.live(), &self.pool.scale);
        let (places, target) = (scale.limit(), scale.target());
        let figures = match note.event {
            "stalled" => self.load.now(self.clock.now()),
            _ => self.load.figures,
        };
        let line = self.record(note.event, worker, |event| {
            event.action = note.action.map(Into::into);
            event.reason = Some(note.reason.clone());
            if let Some((facts, lines)) = evidence {
                event.evidence = Some(facts);
                event.last_lines = Some(lines);
            }
            if matches!(note.event, "scaled" | "stalled") {
                event.workers = Some(workers.into());
                event.places = Some(places.into());
                event.target = Some(target.into());
                (event.disk, event.io) = (figures.disk, figures.io);
                event.memory = figures.memory;
            }
        });
        let who = worker.map_or("pool".into(), |number| format!("worker {number}"));
        let what = note.event;
        match what {
            // A person must.
            "paused" => say(format_args!("{who}: {what}: {}", note.reason)),
            // That it ended, or stalled, was said.
            "restarted" if !self.args.output.verbose => {}
            _ => self.complain(format_args!("{who}: {what}: {}", note.reason)),
        }
        if matches!(what, "stalled" | "paused") {
            self.advise(&line);
        }
    }

    fn evidence(&mut self, number: u32) -> Option<(Vec<String>, Vec<String>)> {
        Some(self.processes.get_mut(&number)?.evidence())
    }

    pub(super) fn report_started(&mut self, number: u32, process: &Process) {
        let pid = process.pid();
        if self.args.output.verbose {
            self.complain(format_args!("worker {number}: started: process {pid}"));
        }
        let _ = self.record("started", Some(number), |event| event.pid = Some(pid));
    }

    pub(super) fn report_ended(&mut self, number: u32, end: &WorkerEnd, process: Option<&Process>) {
        let seconds = process.map(|process| process.began.elapsed().as_secs_f64());
        if self.args.output.verbose {
            self.complain(format_args!("worker {number}: ended: {end}"));
        }
        if let Some(how) = process.and_then(Process::ended_by) {
            let _ = self.record("killed", Some(number), |event| {
                event.action = Some(how.into());
                event.seconds = seconds;
                event.remaining = Some(Vec::new());
            });
        }
        let _ = self.record("ended", Some(number), |event| {
            event.seconds = seconds;
            match end {
                WorkerEnd::Code(code) => event.code = Some((*code).into()),
                WorkerEnd::Signal(signal) => event.signal = Some(signal_name(*signal)),
                WorkerEnd::NotStarted(reason) => event.reason = Some(reason.clone()),
            }
        });
    }

    /// One that failed is said to, with what it said itself, and when it is started again.
    pub(super) fn report_restart(&self, number: u32, end: &WorkerEnd) {
        let state = self.pool.workers.get(&number).map(|worker| &worker.state);
        let log = self.paths.log(number);
        let said = error_line(&last_lines(&log)).map_or(String::new(), |line| format!(": {line}"));
        let log = log.display();
        match state {
            Some(State::Waiting { until }) if self.stop.is_none() => {
                let until = self.pool.hold.map_or(*until, |hold| hold.max(*until));
                let pause = until.saturating_sub(self.clock.now()).as_secs_f64();
                self.complain(format_args!(
                    "worker {number}: ended: {end}{said}; again in {pause:.0} s; its log: {log}"
                ));
            }
            Some(State::Paused { .. })
                if !said.is_empty() && !matches!(end, WorkerEnd::NotStarted(_)) =>
            {
                say(format_args!(
                    "worker {number}: ended: {end}{said}; its log: {log}"
                ));
            }
            _ => {}
        }
    }

    /// What KILL did not end.
    pub(super) fn report_hanging(&mut self, number: u32, left: &[Stat]) {
        let mut left: Vec<String> = left
            .iter()
            .map(|stat| format!("{} {}", stat.pid, stat.name))
            .collect();
        if left.is_empty() {
            left.push("processes that cannot be seen".into());
        }
        self.complain(format_args!(
            "worker {number}: kill: still there: {}; it is not started again beside them",
            left.join(", ")
        ));
        let _ = self.record("killed", Some(number), |event| {
            event.action = Some("KILL".into());
            event.remaining = Some(left);
        });
    }

    pub(super) fn report_warned(&mut self, number: u32) {
        let evidence = self.evidence(number);
        let _ = self.record("warned", Some(number), |event| {
            if let Some((facts, lines)) = evidence {
                event.evidence = Some(facts);
                event.last_lines = Some(lines);
            }
        });
    }

    pub(super) fn report_progress(&mut self, number: u32) {
        let _ = self.record("progress", Some(number), |_| {});
    }

    /// How all of it stands, in a line.
    fn progress(&self) -> String {
        let (workers, places) = (self.pool.live(), self.pool.scale.limit());
        let all = || self.pool.workers.values();
        let done: u64 = all().map(|worker| worker.units.work).sum();
        let waiting = all().filter(|worker| worker.waits.is_some()).count();
        let waiting = (waiting > 0).then(|| format!(", {waiting} of them waiting on purpose"));
        let disk = self.load.figures.disk;
        let disk = disk.map(|busy| format!(", disk {busy:.0} % busy"));
        format!(
            "{workers} of {places} workers at work{}, {done} units done{}",
            waiting.unwrap_or_default(),
            disk.unwrap_or_default()
        )
    }

    /// Somebody asks.
    pub(super) fn print_progress(&self) {
        say(format_args!("{}", self.progress()));
    }

    /// How the pool stands, once an interval.
    pub(super) fn heartbeat(&mut self) {
        let figures = self.load.figures;
        let (workers, scale) = (self.pool.live(), &self.pool.scale);
        let (places, target) = (scale.limit(), scale.target());
        if self.args.output.verbose || self.args.output.progress == Mode::Plain {
            self.complain(format_args!("{}", self.progress()));
        }
        let _ = self.record("heartbeat", None, |event| {
            event.workers = Some(workers.into());
            event.places = Some(places.into());
            event.target = Some(target.into());
            (event.disk, event.io) = (figures.disk, figures.io);
            event.memory = figures.memory;
        });
    }

    /// Hands an event to whoever may know what to do.
    fn advise(&self, line: &[u8]) {
        let Some(command) = &self.args.on_stall else {
            return;
        };
        let error = || -> io::Result<()> {
            let output = io::stderr().as_fd().try_clone_to_owned()?;
            let mut child = Command::new("sh")
                .arg("-c")
                .arg(command)
                // Or it would pass for a worker of ours, where we are one of another pool.
                .env_remove(NUMBER)
                .process_group(0)
                .stdin(Stdio::piped())
                .stdout(output)
                .spawn()?;
            // A line fits into a pipe, so this does not wait. The child is reaped with all others.
            match child.stdin.take() {
                Some(mut stdin) => stdin.write_all(line),
                None => Ok(()),
            }
        };
        if let Err(error) = error() {
            self.complain(format_args!("--on-stall: run: {error}"));
        }
    }
}

/// Of what a worker said last, the line that tells the most: usage errors end with advice.
fn error_line(lines: &[String]) -> Option<&String> {
    let is_error = |line: &&String| line.to_lowercase().contains("error");
    lines.iter().rfind(is_error).or(lines.last())
}

#[cfg(test)]
mod tests {
    use super::error_line;

    #[test]
    fn of_a_usage_error_the_error_is_told_not_the_advice() {
        let lines = |lines: &[&str]| lines.iter().map(|line| line.to_string()).collect();
        let clap: Vec<String> = lines(&[
            "error: unexpected argument '--shad' found",
            "Usage: calibre-list [OPTIONS]",
            "For more information, try '--help'.",
        ]);
        assert_eq!(error_line(&clap), Some(&clap[0]));
        let own: Vec<String> = lines(&["working", "mbs-upload: no server: give --api"]);
        assert_eq!(error_line(&own), Some(&own[1]));
        assert_eq!(error_line(&[]), None);
    }
}
