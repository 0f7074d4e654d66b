//! A server that is away for a while: noticed once for all workers, asked by one of them with
//! growing pauses, said once when it starts and once when it is over, and given up in the end.

mod absence;

use std::{
    fmt,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use thiserror::Error;

pub use absence::{Absence, Next, Part};

use wire::waiting::{self, Waiting};

use crate::{
    model::failure::Failure,
    retry::{
        attempt::{self, Policy, chance},
        shutdown::{STOPPED, Shutdown},
        timeout::spell,
    },
};

/// What a failure meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The server is there: the failure is this step's own.
    There,
    /// It was away and is back: the step is taken again, and the failure counts for nothing.
    Back,
    /// It stayed away for too long, or refuses us: the run is over, and why.
    Gone(String),
}

/// The run is over, and why.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct Gone(pub String);

type Say = Box<dyn Fn(Part, &str) + Send + Sync>;

/// What all workers know of the server's absence.
pub struct Outage {
    state: Mutex<State>,
    change: Condvar,
    say: Say,
    shutdown: Shutdown,
}

#[derive(Debug)]
struct State {
    absence: Absence,
    /// A worker is asking the API for all.
    asking: bool,
    /// Questions that were answered so far, and what the last one came to.
    round: u64,
    last: Standing,
    gone: Option<String>,
    /// It is away, and waited for.
    waits: Option<Waiting>,
    /// What stayed away for too long.
    culprit: Option<Part>,
}

