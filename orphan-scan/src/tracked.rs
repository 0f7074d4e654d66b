//! What is tracked: the files of a list, by their paths relative to the library. A folder's path is kept
//! once for the files that follow each other in it.

#[cfg(test)]
mod tests;

use std::{
    ops::Range,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use mbs_hashes::known::{Content, Set};

use crate::names::{self, Likeness};

/// A tracked file as a list names it.
#[derive(Clone, Debug, Default)]
pub struct TrackedFile<'a> {
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
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Its place among all.
    pub number: u32,
    /// How its folder is like the one that was asked for.
    pub likeness: Likeness,
    /// Its folder's path, relative to the library.
    pub folder: &'a [u8],
    /// Its name.
    pub name: &'a [u8],
    /// Calibre's number of the book.
    pub book_id: Option<i64>,
    /// The format in lower case.
    pub format: &'a str,
    /// The book's uuid.
    pub uuid: &'a str,
    /// SHA-1 and size, their place in the known set where they are in it, and the time of last change
    /// that they belong to.
    pub content: Option<(Content, Option<u32>, i64)>,
}

impl Row<'_> {
    /// Its path relative to the library.
    pub fn path(&self) -> Vec<u8> {
        match self.folder.is_empty() {
            true => self.name.to_vec(),
            false => [self.folder, b"/", self.name].concat(),
        }
    }
}

/// All tracked files.
#[derive(Debug, Default)]
pub struct Tracked {
    groups: Vec<Group>,
    files: Vec<File>,
    /// The formats that there are; each file has the place of its own.
    formats: Vec<Box<str>>,
    /// The key of each group's folder, and the group's place; sorted.
    index: Vec<(u64, u32)>,
    doubles: u64,
}

/// A folder, and the place of the first of the files that the list names one after the other in it.
#[derive(Debug)]
struct Group {
    folder: Box<[u8]>,
    first: u32,
}

#[derive(Debug)]
struct File {
    name: Box<[u8]>,
    book_id: Option<i64>,
    format: u32,
    uuid: Box<str>,
    content: Option<(Content, Option<u32>, i64)>,
    found: AtomicBool,
    /// Another one has the same path.
    double: bool,
}

impl Tracked {
    /// Takes in a file by its path relative to the library.
    ///
    /// # Errors
    /// There are more than fit.
    pub fn add(
        &mut self,
        path: &Path,
        file: &TrackedFile<'_>,
        known: Option<&Set>,
    ) -> Result<(), String> {
        let bytes = path.as_os_str().as_bytes();
        let (folder, name) = match bytes.iter().rposition(|&byte| byte == b'/') {
            Some(at) => (&bytes[..at], &bytes[at + 1..]),
            None => (&bytes[..0], bytes),
        };
        let number = u32::try_from(self.files.len()).map_err(|_| "more rows than fit")?;
        if self
            .groups
            .last()
            .is_none_or(|last| *last.folder != *folder)
        {
            self.groups.push(Group {
                folder: folder.into(),
                first: number,
            });
        }
        let format = self
            .formats
            .iter()
            .position(|known| **known == *file.format);
        let format = format.unwrap_or_else(|| {
            self.formats.push(file.format.into());
            self.formats.len() - 1
        });
        self.files.push(File {
            name: name.into(),
            book_id: file.book_id,
            format: format as u32,
            uuid: file.uuid.into(),
            content: file.content.map(|(content, mtime)| {
                let place = known.and_then(|known| known.find(&content));
                (content, place, mtime)
            }),
            found: AtomicBool::new(false),
            double: false,
        });
        Ok(())
    }

