//! What is made of the engine's words about one metadata task, and of its silence. Pure: events and
//! times are given.
//!
//! A call is confirmed at once. Then it waits in the engine's queue, however long that is, and then
//! the task runs. Only while it runs does the file's own clock count.

use std::time::{Duration, Instant};

use crate::{
    api::engine::Event,
    model::failure::Failure,
    retry::timeout::{Clock, Late, Limits, spell},
};

/// How often the API is asked for the row of a task that nothing is heard of, before the task is made
/// again: that costs the engine a second, while a task that is lost never comes.
const QUESTIONS: u32 = 2;

/// How a task ended, as far as we are concerned.
#[derive(Debug, PartialEq)]
pub(super) enum TaskResult {
    /// It made this row.
    Row(i64),
    /// It made none that we know of.
    Failed(Failure),
}

/// What to do when nothing was heard by the deadline.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    /// Ask the API for the row.
    Ask,
    /// Make a call that does nothing, to hear whether the queue has come to it.
    Sound,
    /// Too late: ask once for the row, then give the try up.
    Late(Failure),
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Not confirmed yet, by then.
    Called(Instant),
    /// No connection; whoever keeps it sees to it that this has an end.
    Lost { before: Option<Instant> },
    /// In the queue since; and when it is sounded next.
    Queued { since: Instant, sound: Instant },
    /// Being worked on.
    Started,
    /// Nobody knows; so many questions were asked, the next one then.
    Unconfirmed { asked: u32, next: Instant },
}

/// One task as we hear of it.
#[derive(Debug)]
pub(super) struct Watch {
    confirm_within: Duration,
    limits: Limits,
    longest_queue: Duration,
    phase: Phase,
    /// The connection broke since the last word.
    broken: bool,
}

impl Watch {
    /// A task that is called for now and whose call is confirmed within `confirm_within`.
    pub(super) fn new(confirm_within: Duration, limits: Limits, longest_queue: Duration) -> Watch {
        let confirm_within = confirm_within.min(limits.stall);
        Watch {
            confirm_within,
            limits,
            longest_queue,
            phase: Phase::Called(Instant::now() + confirm_within),
            broken: false,
        }
    }

    /// Until when something should be heard.
    pub(super) fn deadline(&self, clock: &Clock) -> Option<Instant> {
        match self.phase {
            Phase::Called(by) => Some(by),
            Phase::Lost { .. } => None,
            Phase::Queued { since, sound } => {
                let longest = since.checked_add(self.longest_queue);
                Some(longest.map_or(sound, |longest| longest.min(sound)))
            }
            Phase::Started => clock.deadline(),
            Phase::Unconfirmed { next, .. } => Some(next),
        }
    }

    /// Something was heard.
    pub(super) fn heard(
        &mut self,
        event: Event,
        clock: &mut Clock,
        now: Instant,
    ) -> Option<TaskResult> {
        match event {
            Event::Lost => {
                self.phase = Phase::Lost {
                    before: self.question(),
                };
                self.broken = true;
                clock.waits(now);
            }
            Event::Sent => self.phase = Phase::Called(now + self.confirm_within),
            Event::Accepted => {
                self.broken = false;
                let sound = now + self.limits.stall;
                self.phase = Phase::Queued { since: now, sound };
            }
            Event::Started | Event::Progress => {
                self.broken = false;
                self.phase = Phase::Started;
                clock.moves(now);
            }
            Event::Reconnected | Event::Overtaken => {
                // A connection that breaks again and again must not put off the question.
                let next = self.question().unwrap_or(now + self.confirm_within / 5);
                let asked = match self.phase {
                    Phase::Unconfirmed { asked, .. } => asked,
                    _ => 0,
                };
                self.phase = Phase::Unconfirmed { asked, next };
                clock.waits(now);
            }
            Event::Done(row) => {
                return Some(match row {
                    Some(id) => TaskResult::Row(id),
                    None => TaskResult::Failed(Failure::Task("its result is no row".into())),
                });
            }
            Event::Failed(why) => return Some(TaskResult::Failed(Failure::Task(why))),
            Event::Refused(why) if why.contains("QueueFull") => {
                return Some(TaskResult::Failed(Failure::Busy {
                    after: None,
                    message: "the engine's queue is full".into(),
                }));
            }
            Event::Refused(why) => return Some(TaskResult::Failed(Failure::Task(why))),
            Event::Gone(why) => return Some(TaskResult::Failed(Failure::NoEngine(why))),
        }
        None
    }

    /// When the API is to be asked, if that is settled.
    fn question(&self) -> Option<Instant> {
        match self.phase {
            Phase::Unconfirmed { next, .. } => Some(next),
            Phase::Lost { before } => before,
            _ => None,
        }
    }

