//! The folders that wait for a thread. The last found are read first, so that few parents are open
//! at a time.

use std::{
    ffi::{CStr, CString},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use super::Folder;

/// Folders that a thread takes at once, where enough for all the others are left.
const AT_ONCE: usize = 16;
const ENOUGH: usize = 16 * 1024;

/// Names, each ended by its NUL.
#[derive(Debug, Default)]
pub(super) struct Names(Vec<u8>);

impl Names {
    pub(super) fn push(&mut self, name: &CStr) {
        self.0.extend_from_slice(name.to_bytes_with_nul());
    }
}

/// The folders in one folder that wait.
struct Batch<C> {
    parent: Arc<Folder<C>>,
    names: Vec<u8>,
    next: usize,
}

struct State<C> {
    /// Not yet taken.
    root: Option<Folder<C>>,
    stack: Vec<Batch<C>>,
    /// Threads that are at a folder, and may find more.
    busy: usize,
    /// A thread has ended.
    broken: bool,
}

/// What waits, shared by all threads.
pub(super) struct Queue<C> {
    state: Mutex<State<C>>,
    wake: Condvar,
}

/// Taken from a queue: nothing for the root, else the parent of the names taken.
type Taken<C> = Option<Arc<Folder<C>>>;

impl<C> Queue<C> {
    pub(super) fn new(root: Folder<C>) -> Queue<C> {
        Queue {
            state: Mutex::new(State {
                root: Some(root),
                stack: Vec::new(),
                busy: 0,
                broken: false,
            }),
            wake: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more thread takes part, until what it gets here is dropped.
    pub(super) fn enter(&self) -> Leaving<'_, C> {
        self.lock().busy += 1;
        Leaving(self)
    }

    /// Waits for work. Nothing when all is done.
    pub(super) fn take(&self, names: &mut Vec<CString>) -> Option<Taken<C>> {
        let mut state = self.lock();
        state.busy -= 1;
        loop {
            if state.broken {
                state.busy += 1;
                return None;
            }
            if state.root.is_some() {
                state.busy += 1;
                return Some(None);
            }
            if let Some(batch) = state.stack.last_mut() {
                let parent = Arc::clone(&batch.parent);
                let left = batch.names.len() - batch.next;
                let count = if left > ENOUGH { AT_ONCE } else { 1 };
                for _ in 0..count {
                    let Ok(name) = CStr::from_bytes_until_nul(&batch.names[batch.next..]) else {
                        break;
                    };
                    batch.next += name.to_bytes_with_nul().len();
                    names.push(name.to_owned());
                }
                if batch.next >= batch.names.len() {
                    state.stack.pop();
                }
                state.busy += 1;
                return Some(Some(parent));
            }
            if state.busy == 0 {
                self.wake.notify_all();
                state.busy += 1;
                return None;
            }
            state = match self.wake.wait(state) {
                Ok(state) => state,
                Err(poisoned) => poisoned.into_inner(),
            };
        }
    }

    /// The folder where all begins, once.
    pub(super) fn root(&self) -> Option<Folder<C>> {
        self.lock().root.take()
    }

    /// Folders that were found in one.
    pub(super) fn push(&self, parent: Folder<C>, names: Names) {
        if names.0.is_empty() {
            return;
        }
        let batch = Batch {
            parent: Arc::new(parent),
            names: names.0,
            next: 0,
        };
        self.lock().stack.push(batch);
        self.wake.notify_all();
    }
}

/// A thread's part in the walk.
pub(super) struct Leaving<'a, C>(&'a Queue<C>);

impl<C> Drop for Leaving<'_, C> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.busy -= 1;
        // Whether all is done, or this one met an error or was asked to stop: the others end as well.
        state.broken = true;
        self.0.wake.notify_all();
    }
}
