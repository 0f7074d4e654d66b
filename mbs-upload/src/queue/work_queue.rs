//! Where the reader of the input and the workers meet: the scheduler under a lock.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    known::{Content, Known},
    model::{
        check::{CheckAnswer, Question},
        claim::Claim,
        job::{Job, PutOff},
    },
    queue::scheduler::Scheduler,
    retry::shutdown::STOPPED,
};

/// The scheduler and the known set, shared by all threads.
#[derive(Debug)]
pub struct WorkQueue {
    state: Mutex<State>,
    change: Condvar,
    known: Known,
}

/// Locks that are held as long as this lives.
#[derive(Debug)]
pub struct Held<'a> {
    queue: &'a WorkQueue,
    claims: Vec<Claim>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.queue.lock().scheduler.release(&self.claims);
        self.queue.change.notify_all();
    }
}

#[derive(Debug)]
struct State {
    scheduler: Scheduler,
    /// No more jobs will come.
    ended: bool,
    /// No more jobs shall be taken, and why.
    aborted: Option<String>,
}

impl WorkQueue {
    /// An empty one.
    pub fn new(room: usize, known: Known) -> WorkQueue {
        WorkQueue {
            state: State {
                scheduler: Scheduler::new(room),
                ended: false,
                aborted: None,
            }
            .into(),
            change: Condvar::new(),
            known,
        }
    }

    /// Does the server have this content, as far as we know without asking?
    pub fn is_known(&self, content: &Content) -> bool {
        self.known.has(content)
    }

    /// It does.
    pub fn now_known(&self, content: Content) {
        self.known.add(content);
    }

    /// Hands in a job, when there is room. Says whether it was taken in: not after an abort.
    pub fn push(&self, job: Job) -> bool {
        let mut state = self.lock();
        while state.scheduler.is_full() && state.aborted.is_none() {
            state = self.wait(state);
        }
        if state.aborted.is_some() {
            return false;
        }
        state.scheduler.push(job);
        drop(state);
        self.change.notify_all();
        true
    }

    /// The next job for a worker, and its claims, held until they are dropped; nothing when there
    /// will be none.
    pub fn take(&self) -> Option<(Job, Held<'_>)> {
        let mut state = self.lock();
        loop {
            if wire::stop::requested() && state.aborted.is_none() {
                state.aborted = Some(STOPPED.into());
                self.change.notify_all();
            }
            if state.aborted.is_some() {
                return None;
            }
            let now = Instant::now();
            if let Some(job) = state.scheduler.take(now) {
                self.change.notify_all();
                let claims = job.claims.clone();
                return Some((
                    job,
                    Held {
                        queue: self,
                        claims,
                    },
                ));
            }
            if state.ended && state.scheduler.waiting() == 0 {
                return None;
            }
            state = match state.scheduler.due(now) {
                None => self.wait(state),
                Some(due) => self.wait_until(state, due),
            };
        }
    }

    /// Hands a job back that another uploader keeps from being done, to be tried again after `pause`.
    /// The input's jobs come first, so that two uploaders of one list do not wait for each other.
    pub fn put_off(&self, mut job: Job, pause: Duration) {
        let now = Instant::now();
        let since = job.put_off.map_or(now, |off| off.since);
        let until = now + pause;
        job.put_off = Some(PutOff { since, until });
        self.lock().scheduler.push(job);
        self.change.notify_all();
    }

    /// As [`WorkQueue::hold`], but only where that needs no waiting.
    pub fn try_hold(&self, claims: &[Claim]) -> Option<Held<'_>> {
        self.lock().scheduler.hold(claims).then(|| Held {
            queue: self,
            claims: claims.to_vec(),
        })
    }

    /// Holds further claims for a job under way, waiting until they are free. A book only for a job that
    /// holds none yet, and names after the book: who holds names waits for no other claims, so nobody
    /// waits in a circle.
    pub fn hold(&self, claims: Vec<Claim>) -> Held<'_> {
        let mut state = self.lock();
        while !state.scheduler.hold(&claims) {
            state = self.wait(state);
        }
        drop(state);
        Held {
            queue: self,
            claims,
        }
    }

    /// As [`Scheduler::unasked`].
    pub fn unasked(&self, most: usize) -> Vec<Question> {
        self.lock().scheduler.unasked(most)
    }

    /// As [`Scheduler::answer`].
    pub fn answer(&self, answers: impl IntoIterator<Item = (Question, CheckAnswer)>) {
        self.lock().scheduler.answer(answers);
    }

    /// The input is at its end.
    pub fn end(&self) {
        self.lock().ended = true;
        self.change.notify_all();
    }

    /// No worker takes another job.
    pub fn abort(&self, why: &str) {
        self.lock().aborted.get_or_insert_with(|| why.into());
        self.change.notify_all();
    }

    /// Why no more jobs were taken, if so, and how many of them still waited.
    pub fn aborted(&self) -> Option<(String, usize)> {
        let state = self.lock();
        state
            .aborted
            .clone()
            .map(|why| (why, state.scheduler.waiting()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_until<'a>(&self, state: MutexGuard<'a, State>, due: Instant) -> MutexGuard<'a, State> {
        let left = due.saturating_duration_since(Instant::now());
        let _waiting = wire::waiting::announce("another uploader's lock", left);
        match self.change.wait_timeout(state, left) {
            Ok((state, _)) => state,
            Err(poisoned) => poisoned.into_inner().0,
        }
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.change
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }
}
