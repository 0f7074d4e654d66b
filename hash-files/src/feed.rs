//! Hands tasks to the pool, several at a time, and waits while the pool has enough.

use std::{
    cell::RefCell,
    io::{self, Read},
    mem,
    ops::ControlFlow,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    vec,
};

use rayon::ScopeFifo;

use crate::{pool::Pool, task::Task};

/// Tasks in a batch, unless threads are idle or the input pauses.
const BATCH: usize = 32;

/// Tasks that wait or are in progress, at most. With `--ordered` a large file holds up the output of
/// as many others, but not their work.
const MOST: usize = 4096;

/// Tasks for one thread, each with its place in the input.
pub(crate) type Batch = vec::IntoIter<(u64, Task)>;

/// Takes tasks from a source.
pub(crate) struct Feed<'f, 's, 'p> {
    pool: &'s Pool<'p>,
    scope: &'f ScopeFifo<'s>,
    next: RefCell<Next>,
}

#[derive(Default)]
struct Next {
    tasks: Vec<(u64, Task)>,
    number: u64,
}

impl<'f, 's, 'p> Feed<'f, 's, 'p> {
    pub(crate) fn new(pool: &'s Pool<'p>, scope: &'f ScopeFifo<'s>) -> Feed<'f, 's, 'p> {
        Feed {
            pool,
            scope,
            next: RefCell::default(),
        }
    }

    /// Takes one more task. Breaks when the pool wants no more.
    pub(crate) fn push(&self, task: Task) -> ControlFlow<()> {
        if self.pool.ended() {
            return ControlFlow::Break(());
        }
        let mut next = self.next.borrow_mut();
        let number = next.number;
        next.number += 1;
        next.tasks.push((number, task));
        let full = match self.pool.has_idle_threads() {
            true => 1,
            false => BATCH,
        };
        if next.tasks.len() >= full {
            drop(next);
            self.send();
        }
        ControlFlow::Continue(())
    }

    /// Hands over what was pushed.
    pub(crate) fn send(&self) {
        let batch = mem::take(&mut self.next.borrow_mut().tasks);
        if batch.is_empty() {
            return;
        }
        let pool = self.pool;
        pool.backlog.add(batch.len());
        self.scope
            .spawn_fifo(move |scope| pool.work(scope, batch.into_iter()));
    }

    /// An input that may pause. Before each read it hands over what was pushed.
    pub(crate) fn input<R: Read>(&self, input: R) -> Input<'_, 'f, 's, 'p, R> {
        Input { feed: self, input }
    }
}

/// See [`Feed::input`].
pub(crate) struct Input<'a, 'f, 's, 'p, R> {
    feed: &'a Feed<'f, 's, 'p>,
    input: R,
}

impl<R: Read> Read for Input<'_, '_, '_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.feed.send();
        self.input.read(buffer)
    }
}

/// Counts the tasks that have no outcome yet.
#[derive(Default)]
pub(crate) struct Backlog {
    tasks: Mutex<usize>,
    drained: Condvar,
}

impl Backlog {
    fn lock(&self) -> MutexGuard<'_, usize> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while there are too many, until half of them are done: the feed and the threads must
    /// not wake each other for every batch.
    fn add(&self, tasks: usize) {
        let mut count = self.lock();
        if *count >= MOST {
            count = self
                .drained
                .wait_while(count, |count| *count > MOST / 2)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *count += tasks;
    }

    pub(crate) fn done(&self) {
        let mut count = self.lock();
        *count -= 1;
        if *count == MOST / 2 {
            self.drained.notify_one();
        }
    }

    pub(crate) fn len(&self) -> usize {
        *self.lock()
    }
}
