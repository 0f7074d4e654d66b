//! The list of tracked files: read, made relative to the library, and held against its database.

use std::{
    fs::File,
    hash::{DefaultHasher, Hasher},
    io::{BufReader, Read},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use mbs_hashes::known::{Content, Set};
use orphan_scan::tracked::{Told, Tracked, relative};
use rusqlite::{Connection, OptionalExtension, types::ValueRef};
use wire::{Exit, Fatal, Item, OrFatal, Reader, Record, custody};

/// So many rows are looked at to find out below which folder the list's paths are.
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
    pub(crate) custody: custody::Verdict,
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
    let shown = file.display().to_string();
    let source: Box<dyn Read> = match file.as_os_str().as_bytes() {
        b"-" => Box::new(wire::stop::stdin()),
        _ => Box::new(File::open(file).or_fatal(Exit::Usage, format_args!("{shown}: open"))?),
    };
    let mut reader = Reader::new(BufReader::with_capacity(1 << 16, source));
    let mut list = List {
        tracked: Tracked::default(),
        root: PathBuf::new(),
        rows: 0,
        sum: PathSum::default(),
        strays: 0,
        stray: None,
        custody: custody::Custody::default().verdict(),
    };
    let mut waiting = Vec::new();
    let mut rooted = false;
    while let Some(item) = reader
        .next_item()
        .or_fatal(Exit::GaveUp, format_args!("{shown}: read"))?
    {
        // A line that is no record makes the list incomplete, which its custody tells.
        let Item::Record(record) = item else { continue };
        if !is_row(&record) {
            continue;
        }
        list.rows += 1;
        let path = match record.path_of("path", "path_b64") {
            Some(Ok(path)) => path,
            // Calibre's row leads nowhere; nothing in the folder can be it.
            None => continue,
            Some(Err(_)) => {
                list.strays += 1;
                continue;
            }
        };
        if rooted {
            list.take(&path, &record, known)?;
            continue;
        }
        rooted = match root_of(database, &record, &path) {
            Some(root) => {
                list.root = root;
                true
            }
            None => waiting.len() >= LOOKED_AT,
        };
        waiting.push((path, record));
        if rooted {
            list.take_all(library, &mut waiting, known)?;
        }
    }
    list.take_all(library, &mut waiting, known)?;
    list.tracked.seal(known);
    list.custody = reader.custody().verdict();
    Ok(list)
}

/// Is it a row of Calibre's: a book file, what a later tool made of one, or the error that became of
/// it? A member of an archive is none.
fn is_row(record: &Record) -> bool {
    let made_of_one = |kind: &str| matches!(kind, "book_file" | "file_hash" | "upload");
    let kind = match record.kind() {
        "error" => record.text("was").is_some_and(|was| made_of_one(&was)),
        kind => made_of_one(kind),
    };
    kind && record.text("member").is_none()
}

impl List {
    fn take_all(
        &mut self,
        library: &Path,
        waiting: &mut Vec<(PathBuf, Record)>,
        known: Option<&Set>,
    ) -> Result<(), Fatal> {
        if self.root.as_os_str().is_empty()
            && let Some((first, _)) = waiting.first()
        {
            // The database knows none of these books: perhaps they were all moved since.
            let above = |path: &Path| path.ancestors().nth(3).map(Path::to_path_buf);
            self.root = match first.starts_with(library) {
                true => library.into(),
                false => above(first).unwrap_or_else(|| library.into()),
            };
        }
        for (path, record) in waiting.drain(..) {
            self.take(&path, &record, known)?;
        }
        Ok(())
    }

    fn take(&mut self, path: &Path, record: &Record, known: Option<&Set>) -> Result<(), Fatal> {
        let Some(below) = relative(path, &self.root) else {
            self.strays += 1;
            self.stray.get_or_insert_with(|| path.into());
            return Ok(());
        };
        let (format, uuid) = (record.text("format"), record.text("uuid"));
        let told = Told {
            book_id: record.get("book_id"),
            format: format.as_deref().unwrap_or_default(),
            uuid: uuid.as_deref().unwrap_or_default(),
            content: content(record),
        };
        self.sum.add(below.as_os_str().as_bytes());
        let added = self.tracked.add(&below, &told, known);
        added.or_fatal(Exit::GaveUp, "tracked files: keep in memory")
    }
}

/// The content that the row tells, and the time of last change that it belongs to.
fn content(record: &Record) -> Option<(Content, i64)> {
    let content = Content::new(&record.text("sha1")?, record.get("size")?)?;
    let mtime: jiff::Timestamp = record.text("mtime")?.parse().ok()?;
    Some((content, i64::try_from(mtime.as_nanosecond()).ok()?))
}

/// The library's folder as the list names it: what stands before the path that the database has for
/// this book.
fn root_of(database: &Connection, record: &Record, path: &Path) -> Option<PathBuf> {
    let id: i64 = record.get("book_id")?;
    let folder = database
        .prepare_cached("SELECT path FROM books WHERE id = ?1")
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
