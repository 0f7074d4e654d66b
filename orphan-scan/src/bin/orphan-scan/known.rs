//! What the server is known to have, and which of it was met in the library.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use mbs_hashes::known::{self, Content, Set};
use wire::Fatal;

/// One of this many rows is looked for in the store, and each of as many at the beginning.
const SAMPLE: u64 = 1000;

/// The server's contents.
#[derive(Debug)]
pub(crate) struct KnownSet {
    pub(crate) set: Set,
    /// Sorted. A file whose size is not among them need not be hashed.
    sizes: Vec<u64>,
    matched: Vec<AtomicU64>,
    /// Why some may be lacking, where that is so.
    pub(crate) flaw: Option<String>,
    /// Where the server keeps some of its files, below its folder of books.
    pub(crate) sample: Vec<PathBuf>,
}

impl KnownSet {
    /// Reads all files of known contents.
    ///
    /// # Errors
    /// One cannot be opened or read.
    pub(crate) fn read(files: &[PathBuf]) -> Result<KnownSet, Fatal> {
        let (mut set, mut sizes, mut sample) = (Set::default(), Vec::new(), Vec::new());
        let mut flaw = None;
        let mut rows = 0;
        for file in files {
            let why = known::first_pass(file, |content, record| {
                set.push(content);
                sizes.push(content.size());
                rows += 1;
                if (rows <= SAMPLE || rows % SAMPLE == 0)
                    && let Some(Ok(location)) = record.path_of("location", "location_b64")
                {
                    sample.push(location);
                }
                if sizes.len() == sizes.capacity() {
                    sizes.sort_unstable();
                    sizes.dedup();
                }
            })?;
            flaw = flaw.or(why.map(|why| format!("{}: {why}", file.display())));
        }
        set.seal();
        sizes.sort_unstable();
        sizes.dedup();
        sizes.shrink_to_fit();
        let words = set.sorted().len().div_ceil(64);
        Ok(KnownSet {
            matched: (0..words).map(|_| AtomicU64::new(0)).collect(),
            set,
            sizes,
            flaw,
            sample,
        })
    }

    /// Has the server any content of this size?
    pub(crate) fn has_size(&self, size: u64) -> bool {
        self.sizes.binary_search(&size).is_ok()
    }

    /// The place of a content, which then counts as met.
    pub(crate) fn find(&self, content: &Content) -> Option<u32> {
        let place = self.set.find(content)?;
        self.meet(place);
        Some(place)
    }

    /// The content at this place was met.
    pub(crate) fn meet(&self, place: u32) {
        if let Some(word) = self.matched.get(place as usize / 64) {
            word.fetch_or(1 << (place % 64), Ordering::Relaxed);
        }
    }

    /// How many distinct contents there are.
    pub(crate) fn count(&self) -> u64 {
        self.set.sorted().len() as u64
    }

    /// How many were met.
    pub(crate) fn met(&self) -> u64 {
        let words = self.matched.iter();
        words
            .map(|word| u64::from(word.load(Ordering::Relaxed).count_ones()))
            .sum()
    }

    /// How many were not.
    pub(crate) fn unmet(&self) -> u64 {
        let is_met = |place: &u32| {
            let word = self.matched[*place as usize / 64].load(Ordering::Relaxed);
            word >> (place % 64) & 1 == 1
        };
        (0..self.set.sorted().len() as u32)
            .filter(|place| !is_met(place))
            .count() as u64
    }

    /// How many of the sampled files are in the store, and of how many.
    pub(crate) fn in_store(&self, books: &Path) -> (usize, usize) {
        let there = |location: &&PathBuf| books.join(location).symlink_metadata().is_ok();
        (self.sample.iter().filter(there).count(), self.sample.len())
    }
}
