//! A short queue between one thread that gives and many that take.
//!
//! Unlike a channel, it lets a giver that had to wait sleep until half of it is empty, so that the two
//! sides do not wake each other for every single item.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// Holds up to so many items.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    drained: Condvar,
    most: usize,
}

struct State<T> {
    items: VecDeque<T>,
    takers_asleep: usize,
    closed: bool,
}

impl<T> Queue<T> {
    pub(crate) fn new(most: usize) -> Queue<T> {
        Queue {
            state: Mutex::new(State {
                items: VecDeque::with_capacity(most),
                takers_asleep: 0,
                closed: false,
            }),
            filled: Condvar::new(),
            drained: Condvar::new(),
            most,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an item, waiting while the queue is full.
    pub(crate) fn give(&self, item: T) {
        let mut state = self.lock();
        if state.items.len() >= self.most {
            let full = |state: &mut State<T>| state.items.len() > self.most / 2;
            state = self
                .drained
                .wait_while(state, full)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.items.push_back(item);
        if state.takers_asleep > 0 {
            self.filled.notify_one();
        }
    }

    /// The oldest item, waited for; nothing once the queue is closed and empty.
    pub(crate) fn take(&self) -> Option<T> {
        let mut state = self.lock();
        while state.items.is_empty() && !state.closed {
            state.takers_asleep += 1;
            state = self
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.takers_asleep -= 1;
        }
        let item = state.items.pop_front();
        if state.items.len() == self.most / 2 {
            self.drained.notify_one();
        }
        item
    }

    /// Says that no more items come.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_arrives_once_and_all_takers_end() {
        for most in [1, 2, 7, 256] {
            let queue = Queue::new(most);
            let sum = Mutex::new((0_u64, 0_u64));
            std::thread::scope(|scope| {
                for _ in 0..5 {
                    scope.spawn(|| {
                        while let Some(item) = queue.take() {
                            let mut sum = sum.lock().unwrap();
                            *sum = (sum.0 + 1, sum.1 + item);
                        }
                    });
                }
                (1..=10_000).for_each(|n| queue.give(n));
                queue.close();
            });
            assert_eq!(sum.into_inner().unwrap(), (10_000, 50_005_000));
        }
    }
}
