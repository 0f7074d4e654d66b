//! How many workers may be at work; the others wait here.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Limits how many are inside.
#[derive(Debug)]
pub struct Gate {
    state: Mutex<State>,
    change: Condvar,
}

#[derive(Debug)]
struct State {
    limit: usize,
    inside: usize,
}

/// A worker inside as long as this lives.
#[derive(Debug)]
pub struct Permit<'a>(&'a Gate);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.lock().inside -= 1;
        self.0.change.notify_all();
    }
}

impl Gate {
    /// For so many at a time.
    pub fn new(limit: usize) -> Gate {
        let state = State { limit, inside: 0 };
        Gate {
            state: state.into(),
            change: Condvar::new(),
        }
    }

    /// Waits to be let in.
    pub fn enter(&self) -> Permit<'_> {
        let mut state = self.lock();
        while state.inside >= state.limit {
            state = self
                .change
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.inside += 1;
        Permit(self)
    }

    /// Lets in another number from now on; nobody is sent out.
    pub fn set(&self, limit: usize) {
        self.lock().limit = limit;
        self.change.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
