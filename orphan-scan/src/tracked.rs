//! What is tracked: the paths of a list of book files, relative to the library, some 80 bytes each.
//!
//! A folder's path is kept once for the files that follow each other in it; a file's name in most
//! cases not at all, for Calibre makes it of the names of the folders.

mod pack;
#[cfg(test)]
mod tests;

use std::{
    path::{Component, Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use mbs_hashes::known::{Content, Set};

use crate::names::{self, Likeness};
use pack::{Hash, Packed};

/// A tracked file as a list names it.
#[derive(Clone, Debug, Default)]
pub struct Told<'a> {
    /// Calibre's number of the book.
    pub book_id: Option<i64>,
    /// The format in lower case.
    pub format: &'a str,
    /// The book's uuid.
    pub uuid: &'a str,
    /// SHA-1 and size, and the time of last change in nanoseconds since 1970 that they belong to.
    pub content: Option<(Content, i64)>,
}

/// A tracked file as it was kept.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its place among all.
    pub number: u32,
    /// How its folder is like the one that was asked for.
    pub likeness: Likeness,
    /// Its folder's path, relative to the library.
    pub folder: Vec<u8>,
    /// Its name.
    pub name: Vec<u8>,
    /// Calibre's number of the book.
    pub book_id: Option<i64>,
    /// The format in lower case.
    pub format: String,
    /// The book's uuid.
    pub uuid: String,
    /// SHA-1 and size, their place in the known set where they are in it, and the time of last change
    /// that they belong to.
    pub content: Option<(Content, Option<u32>, i64)>,
}

impl Row {
    /// Its path relative to the library.
    pub fn path(&self) -> Vec<u8> {
        match self.folder.is_empty() {
            true => self.name.clone(),
            false => [&self.folder, &b"/"[..], &self.name].concat(),
        }
    }
}

/// All tracked files.
#[derive(Debug, Default)]
pub struct Tracked {
    packed: Packed,
    /// The first half of each folder's key, and where in `packed` it begins; sorted.
    index: Vec<(u32, u32)>,
    /// By a row's number: was it found, or is it a double?
    settled: Vec<AtomicU64>,
    /// The numbers of rows that tell a path which another one tells.
    doubles: Vec<u32>,
}

impl Tracked {
    /// Takes in a file by its path relative to the library. Contents that are in `known` are kept by
    /// their place there.
    ///
    /// # Errors
    /// There are more than fit.
    pub fn add(&mut self, path: &Path, told: &Told<'_>, known: Option<&Set>) -> Result<(), String> {
        use std::os::unix::ffi::OsStrExt;
        let bytes = path.as_os_str().as_bytes();
        let (folder, name) = match bytes.iter().rposition(|&byte| byte == b'/') {
            Some(at) => (&bytes[..at], &bytes[at + 1..]),
            None => (&bytes[..0], bytes),
        };
        let hash = told.content.map(|(content, mtime)| {
            let place = known.and_then(|known| known.find(&content));
            (place.map_or(Hash::Told(content), Hash::Known), mtime)
        });
        if let Some(at) = self.packed.add(folder, name, told, hash)? {
            if self.index.len() == self.index.capacity() {
                // Doubling would cost twice the memory just after it.
                self.index.reserve_exact(1024 + self.index.len() / 4);
            }
            self.index.push((half_key(folder), at));
        }
        Ok(())
    }

    /// Makes what was added ready to be asked for, and tells doubles.
    pub fn seal(&mut self, known: Option<&Set>) {
        self.packed.close();
        self.index.sort_unstable();
        let words = (self.packed.rows() as usize).div_ceil(64);
        self.settled = (0..words).map(|_| AtomicU64::new(0)).collect();
        let mut doubles = Vec::new();
        for alike in self.index.chunk_by(|a, b| a.0 == b.0) {
            if let [(_, at)] = alike
                && self.packed.numbers(*at).len() == 1
            {
                continue;
            }
            let groups = alike
                .iter()
                .flat_map(|&(_, at)| self.packed.group(at, known));
            // Of rows of one path, the one that knows its hash is worth more.
            let mut rows: Vec<_> = groups
                .map(|row| (row.path(), row.content.is_none(), row.number))
                .collect();
            rows.sort_unstable();
            for same in rows.chunk_by(|a, b| a.0 == b.0) {
                doubles.extend(same[1..].iter().map(|(.., number)| *number));
            }
        }
        doubles.sort_unstable();
        doubles.iter().for_each(|&number| self.settle(number));
        self.doubles = doubles;
        self.index.shrink_to_fit();
    }

