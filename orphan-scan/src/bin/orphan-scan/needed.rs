//! What Calibre needs of the library, found before the walk: which files its records lead to, and which
//! records have none.

use std::{
    collections::{BTreeSet, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use calibre_list::place;
use mbs_hashes::known::Content;
use orphan_scan::{
    classes::Claim,
    needs::{Found, Lost, Need, Record, look_for_all},
    reserved::in_another_library,
    store::Id,
    tracked::Tracked,
};
use rusqlite::Connection;

use crate::finding::os;

const UNPLACED: &str = "a file on record cannot be looked at, and by its name or its folder's number \
                        this may be it";

/// What the records lead to, eight bytes each, and those that lead nowhere.
#[derive(Debug, Default)]
pub(crate) struct Needed {
    /// Of device and inode, sorted.
    files: Vec<u64>,
    /// Those that more than one record leads to.
    twice: Vec<u64>,
    lost: Lost,
    /// Of the paths of records that have no file.
    paths: HashSet<u64>,
    /// What those had in them, as far as the list knows.
    contents: BTreeSet<Content>,
    sizes: HashSet<u64>,
}

impl Needed {
    /// Looks for the file of every record.
    ///
    /// # Errors
    /// The database cannot be read.
    pub(crate) fn read(database: &Connection, library: &Path) -> rusqlite::Result<Needed> {
        let mut needed = Needed::default();
        look_for_all(database, library, |record, found| {
            needed.note(&record, &found, library)
        })?;
        needed.files.sort_unstable();
        let pairs = needed.files.windows(2).filter(|pair| pair[0] == pair[1]);
        needed.twice = pairs.map(|pair| pair[0]).collect();
        needed.files.dedup();
        needed.files.shrink_to_fit();
        Ok(needed)
    }

    fn note(&mut self, record: &Record, found: &Found, library: &Path) {
        if let Found::There(id) = found {
            self.files.push(key(id));
            return;
        }
        self.lost.note(record, found, library);
        if let Ok(folder) = place::folder(Path::new(""), &record.folder) {
            let path: PathBuf = folder.join(os(&record.name)).components().collect();
            self.paths.insert(key(path.as_os_str().as_bytes()));
        }
    }

    /// Takes in what the list knows of the files that are not there.
    pub(crate) fn with_list(mut self, list: &Tracked) -> Needed {
        if self.paths.is_empty() {
            return self;
        }
        let absent = list.all().filter(|row| self.was_absent(&row.path()));
        let contents = absent.filter_map(|row| row.content.map(|(content, ..)| content));
        let contents: BTreeSet<Content> = contents.collect();
        self.sizes = contents.iter().map(Content::size).collect();
        self.contents = contents;
        self
    }

    /// Was there no file at the path of this record when the scan began?
    pub(crate) fn was_absent(&self, path: &[u8]) -> bool {
        self.paths.contains(&key(path))
    }

    /// Does a record lead to this file?
    pub(crate) fn has(&self, file: Id) -> bool {
        self.files.binary_search(&key(&file)).is_ok()
    }

    /// Does more than one record lead to this file?
    pub(crate) fn has_twice(&self, file: Id) -> bool {
        self.twice.binary_search(&key(&file)).is_ok()
    }

    /// Has a missing file had this size?
    pub(crate) fn has_size(&self, size: u64) -> bool {
        self.sizes.contains(&size)
    }

    /// Has a missing file had these bytes?
    pub(crate) fn has_content(&self, content: &Content) -> bool {
        self.contents.contains(content)
    }

    /// Why a file that a record names may be needed for another one, too, by its path below
    /// the library and its folder.
    pub(crate) fn claim_of_tracked(&self, path: &[u8], folder: Id) -> Claim {
        match self.lost.needs(path, folder) {
            Some((Need::Unknown, _)) => Claim::Unknown(UNPLACED),
            Some((Need::Missing, _)) | None => Claim::None,
        }
    }

    /// Why a file that no record names may be needed all the same, by its path below the library and its
    /// folder.
    pub(crate) fn claim(&self, path: &[u8], folder: Id) -> Claim {
        match self.lost.needs(path, folder) {
            Some((Need::Missing, _)) => Claim::Missing,
            Some((Need::Unknown, _)) => Claim::Unknown(UNPLACED),
            None if in_another_library(path) => Claim::Unknown(
                "it is in a folder of a book where this library has none: perhaps in another library that \
                 has lost its metadata.db",
            ),
            None => Claim::None,
        }
    }
}

fn key(of: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}
