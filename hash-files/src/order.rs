//! Results in the order of the tasks, in bounded memory.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, PoisonError},
};

/// How far one result may be ahead of the oldest one that is still awaited. A large file holds up
/// its successors' output, but not their work until there are so many.
const WINDOW: usize = 4096;

/// Takes results in any order and hands them out in that of their numbers.
pub(crate) struct Order<T> {
    line: Mutex<Queue<T>>,
    moved: Condvar,
}

struct Queue<T> {
    /// The number of the result at the front.
    next: u64,
    /// Those at hand, each at its number's distance from `next`.
    waiting: VecDeque<Option<T>>,
}

impl<T> Order<T> {
    pub(crate) fn new() -> Order<T> {
        Order {
            line: Mutex::new(Queue {
                next: 0,
                waiting: VecDeque::new(),
            }),
            moved: Condvar::new(),
        }
    }

    /// Takes the result of this number, and hands to `emit` all whose turn has come. Waits where it
    /// is too far ahead, which that of the lowest number never is. Every number must come once.
    pub(crate) fn deliver(&self, number: u64, result: T, mut emit: impl FnMut(T)) {
        let mut queue = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let place = loop {
            let ahead = (number - queue.next) as usize;
            if ahead < WINDOW {
                break ahead;
            }
            queue = self
                .moved
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        };
        if queue.waiting.len() <= place {
            queue.waiting.resize_with(place + 1, || None);
        }
        queue.waiting[place] = Some(result);
        while let Some(Some(_)) = queue.waiting.front() {
            if let Some(Some(result)) = queue.waiting.pop_front() {
                emit(result);
            }
            queue.next += 1;
        }
        self.moved.notify_all();
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

    #[test]
    fn who_is_too_far_ahead_waits_for_the_oldest() {
        let order = Order::new();
        let seen = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            let ahead = scope.spawn(|| {
                order.deliver(WINDOW as u64, 'b', |c| seen.lock().unwrap().push(c));
            });
            for number in 1..WINDOW as u64 {
                order.deliver(number, '.', |c| seen.lock().unwrap().push(c));
            }
            assert!(!ahead.is_finished());
            assert!(seen.lock().unwrap().is_empty());
            order.deliver(0, 'a', |c| seen.lock().unwrap().push(c));
        });
        let seen = seen.into_inner().unwrap();
        assert_eq!((seen[0], seen[WINDOW]), ('a', 'b'));
    }
}
