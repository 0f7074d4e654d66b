//! One thread's part of the listing.

use std::path::PathBuf;

use rustix::fs::FileType;

use super::Links;
use crate::store::{Collect, Store, Stored};

/// What one thread found.
pub(crate) struct Gather<'a> {
    store: &'a Store,
    pub(super) found: Links,
}

impl<'a> Gather<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Gather {
            store,
            found: Links::default(),
        }
    }
}

impl Collect for Gather<'_> {
    fn entry(&mut self, entry: &Stored<'_>) -> Result<Option<PathBuf>, String> {
        self.found.entries += 1;
        if entry.kind != FileType::Symlink {
            return Ok(None);
        }
        self.found.count += 1;
        self.found.note(self.store, &entry.path())
    }
}
