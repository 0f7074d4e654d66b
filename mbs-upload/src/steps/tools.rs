//! What the steps of all files work with.

use crate::{
    api::{
        Api,
        catalog::Catalog,
        extract::{Extractor, NewestRow},
        upload_check::Batch,
    },
    input::links::Links,
    locks::{Locks, concurrent::ConcurrentUploaders},
    queue::work_queue::WorkQueue,
    resume::Journal,
    retry::Retry,
    steps::recent::RecentEbooks,
};

/// What the steps of all files work with.
#[derive(Clone, Copy, Debug)]
pub struct Tools<'a> {
    /// The server.
    pub api: &'a dyn Api,
    /// What it has.
    pub catalog: &'a Catalog,
    /// How failures are dealt with.
    pub retry: &'a Retry,
    /// What is written down.
    pub journal: &'a Journal,
    /// How links are made in place of copies, if they are.
    pub links: Option<&'a Links>,
    /// What keeps other uploaders off, if they are kept off.
    pub locks: Option<&'a Locks>,
    /// What this run has learned.
    pub memory: &'a Memory,
    /// What else is under way.
    pub queue: &'a WorkQueue,
    /// No larger file is sent.
    pub max_size: Option<u64>,
    /// Ask, but send nothing.
    pub dry_run: bool,
}

impl<'a> Tools<'a> {
    /// The metadata task.
    pub(super) fn extractor(&self) -> Extractor<'a> {
        Extractor {
            api: self.api,
            retry: self.retry,
            newest: &self.memory.newest,
        }
    }
}

/// What a run learns of the server, shared by all files.
#[derive(Debug, Default)]
pub struct Memory {
    /// Whether it answers many checks at once.
    pub batch: Batch,
    /// The newest row of its table `upload`.
    pub newest: NewestRow,
    /// The ebooks that the last files went to.
    pub recent: RecentEbooks,
    /// Signs of other uploaders.
    pub concurrent: ConcurrentUploaders,
}