impl fmt::Debug for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outage")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Outage {
    /// A server that is there. It may be away for `limit`, and is asked with the pauses of `policy`;
    /// `say` gets the beginning and the end of an absence. Nobody waits once `shutdown` is requested.
    pub fn new(
        limit: Duration,
        policy: Policy,
        shutdown: &Shutdown,
        say: impl Fn(Part, &str) + Send + Sync + 'static,
    ) -> Outage {
        Outage {
            state: Mutex::new(State {
                absence: Absence::new(limit, policy),
                asking: false,
                round: 0,
                last: Standing::There,
                gone: None,
                waits: None,
                culprit: None,
            }),
            change: Condvar::new(),
            say: Box::new(say),
            shutdown: shutdown.clone(),
        }
    }

    /// What a worker's `failure` means for the run. Where the server may be away, `ask` finds out:
    /// called by one worker at a time, while the others wait for the answer that it gets.
    pub fn standing(&self, failure: &Failure, ask: impl Fn() -> Result<(), Failure>) -> Standing {
        if self.shutdown.requested() {
            return self.give_up(STOPPED);
        }
        if let Failure::NoEngine(why) | Failure::NoDatabase(why) = failure {
            self.give_up(why);
        }
        // It has been waited for by those who keep the connection.
        if let Failure::Interrupted(_) = failure {
            return Standing::Back;
        }
        if !failure.may_mean_absence() {
            return Standing::There;
        }
        let mut state = self.lock();
        if let Some(why) = &state.gone {
            return Standing::Gone(why.clone());
        }
        if state.asking {
            let round = state.round;
            while state.round == round {
                state = self
                    .change
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            return state.last.clone();
        }
        state.asking = true;
        drop(state);
        let standing = self.find_out(ask);
        let mut state = self.lock();
        state.asking = false;
        state.round += 1;
        state.last = standing.clone();
        self.change.notify_all();
        standing
    }

    fn find_out(&self, ask: impl Fn() -> Result<(), Failure>) -> Standing {
        for asked in 1.. {
            match ask() {
                Err(Failure::Denied(why)) => return self.give_up(&why),
                Err(failure) if failure.may_mean_absence() => {
                    let Some(pause) = self.missed(Part::Api, &failure.to_string()) else {
                        break;
                    };
                    let _waiting = waiting::announce(&failure.to_string(), pause);
                    if self.shutdown.sleep(pause) {
                        return self.give_up(STOPPED);
                    }
                }
                // Even a refusal is a sign of life.
                _ if asked > 1 => return self.back(Part::Api, Standing::Back),
                _ => return self.back(Part::Api, Standing::There),
            }
        }
        Standing::Gone(self.gone().unwrap_or_default())
    }

    fn back(&self, part: Part, standing: Standing) -> Standing {
        self.heard(part);
        standing
    }

    /// A try to reach `part` failed; gives the pause before the next one, or nothing when the time
    /// is up.
    pub fn missed(&self, part: Part, why: &str) -> Option<Duration> {
        let mut state = self.lock();
        if state.gone.is_some() {
            return None;
        }
        match state.absence.missed(part, Instant::now(), chance()) {
            Next::Wait { pause, tell } => {
                if let Some(most) = tell {
                    state.waits = Some(waiting::announce(why, most));
                    let text = format!("{why}; waiting for it for up to {}", spell(most));
                    (self.say)(part, &text);
                }
                Some(pause)
            }
            Next::GiveUp(after) => {
                state.culprit = Some(part);
                state.gone = Some(match after {
                    Duration::ZERO => format!("gone: {why}"),
                    after => format!("gone for {}: {why}", spell(after)),
                });
                state.waits = None;
                self.change.notify_all();
                None
            }
        }
    }

    /// `part` answers.
    pub fn heard(&self, part: Part) {
        let mut state = self.lock();
        let was = state.absence.heard(part, Instant::now());
        if let Some(was) = was {
            state.waits = None;
            (self.say)(part, &format!("back after {}", spell(was)));
        }
    }

    /// The run is over for this reason, unless it is for another one already.
    pub fn give_up(&self, why: &str) -> Standing {
        let mut state = self.lock();
        state.waits = None;
        let why = state.gone.get_or_insert_with(|| why.into()).clone();
        self.change.notify_all();
        Standing::Gone(why)
    }

    /// Why the run is over, if it is.
    pub fn gone(&self) -> Option<String> {
        self.lock().gone.clone()
    }

    /// What stayed away for too long, if that is why the run is over.
    pub fn culprit(&self) -> Option<Part> {
        self.lock().culprit
    }

    /// Asks `part` for the first time, and again as long as it may be away. What is no absence is tried
    /// again as any step.
    ///
    /// # Errors
    /// The last failure, or that it stayed away.
    pub fn first<T>(
        &self,
        part: Part,
        policy: Policy,
        mut ask: impl FnMut() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let limit = self.lock().absence.limit();
        let began = Instant::now();
        let mut failed = 0;
        loop {
            let failure = match ask() {
                Ok(answer) => {
                    self.heard(part);
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            let pause = if is_away(&failure) && !limit.is_zero() {
                let Some(pause) = self.missed(part, &failure.to_string()) else {
                    return Err(Failure::NotReached(self.gone().unwrap_or_default()));
                };
                let asked = match &failure {
                    Failure::Busy { after, .. } => after.unwrap_or_default(),
                    _ => Duration::ZERO,
                };
                let left = limit.saturating_sub(began.elapsed());
                pause.max(asked.min(left))
            } else {
                failed += 1;
                match policy.next(&failure, failed, chance()) {
                    attempt::Next::Wait(pause) => pause,
                    attempt::Next::GiveUp => return Err(failure),
                }
            };
            if wire::stop::sleep(pause) {
                return Err(failure);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Is a server that has not been seen yet away, rather than another one, which it will be later, too?
fn is_away(failure: &Failure) -> bool {
    use Failure::*;
    matches!(failure, NotReached(_) | NoAnswer(_) | Busy { .. } | Down(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    fn outage(limit: Duration) -> (Outage, Arc<Mutex<Vec<String>>>) {
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let policy = Policy {
            retries: 3,
            wait: Duration::from_millis(1),
            longest: limit,
        };
        let say = move |_, text: &str| heard.lock().unwrap().push(text.to_string());
        let shutdown = Shutdown::new().unwrap();
        (Outage::new(limit, policy, &shutdown, say), said)
    }

    fn refused() -> Failure {
        Failure::NotReached("refused".into())
    }

    #[test]
    fn what_answers_and_is_no_such_server_is_not_waited_for() {
        let why = || "why".to_string();
        for failure in [Failure::NotReached(why()), Failure::Down(why())] {
            assert!(is_away(&failure), "{failure:?}");
        }
        for failure in [Failure::Unusable(why()), Failure::Server(why())] {
            assert!(!is_away(&failure), "{failure:?}");
        }
    }

    #[test]
    fn an_absence_at_the_start_is_none_of_the_tries() {
        let (outage, _) = outage(Duration::from_secs(60));
        let policy = Policy {
            retries: 1,
            wait: Duration::from_millis(1),
            longest: Duration::from_secs(1),
        };
        let mut asked = 0;
        let answer = outage.first(Part::Api, policy, || {
            asked += 1;
            match asked {
                1..=4 => Err(refused()),
                5 => Err(Failure::Server("HTTP 200: no token".into())),
                _ => Ok(()),
            }
        });
        assert!(answer.is_ok() && asked == 6, "{answer:?} {asked}");
    }

    #[test]
    fn one_worker_asks_for_all() {
        let (outage, said) = outage(Duration::from_secs(60));
        let asked = AtomicUsize::new(0);
        let ask = || match asked.fetch_add(1, Ordering::Relaxed) {
            0..5 => Err(refused()),
            _ => Ok(()),
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| outage.standing(&refused(), ask)))
                .collect();
            for worker in workers {
                // One that came late found it back already.
                assert!(matches!(
                    worker.join().unwrap(),
                    Standing::Back | Standing::There
                ));
            }
        });
        // Six questions, and one for each that came late; eight times six would be everybody's own.
        assert!(asked.load(Ordering::Relaxed) < 14);
        let said = said.lock().unwrap();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("refused; waiting for it for up to 1m"));
        assert!(said[1].contains("back after"));
    }

    #[test]
    fn a_server_that_answers_is_not_away() {
        let (outage, said) = outage(Duration::from_secs(60));
        let there = outage.standing(&refused(), || Ok(()));
        assert_eq!(there, Standing::There);
        // Not even asked: this says nothing about the server.
        let own = Failure::Local("changed".into());
        assert_eq!(outage.standing(&own, || unreachable!()), Standing::There);
        assert!(said.lock().unwrap().is_empty());
    }

    #[test]
    fn the_end_of_the_wait_and_a_refused_login_are_final() {
        let (gone, _) = outage(Duration::ZERO);
        let first = gone.standing(&refused(), || Err(refused()));
        assert_eq!(first, Standing::Gone("gone: refused".into()));
        assert_eq!(gone.standing(&refused(), || unreachable!()), first);
        let (denied, _) = outage(Duration::from_secs(60));
        let end = denied.standing(&refused(), || Err(Failure::Denied("login refused".into())));
        assert_eq!(end, Standing::Gone("login refused".into()));
    }
}
