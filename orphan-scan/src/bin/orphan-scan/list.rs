//! The list of tracked files: read, made relative to the library, and held against its database.

mod rows;

use std::{
    hash::{DefaultHasher, Hasher},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use mbs_hashes::known::Set;
use orphan_scan::tracked::{Tracked, TrackedFile, relative};
use rusqlite::{Connection, OptionalExtension, types::ValueRef};
use wire::{Exit, Fatal, OrFatal, completeness};

use rows::Row;

/// Rows that are looked at to find out below which folder the list's paths are.
const LOOKED_AT: usize = 1000;

/// A number that two collections of paths share when they are the same in any order, and hardly ever
/// otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PathSum(u64);

impl PathSum {
    /// One more path, relative to the library.
    pub(crate) fn add(&mut self, path: &[u8]) {
        let mut hasher = DefaultHasher::new();
        hasher.write(path);
        self.0 = self.0.wrapping_add(hasher.finish());
    }
}

/// A list that was read.
#[derive(Debug)]
pub(crate) struct List {
    /// The files, relative to the library.
    pub(crate) tracked: Tracked,
    /// The library's folder as the list names it.
    pub(crate) root: PathBuf,
    /// All rows of the list, those without a usable path and doubles included.
    pub(crate) rows: u64,
    /// The sum of the paths, to be held against the database's.
    pub(crate) sum: PathSum,
    /// Rows whose path is not below the library's folder.
    pub(crate) strays: u64,
    /// The first of them, for a message.
    pub(crate) stray: Option<PathBuf>,
    /// What the list's summaries say.
    pub(crate) completeness: completeness::StreamReport,
}

/// Reads the list at `file` (`-` is standard input).
///
/// # Errors
/// It cannot be read, or is too long for us.
pub(crate) fn read(
    file: &Path,
    library: &Path,
    database: &Connection,
    known: Option<&Set>,
) -> Result<List, Fatal> {
    let mut list = List {
        tracked: Tracked::default(),
        root: PathBuf::new(),
        rows: 0,
        sum: PathSum::default(),
        strays: 0,
        stray: None,
        completeness: completeness::Completeness::default().report(),
    };
    let mut waiting = Vec::new();
    let mut rooted = false;
    let report = rows::read(file, |row| {
        list.rows += 1;
        let Some(row) = row else { return Ok(()) };
        let Some(path) = &row.path else {
            list.strays += 1;
            return Ok(());
        };
        if rooted {
            return list.take(&row, known);
        }
        rooted = match root_of(database, row.book_id, path) {
            Some(root) => {
                list.root = root;
                true
            }
            None => waiting.len() >= LOOKED_AT,
        };
        waiting.push(row);
        match rooted {
            true => list.take_all(library, &mut waiting, known),
            false => Ok(()),
        }
    })?;
    list.take_all(library, &mut waiting, known)?;
    list.tracked.seal();
    list.completeness = report;
    Ok(list)
}

impl List {
    fn take_all(
        &mut self,
        library: &Path,
        waiting: &mut Vec<Row>,
        known: Option<&Set>,
    ) -> Result<(), Fatal> {
        if self.root.as_os_str().is_empty()
            && let Some(first) = waiting.first().and_then(|row| row.path.as_deref())
        {
            // The database knows none of these books: perhaps they were all moved since.
            let above = |path: &Path| path.ancestors().nth(3).map(Path::to_path_buf);
            self.root = match first.starts_with(library) {
                true => library.into(),
                false => above(first).unwrap_or_else(|| library.into()),
            };
        }
        waiting.drain(..).try_for_each(|row| self.take(&row, known))
    }

    fn take(&mut self, row: &Row, known: Option<&Set>) -> Result<(), Fatal> {
        let Some(path) = &row.path else { return Ok(()) };
        let Some(below) = relative(path, &self.root) else {
            self.strays += 1;
            self.stray.get_or_insert_with(|| path.into());
            return Ok(());
        };
        let file = TrackedFile {
            book_id: row.book_id,
            format: &row.format,
            uuid: &row.uuid,
            content: row.content,
        };
        self.sum.add(below.as_os_str().as_bytes());
        let added = self.tracked.add(&below, &file, known);
        added.or_fatal(Exit::GaveUp, "tracked files: keep in memory")
    }
}

/// The library's folder as the list names it: what stands before the path that the database has for
/// this book.
fn root_of(database: &Connection, book_id: Option<i64>, path: &Path) -> Option<PathBuf> {
    let id = book_id?;
    let folder = database
        .prepare_cached("SELECT path FROM books NOT INDEXED WHERE id = ?1")
        .and_then(|mut books| {
            let path = |row: &rusqlite::Row<'_>| match row.get_ref(0)? {
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Ok(bytes.to_vec()),
                _ => Ok(Vec::new()),
            };
            books.query_row([id], path).optional()
        })
        .ok()??;
    let folder = Path::new(std::ffi::OsStr::from_bytes(&folder));
    let parent = path.parent()?;
    let parts = folder.components().count();
    let plain = parts > 0 && parent.ends_with(folder);
    plain.then(|| parent.ancestors().nth(parts).map(Path::to_path_buf))?
}