    /// Makes what was added ready to be asked for, and tells doubles.
    pub fn seal(&mut self) {
        let keys = self.groups.iter().zip(0..);
        self.index = keys
            .map(|(group, at)| (names::key(&group.folder), at))
            .collect();
        self.index.sort_unstable();
        let mut doubles = Vec::new();
        for alike in self.index.chunk_by(|a, b| a.0 == b.0) {
            if let [(_, at)] = alike
                && self.range(*at).len() == 1
            {
                continue;
            }
            // Of rows of one path, the one that knows its hash is worth more.
            let rows = alike.iter().flat_map(|&(_, at)| self.group(at));
            let mut rows: Vec<_> = rows
                .map(|row| (row.path(), row.content.is_none(), row.number))
                .collect();
            rows.sort_unstable();
            for same in rows.chunk_by(|a, b| a.0 == b.0) {
                doubles.extend(same[1..].iter().map(|(.., number)| *number));
            }
        }
        self.doubles = doubles.len() as u64;
        for number in doubles {
            self.files[number as usize].double = true;
        }
    }

    /// The places of a group's files.
    fn range(&self, group: u32) -> Range<usize> {
        let group = group as usize;
        let end = self.groups.get(group + 1).map(|next| next.first as usize);
        self.groups[group].first as usize..end.unwrap_or(self.files.len())
    }

    /// The files of a group.
    fn group(&self, group: u32) -> impl Iterator<Item = Row<'_>> {
        let folder = &self.groups[group as usize].folder;
        self.range(group).map(move |at| {
            let file = &self.files[at];
            Row {
                number: at as u32,
                likeness: Likeness::Same,
                folder,
                name: &file.name,
                book_id: file.book_id,
                format: &self.formats[file.format as usize],
                uuid: &file.uuid,
                content: file.content,
            }
        })
    }

    fn is_double(&self, row: &Row<'_>) -> bool {
        self.files[row.number as usize].double
    }

    /// How many distinct paths there are.
    pub fn distinct(&self) -> u64 {
        self.files.len() as u64 - self.doubles
    }

    /// How many rows name a path that another one names, too.
    pub fn doubles(&self) -> u64 {
        self.doubles
    }

    /// The rows whose folder is this one, be it in another normalisation or case.
    pub fn in_folder(&self, folder: &[u8]) -> Vec<Row<'_>> {
        let key = names::key(folder);
        let start = self.index.partition_point(|&(other, _)| other < key);
        let alike = self.index[start..]
            .iter()
            .take_while(|(other, _)| *other == key);
        let mut rows = Vec::new();
        for &(_, at) in alike {
            if let Some(likeness) = names::likeness(folder, &self.groups[at as usize].folder) {
                let group = self.group(at).filter(|row| !self.is_double(row));
                rows.extend(group.map(|row| Row { likeness, ..row }));
            }
        }
        rows
    }

    /// Is anything tracked in this folder or below it?
    pub fn any_below(&self, folder: &[u8]) -> bool {
        let folder = names::folded(folder);
        self.groups.iter().any(|group| {
            let other = names::folded(&group.folder);
            let rest = other.strip_prefix(&folder[..]);
            rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        })
    }

    /// The row was found. Rows may be found more than once.
    pub fn settle(&self, number: u32) {
        if let Some(file) = self.files.get(number as usize) {
            file.found.store(true, Ordering::Relaxed);
        }
    }

    /// All rows are as if none had been found.
    pub fn forget(&self) {
        for file in &self.files {
            file.found.store(false, Ordering::Relaxed);
        }
    }

    /// Was this row found?
    pub fn is_found(&self, number: u32) -> bool {
        let file = self.files.get(number as usize);
        file.is_some_and(|file| file.found.load(Ordering::Relaxed))
    }

    /// How many distinct paths were found.
    pub fn found(&self) -> u64 {
        let found = |file: &&File| !file.double && file.found.load(Ordering::Relaxed);
        self.files.iter().filter(found).count() as u64
    }

    /// Those that were not found, in the order of the list.
    pub fn missing(&self) -> impl Iterator<Item = Row<'_>> {
        self.all().filter(|row| !self.is_found(row.number))
    }

    /// All of them, each path once, in the order of the list.
    pub fn all(&self) -> impl Iterator<Item = Row<'_>> {
        let groups = 0..self.groups.len() as u32;
        groups
            .flat_map(|at| self.group(at))
            .filter(|row| !self.is_double(row))
    }
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
