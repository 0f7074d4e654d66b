//! What a scan needs to know.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Mutex,
};

use hash_files::Cache;
use orphan_scan::{
    folders::Entries,
    links::Links,
    store::{self, Id},
    tracked::Tracked,
    zones::{Place, Zone},
};
use wire::Writer;

use crate::{answers::Answers, shard::Shard};

/// All that a scan needs to know.
pub(crate) struct Job<'a> {
    pub(crate) out: &'a Writer,
    /// The library's folder, absolute.
    pub(crate) root: &'a Path,
    /// The same as the list of tracked files names it.
    pub(crate) listed_root: &'a Path,
    pub(crate) tracked: &'a Tracked,
    pub(crate) answers: Option<&'a Answers>,
    /// The store's links, or why they are not known; nothing without `--store`.
    pub(crate) links: Option<Result<Links, &'static str>>,
    /// The library's database and the files beside it, whatever their names.
    pub(crate) database: Vec<Id>,
    /// The store's own folders.
    pub(crate) store: Vec<Id>,
    pub(crate) cache: Option<&'a Cache>,
    pub(crate) shard: Option<Shard>,
    /// When the library's database began to be read, in nanoseconds since 1970.
    pub(crate) begun: i128,
    pub(crate) partial: bool,
    /// Is a report wanted?
    pub(crate) report: bool,
    /// Only find out what is tracked; say nothing.
    pub(crate) silent: bool,
    /// By the number of a row that is missing: the file that would mend it.
    pub(crate) mending: Mutex<HashMap<u32, PathBuf>>,
}

impl Job<'_> {
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
        if place.top || place.zone != Zone::Books {
            None
        } else if self.store.contains(&folder) {
            Some("the server's store")
        } else {
            entries.has(c"metadata.db").then_some("another library")
        }
    }
}