    /// Nothing was heard by the deadline.
    pub(super) fn silence(&mut self, clock: &Clock, now: Instant) -> Next {
        match self.phase {
            Phase::Queued { since, .. }
                if now.saturating_duration_since(since) >= self.longest_queue =>
            {
                let time = spell(self.longest_queue);
                Next::Late(Failure::NoAnswer(format!(
                    "waited in the engine's queue for {time}, and its turn did not come"
                )))
            }
            Phase::Queued { ref mut sound, .. } => {
                *sound = now + self.limits.stall;
                Next::Sound
            }
            Phase::Started => {
                let why = match clock.late(now) {
                    Some(Late::Over) => format!(
                        "not done within --max-time {}: the metadata task was at work",
                        spell(self.limits.max_time)
                    ),
                    _ => format!(
                        "stalled: the metadata task started, and nothing was heard of it for {}",
                        spell(self.limits.stall)
                    ),
                };
                Next::Late(Failure::NoAnswer(why))
            }
            Phase::Called(_) | Phase::Unconfirmed { .. } | Phase::Lost { .. } => Next::Ask,
        }
    }

    /// The API was asked, and there is no row. Gives the end, or the question is asked again later.
    pub(super) fn not_there(&mut self, now: Instant) -> Option<Failure> {
        let asked = match self.phase {
            Phase::Unconfirmed { asked, .. } => asked + 1,
            _ => 1,
        };
        let next = now + (self.confirm_within / 5) * (1 << asked);
        self.phase = Phase::Unconfirmed { asked, next };
        (asked >= QUESTIONS).then(|| {
            let why = "the engine lost the metadata task".to_string();
            match self.broken {
                true => Failure::Interrupted(why),
                false => Failure::NoAnswer(why),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn watch() -> (Watch, Clock, Instant) {
        let limits = Limits {
            stall: seconds(240),
            max_time: seconds(600),
        };
        let now = Instant::now();
        let mut clock = Clock::new(limits, now);
        clock.waits(now);
        (Watch::new(seconds(10), limits, seconds(1800)), clock, now)
    }

    #[test]
    fn the_queue_is_sounded_and_no_stall() {
        let (mut watch, mut clock, start) = watch();
        assert_eq!(watch.heard(Event::Accepted, &mut clock, start), None);
        for minute in [4, 8, 12, 16, 20, 24, 28] {
            let at = start + seconds(60 * minute);
            assert_eq!(watch.deadline(&clock), Some(at));
            assert_eq!(watch.silence(&clock, at), Next::Sound);
        }
        let end = start + seconds(1800);
        assert_eq!(watch.deadline(&clock), Some(end));
        let Next::Late(Failure::NoAnswer(why)) = watch.silence(&clock, end) else {
            panic!("it waits on")
        };
        assert!(why.contains("queue for 30m"), "{why}");
        assert_eq!(clock.late(end), None);
    }

    #[test]
    fn a_task_at_work_has_the_file_s_own_limits() {
        let (mut watch, mut clock, start) = watch();
        watch.heard(Event::Accepted, &mut clock, start);
        let begun = start + seconds(1000);
        watch.heard(Event::Started, &mut clock, begun);
        assert_eq!(watch.deadline(&clock), Some(begun + seconds(240)));
        watch.heard(Event::Progress, &mut clock, begun + seconds(200));
        let late = begun + seconds(440);
        assert_eq!(watch.deadline(&clock), Some(late));
        let Next::Late(Failure::NoAnswer(why)) = watch.silence(&clock, late) else {
            panic!("it waits on")
        };
        assert!(why.contains("metadata task started") && why.contains("4m"));
    }

    #[test]
    fn a_lost_connection_is_waited_out_and_then_asked_about() {
        let (mut watch, mut clock, start) = watch();
        watch.heard(Event::Accepted, &mut clock, start);
        watch.heard(Event::Lost, &mut clock, start + seconds(1));
        assert_eq!(watch.deadline(&clock), None);
        let back = start + seconds(900);
        watch.heard(Event::Reconnected, &mut clock, back);
        assert_eq!(watch.deadline(&clock), Some(back + seconds(2)));
        // It breaks again, for a moment: the question stands.
        watch.heard(Event::Lost, &mut clock, back + seconds(1));
        watch.heard(Event::Reconnected, &mut clock, back + seconds(1));
        let asked = back + seconds(2);
        assert_eq!(watch.deadline(&clock), Some(asked));
        assert_eq!(watch.silence(&clock, asked), Next::Ask);
        assert_eq!(watch.not_there(asked), None);
        let again = asked + seconds(4);
        assert_eq!(watch.deadline(&clock), Some(again));
        let end = watch.not_there(again);
        assert!(matches!(end, Some(Failure::Interrupted(_))), "{end:?}");
    }

    #[test]
    fn a_call_that_is_not_confirmed_is_asked_about() {
        let (mut watch, clock, _) = watch();
        let at = watch.deadline(&clock).unwrap();
        assert_eq!(watch.silence(&clock, at), Next::Ask);
        assert_eq!(watch.not_there(at), None);
        assert!(matches!(watch.not_there(at), Some(Failure::NoAnswer(_))));
    }
}
