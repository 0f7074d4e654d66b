//! The looks at a running command, and what follows from each.

use std::time::{Duration, Instant};

use stall_watch::{
    evidence,
    sampler::{Depth, ProgressSignal, Sample},
    watch::{Look, WatchResult},
};

use super::{Attempt, Why};
use crate::run::Run;

/// A command that makes progress is recorded so often.
const PROGRESS_EVERY: Duration = Duration::from_secs(30);

impl Attempt {
    /// Takes a look and does what follows from it.
    pub(super) fn look(&mut self, run: &mut Run<'_>, now: Instant) {
        self.next = now + self.interval;
        let since = now - self.started;
        let streams = &self.streams;
        let signs = self
            .signs
            .get_or_insert_with(|| run.signs(streams.are_seen(), streams.inherited));
        let mut sample = Sample {
            output: self.streams.total() - self.output_seen,
            units: self.units.read(),
            ..Sample::default()
        };
        self.output_seen += sample.output;
        self.total.work += sample.units.work;
        self.total.discovery += sample.units.discovery;
        if signs.contains(&ProgressSignal::Cpu) || signs.contains(&ProgressSignal::Io) {
            let due = since >= self.thorough + run.args.stall / 10;
            let depth = if due || self.watch.matters(since) {
                self.thorough = since;
                Depth::Full
            } else {
                Depth::Quick
            };
            self.sampler.look(&mut self.group, depth, &mut sample);
        }
        let seen: Vec<ProgressSignal> = sample
            .signs(run.args.cpu_min)
            .filter(|sign| signs.contains(sign))
            .collect();
        let look = if !seen.is_empty() {
            self.sampler.forget_opened();
            Look::Progress
        } else if signs.is_empty() || self.streams.are_blocked() {
            Look::Excused
        } else if self.units.wait().is_some() {
            Look::Waits
        } else {
            Look::Nothing
        };
        self.record_wait(run);
        let verdict = self.watch.look(since, run.begun.elapsed(), look);
        self.act_on(run, verdict, &seen, now);
    }

    /// Records what it waits for on purpose, once.
    fn record_wait(&mut self, run: &mut Run<'_>) {
        let waits = self.units.wait().cloned();
        let what = waits.as_ref().map(|wait| wait.what.clone());
        if what == self.waits {
            return;
        }
        if let Some(wait) = waits {
            let left = wait.until.saturating_duration_since(Instant::now());
            let reason = format!("for up to {:.0} s: {}", left.as_secs_f64(), wait.what);
            if run.args.verbose {
                let program = run.args.program();
                run.args
                    .complain(format_args!("{program}: waits on purpose, {reason}"));
            }
            run.record("waiting", |event| event.reason = Some(reason));
        }
        self.waits = what;
    }

    /// A line that says how far it is.
    pub(super) fn print_progress(&self, run: &Run<'_>) {
        let seconds = self.started.elapsed().as_secs_f64();
        let idle = self.watch.idle().as_secs_f64();
        let output = self.streams.total();
        let (work, discovery) = (self.total.work, self.total.discovery);
        let waits = self.units.wait().map_or(String::new(), |wait| {
            format!(", waits on purpose: {}", wait.what)
        });
        let program = run.args.program();
        run.args.say(format_args!(
            "{program}: runs for {seconds:.1} s, no progress for {idle:.1} s, {output} bytes written, \
             {work} units done, {discovery} looked at{waits}"
        ));
    }

    /// Does what a verdict asks for.
    fn act_on(
        &mut self,
        run: &mut Run<'_>,
        verdict: WatchResult,
        seen: &[ProgressSignal],
        now: Instant,
    ) {
        let idle = self.watch.idle();
        let program = run.args.program();
        match verdict {
            WatchResult::Stalled => {
                let reason = format!("no progress for {:.1} s", idle.as_secs_f64());
                run.args
                    .complain(format_args!("{program}: stalled: {reason}"));
                self.record(run, "stalled", seen, Some(reason));
                self.end(Why::Stalled);
            }
            WatchResult::OverTime => {
                let reason = format!("over time after {:.1} s", run.begun.elapsed().as_secs_f64());
                run.args.complain(format_args!("{program}: {reason}"));
                self.record(run, "stalled", seen, Some(reason));
                self.end(Why::OverTime);
            }
            WatchResult::Warn => {
                let reason = format!("no progress for {:.1} s", idle.as_secs_f64());
                if run.args.verbose {
                    run.args.complain(format_args!("{program}: {reason}"));
                }
                self.record(run, "warned", seen, Some(reason));
            }
            WatchResult::Moves => self.record(run, "progress", seen, None),
            WatchResult::Fine => {
                if !seen.is_empty() && now >= self.recorded + PROGRESS_EVERY {
                    self.record(run, "progress", seen, None);
                }
            }
        }
        if self.ending.is_none() {
            run.feed();
        }
    }

    /// Records how far it is, with evidence where it stands still.
    fn record(
        &mut self,
        run: &mut Run<'_>,
        name: &str,
        seen: &[ProgressSignal],
        reason: Option<String>,
    ) {
        self.recorded = Instant::now();
        let stands = reason.is_some();
        let evidence = stands.then(|| {
            let members = self.group.members();
            evidence::gather(&members)
        });
        run.record(name, |event| {
            event.pid = Some(self.group.root().as_raw_nonzero().get() as u64);
            event.seconds = Some(self.started.elapsed().as_secs_f64());
            event.idle = Some(self.watch.idle().as_secs_f64());
            event.signals = Some(seen.iter().map(|sign| sign.name().into()).collect());
            event.output = Some(self.streams.total());
            event.work = Some(self.total.work);
            event.discovery = Some(self.total.discovery);
            event.processes = self.sampler.processes();
            event.action = (name == "stalled").then(|| "TERM".into());
            event.evidence = evidence;
            event.last_lines = stands.then(|| self.streams.last_lines());
            event.reason = reason;
        });
    }
}
