//! A set of numbers, of which nearly all are known at once: eight bytes each.

use std::collections::HashSet;

#[derive(Debug, Default)]
pub(super) struct Keys {
    /// Sorted, once it is sealed.
    first: Vec<u64>,
    sealed: bool,
    /// What came after it was sealed.
    later: HashSet<u64>,
}

impl Keys {
    pub(super) fn put(&mut self, key: u64) {
        match self.sealed {
            true => {
                self.later.insert(key);
            }
            false => self.first.push(key),
        }
    }

    /// Takes in those of another one that is not sealed.
    pub(super) fn append(&mut self, mut other: Keys) {
        self.first.append(&mut other.first);
    }

    /// Makes it ready to be asked.
    pub(super) fn seal(&mut self) {
        self.first.sort_unstable();
        self.first.dedup();
        self.first.shrink_to_fit();
        self.sealed = true;
    }

    /// Is this one in it?
    pub(super) fn has(&self, key: u64) -> bool {
        self.first.binary_search(&key).is_ok() || self.later.contains(&key)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.first.len() + self.later.len()
    }
}