    /// How many distinct paths there are.
    pub fn distinct(&self) -> u64 {
        u64::from(self.packed.rows()) - self.doubles()
    }

    /// How many rows told a path that another one had told.
    pub fn doubles(&self) -> u64 {
        self.doubles.len() as u64
    }

    /// The rows whose folder is this one, be it in another normalisation or case.
    pub fn in_folder(&self, folder: &[u8], known: Option<&Set>) -> Vec<Row> {
        let half = half_key(folder);
        let start = self.index.partition_point(|&(key, _)| key < half);
        let alike = self.index[start..]
            .iter()
            .take_while(|(key, _)| *key == half);
        let mut rows = Vec::new();
        for &(_, at) in alike {
            let Some(likeness) = names::likeness(folder, self.packed.folder(at)) else {
                continue;
            };
            let group = self.packed.group(at, known);
            let group = group.filter(|row| self.doubles.binary_search(&row.number).is_err());
            rows.extend(group.map(|row| Row { likeness, ..row }));
        }
        rows
    }

    /// Is anything tracked in this folder or below it?
    pub fn any_below(&self, folder: &[u8]) -> bool {
        let folder = names::folded(folder);
        self.index.iter().any(|&(_, at)| {
            let other = names::folded(self.packed.folder(at));
            let rest = other.strip_prefix(&folder[..]);
            rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        })
    }

    /// The row was found. Rows may be found more than once.
    pub fn settle(&self, number: u32) {
        if let Some(word) = self.settled.get(number as usize / 64) {
            word.fetch_or(1 << (number % 64), Ordering::Relaxed);
        }
    }

    /// All rows are as if none had been found.
    pub fn forget(&self) {
        for word in &self.settled {
            word.store(0, Ordering::Relaxed);
        }
        self.doubles.iter().for_each(|&number| self.settle(number));
    }

    /// Was this row found?
    pub fn is_found(&self, number: u32) -> bool {
        let word = self.settled.get(number as usize / 64);
        word.is_some_and(|word| word.load(Ordering::Relaxed) >> (number % 64) & 1 == 1)
    }

    /// How many distinct paths were found.
    pub fn found(&self) -> u64 {
        let settled = self.settled.iter().map(|word| word.load(Ordering::Relaxed));
        let settled: u64 = settled.map(|word| u64::from(word.count_ones())).sum();
        settled - self.doubles()
    }

    /// Those that were not found, in the order in which they were told.
    pub fn missing<'a>(&'a self, known: Option<&'a Set>) -> impl Iterator<Item = Row> + 'a {
        // Most groups have none, and need not be taken apart.
        let some = |at: &u32| {
            self.packed
                .numbers(*at)
                .any(|number| !self.is_found(number))
        };
        let groups = self.packed.groups().filter(some);
        groups
            .flat_map(move |at| self.packed.group(at, known))
            .filter(|row| !self.is_found(row.number))
    }

    /// All of them, each path once, in the order in which they were told.
    pub fn all<'a>(&'a self, known: Option<&'a Set>) -> impl Iterator<Item = Row> + 'a {
        let all = self.packed.groups();
        all.flat_map(move |at| self.packed.group(at, known))
            .filter(|row| self.doubles.binary_search(&row.number).is_err())
    }
}

fn half_key(folder: &[u8]) -> u32 {
    (names::key(folder) >> 32) as u32
}

/// The path below `root`, without doubled slashes; nothing where it is not below it, or not by plain
/// names.
pub fn relative(path: &Path, root: &Path) -> Option<PathBuf> {
    let rest = path.strip_prefix(root).ok()?;
    let mut below = PathBuf::with_capacity(rest.as_os_str().len());
    for part in rest.components() {
        let Component::Normal(name) = part else {
            return None;
        };
        below.push(name);
    }
    (!below.as_os_str().is_empty()).then_some(below)
}
