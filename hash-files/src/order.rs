//! Puts outcomes into the order of their tasks.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

/// Takes outcomes in any order and hands them out by number. The feed bounds how many wait.
pub(crate) struct Order<T> {
    queue: Mutex<Queue<T>>,
}

struct Queue<T> {
    /// The number of the outcome at the front.
    next: u64,
    /// Those at hand, each at its number's distance from `next`.
    waiting: VecDeque<Option<T>>,
}

impl<T> Order<T> {
    pub(crate) fn new() -> Order<T> {
        let queue = Queue {
            next: 0,
            waiting: VecDeque::new(),
        };
        Order {
            queue: Mutex::new(queue),
        }
    }

    /// Takes the outcome of this number, and hands to `emit` all whose turn has come. Every number
    /// must come once.
    pub(crate) fn deliver(&self, number: u64, outcome: T, mut emit: impl FnMut(T)) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (number - queue.next) as usize;
        if queue.waiting.len() <= place {
            queue.waiting.resize_with(place + 1, || None);
        }
        queue.waiting[place] = Some(outcome);
        while let Some(outcome) = queue.waiting.front_mut().and_then(Option::take) {
            queue.waiting.pop_front();
            queue.next += 1;
            emit(outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_threads_do_the_order_is_that_of_the_numbers() {
        let order = Order::new();
        let numbers = Mutex::new(0..20_000_u64);
        let seen = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    loop {
                        let Some(number) = numbers.lock().unwrap().next() else {
                            return;
                        };
                        if number % 7 == 0 {
                            std::thread::yield_now();
                        }
                        order.deliver(number, number, |n| seen.lock().unwrap().push(n));
                    }
                });
            }
        });
        assert!(seen.into_inner().unwrap().into_iter().eq(0..20_000));
    }
}
