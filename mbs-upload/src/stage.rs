//! What a file under way waits for, to be told when it takes long.

use std::sync::{Arc, Mutex, PoisonError};

/// Set by the worker, read by whoever watches.
#[derive(Clone, Debug, Default)]
pub struct Stage(Arc<Mutex<&'static str>>);

impl Stage {
    /// From now on it waits for this.
    pub fn set(&self, waits_for: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = waits_for;
    }

    /// What it waits for; nothing before the first step.
    pub fn get(&self) -> &'static str {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
