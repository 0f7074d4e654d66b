//! What a scan needs to know.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use hash_files::Cache;
use orphan_scan::{
    folders::Entries,
    links::Links,
    names,
    reserved::{Area, LIBRARY_MARKS, Place},
    store::{self, Id},
    tracked::Tracked,
};
use wire::Writer;

use crate::{known::KnownSet, needed::Needed};

/// All that a scan needs to know.
pub(crate) struct Job<'a> {
    pub(crate) out: &'a Writer,
    /// The library's folder, absolute.
    pub(crate) root: &'a Path,
    /// The same as the list of tracked files names it.
    pub(crate) listed_root: &'a Path,
    pub(crate) tracked: &'a Tracked,
    /// What Calibre's records lead to.
    pub(crate) needed: &'a Needed,
    pub(crate) known: Option<&'a KnownSet>,
    /// The store's links, or why they are not known; nothing without `--store`.
    pub(crate) links: Option<Result<Links, &'static str>>,
    /// The library's database and the files beside it, whatever their names.
    pub(crate) database: Vec<Id>,
    /// The store's own folders.
    pub(crate) store: Vec<Id>,
    pub(crate) cache: Option<&'a Cache>,
    pub(crate) shard: Option<wire::value::Shard>,
    /// When the library's database began to be read, in nanoseconds since 1970.
    pub(crate) begun: i128,
    pub(crate) partial: bool,
    /// Is a report wanted?
    pub(crate) report: bool,
    /// Only find out what is tracked; say nothing.
    pub(crate) silent: bool,
    /// By the number of a row that is missing: the file that would mend it.
    pub(crate) mending: Mutex<HashMap<u32, PathBuf>>,
    /// Folders, and files on record, that were not looked into or went while the walk was on.
    pub(crate) unlooked: Mutex<Vec<Vec<u8>>>,
    /// Files that have a finding as on record by another path.
    pub(crate) aliases: Mutex<HashSet<Id>>,
}

impl Job<'_> {
    /// Nothing is known of what is below this path.
    pub(super) fn not_looked_into(&self, below: &[u8]) {
        let unlooked = self.unlooked.lock();
        unlooked
            .unwrap_or_else(PoisonError::into_inner)
            .push(below.into());
    }

    /// This file has a finding as on record by another path.
    pub(super) fn add_alias(&self, file: Id) {
        let aliases = self.aliases.lock();
        aliases.unwrap_or_else(PoisonError::into_inner).insert(file);
    }

    /// Has this file a finding as on record by another path?
    pub(super) fn is_alias(&self, file: Id) -> bool {
        let aliases = self.aliases.lock();
        aliases
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&file)
    }

    /// Is it below a path of which nothing is known?
    pub(super) fn was_unlooked(&self, below: &[u8]) -> bool {
        let unlooked = self.unlooked.lock();
        let unlooked = unlooked.unwrap_or_else(PoisonError::into_inner);
        let below = names::folded(below);
        unlooked.iter().any(|folder| {
            let rest = below.strip_prefix(&*names::folded(folder));
            rest.is_some_and(|rest| folder.is_empty() || rest.is_empty() || rest[0] == b'/')
        })
    }

    /// Does a link of the store lead to this folder?
    pub(super) fn links_to_folder(&self, folder: Id) -> bool {
        matches!(&self.links, Some(Ok(links)) if links.lead_to_folder(folder))
    }

    /// Does one lead to the library's own folder, or to one above it? Not known is yes here.
    pub(super) fn links_to_library(&self, library: Id) -> bool {
        let above = store::above(self.root);
        self.links_to_folder(library)
            || above.map_or(self.links.is_some(), |above| {
                above.into_iter().any(|folder| self.links_to_folder(folder))
            })
    }

    /// Why a folder where books could be belongs to somebody else, with all that is in it.
    pub(super) fn another_s(
        &self,
        place: Place,
        folder: Id,
        entries: &Entries,
    ) -> Option<&'static str> {
        if place.top || place.area != Area::Books {
            None
        } else if self.store.contains(&folder) {
            Some("the server's store")
        } else {
            let marked = LIBRARY_MARKS.iter().any(|mark| entries.has(mark));
            marked.then_some("another library")
        }
    }
}
