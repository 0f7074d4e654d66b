//! What a file under way waits for, and what its tries say of the server.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, Ordering},
};

/// Set by the worker, read by whoever watches.
#[derive(Clone, Debug, Default)]
pub struct Stage(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    waits_for: Mutex<&'static str>,
    strained: AtomicU32,
}

impl Stage {
    /// From now on it waits for this.
    pub fn set(&self, waits_for: &'static str) {
        *self.lock() = waits_for;
    }

    /// What it waits for; nothing before the first step.
    pub fn get(&self) -> &'static str {
        *self.lock()
    }

    /// A try failed because the server could not cope.
    pub fn strained(&self) {
        self.0.strained.fetch_add(1, Ordering::Relaxed);
    }

    /// Such tries since this was asked last.
    pub fn take_strained(&self) -> u32 {
        self.0.strained.swap(0, Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, &'static str> {
        self.0
            .waits_for
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
