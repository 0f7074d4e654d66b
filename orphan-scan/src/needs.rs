//! What Calibre needs: each file that it has on record, found as Calibre itself finds it, by joining the
//! library's folder and what the record says. Links are followed, and the way may lead up or out; so a file
//! is tracked by what it is, not by how it is called.
//!
//! A record whose file is not there may be that of a file which was moved, or whose name was garbled; and
//! one whose file cannot be looked at may be that of any file of its name.

mod lost;
mod names;

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    thread,
};

use calibre_list::place;
use rusqlite::{Connection, types::ValueRef};
use rustix::io::Errno;

use crate::store::Id;
pub use lost::{Lost, Need};
pub use names::{alike_keys, base, has_format, numbers};

/// A file that Calibre has on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Calibre's number of the book.
    pub book_id: i64,
    /// The folder as it is on record.
    pub folder: Vec<u8>,
    /// The name with its extension.
    pub name: Vec<u8>,
    /// The format in lower case.
    pub format: Vec<u8>,
}

/// Where the file of a record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// There, and it is this one.
    There(Id),
    /// There is none.
    Missing,
    /// It is not known; why.
    Unknown(String),
}

impl Record {
    /// Its path as Calibre makes it.
    pub fn path(&self, library: &Path) -> PathBuf {
        let os = OsStr::from_bytes;
        library.join(os(&self.folder)).join(os(&self.name))
    }

    /// The folder in which Calibre looks for another file of its format where its own is missing.
    pub fn folder_id(&self, library: &Path) -> Option<Id> {
        let seen = fs::metadata(library.join(OsStr::from_bytes(&self.folder))).ok()?;
        seen.is_dir().then(|| (seen.dev(), seen.ino()))
    }

    /// Looks for its file now.
    pub fn find(&self, library: &Path) -> Found {
        find(&self.path(library))
    }

    /// What it is, for a person.
    pub fn shown(&self) -> String {
        let format = String::from_utf8_lossy(&self.format);
        format!("book {}, {format}", self.book_id)
    }
}

/// Looks for a file as Calibre does: links are followed. A folder in its place is none.
pub fn find(path: &Path) -> Found {
    match fs::metadata(path) {
        Ok(seen) if seen.is_dir() => Found::Missing,
        Ok(seen) => Found::There((seen.dev(), seen.ino())),
        Err(error) => missing(&error),
    }
}

/// Only what the system says is not there is missing.
fn missing(error: &io::Error) -> Found {
    match Errno::from_io_error(error) {
        Some(Errno::NOENT | Errno::NOTDIR) => Found::Missing,
        _ => Found::Unknown(error.to_string()),
    }
}

/// Records that are looked for at a time.
const CHUNK: usize = 4096;
/// Threads that look for them: on a far disk the number of requests under way decides.
const THREADS: usize = 8;

/// All records, each with what was found. Both tables are read as they are, without an index that may be
/// damaged.
///
/// # Errors
/// The database cannot be read.
pub fn look_for_all(
    database: &Connection,
    library: &Path,
    mut each: impl FnMut(Record, Found),
) -> rusqlite::Result<()> {
    let mut files = database.prepare(
        "SELECT books.id, books.path, data.name, data.format FROM data NOT INDEXED \
         CROSS JOIN books NOT INDEXED ON books.id = data.book",
    )?;
    let mut rows = files.query([])?;
    let mut chunk = Vec::with_capacity(CHUNK);
    loop {
        let row = rows.next()?;
        let more = row.is_some();
        if let Some(row) = row {
            // Not cast to a blob, which would give a text in the database's own encoding.
            let bytes = |at| {
                Ok::<_, rusqlite::Error>(match row.get_ref(at)? {
                    ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.to_vec(),
                    ValueRef::Integer(number) => number.to_string().into_bytes(),
                    ValueRef::Real(number) => number.to_string().into_bytes(),
                    ValueRef::Null => Vec::new(),
                })
            };
            let (name, format) = (bytes(2)?, place::lower(&bytes(3)?));
            // Without a format Calibre looks for the name alone.
            let dot: &[u8] = if format.is_empty() { b"" } else { b"." };
            chunk.push(Record {
                book_id: row.get(0)?,
                folder: bytes(1)?,
                name: [&name, dot, &format].concat(),
                format,
            });
        }
        if chunk.len() == CHUNK || !more {
            let found = look_for(&chunk, library);
            chunk
                .drain(..)
                .zip(found)
                .for_each(|(record, found)| each(record, found));
        }
        if !more {
            return Ok(());
        }
    }
}

fn look_for(records: &[Record], library: &Path) -> Vec<Found> {
    let some = |part: &[Record]| -> Vec<Found> {
        part.iter().map(|record| record.find(library)).collect()
    };
    thread::scope(|scope| {
        let parts = records.chunks(records.len().div_ceil(THREADS).max(64));
        let begun: Vec<_> = parts
            .map(|part| {
                let thread = thread::Builder::new();
                (part, thread.spawn_scoped(scope, move || some(part)))
            })
            .collect();
        let ended = begun.into_iter().map(|(part, thread)| match thread {
            Ok(thread) => match thread.join() {
                Ok(found) => found,
                Err(panic) => std::panic::resume_unwind(panic),
            },
            // No more threads are to be had.
            Err(_) => some(part),
        });
        ended.flatten().collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(folder: &[u8], name: &str) -> Record {
        Record {
            book_id: 7,
            folder: folder.into(),
            name: name.into(),
            format: b"epub".into(),
        }
    }

    #[test]
    fn a_record_is_found_wherever_calibre_would_find_it() {
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join("lib");
        fs::create_dir_all(library.join("A/B (1)")).unwrap();
        fs::write(library.join("A/B (1)/x.epub"), "x").unwrap();
        std::os::unix::fs::symlink("A", library.join("Link")).unwrap();
        std::os::unix::fs::symlink("B (1)/x.epub", library.join("A/y.epub")).unwrap();
        std::os::unix::fs::symlink("nowhere", library.join("A/z.epub")).unwrap();
        std::os::unix::fs::symlink("ring", library.join("ring")).unwrap();
        let there = find(&library.join("A/B (1)/x.epub"));
        assert!(matches!(there, Found::There(_)));
        let absolute = library.join("A/B (1)");
        for (folder, name) in [
            (&b"Link/B (1)"[..], "x.epub"),
            (b"A", "y.epub"),
            (b"A/../A/./B (1)", "x.epub"),
            (b"../lib//A/B (1)/", "x.epub"),
            (absolute.as_os_str().as_bytes(), "x.epub"),
            (b"", "A/B (1)/x.epub"),
        ] {
            assert_eq!(
                record(folder, name).find(&library),
                there,
                "{}",
                folder.escape_ascii()
            );
        }
        for (folder, name) in [
            (&b"A"[..], "z.epub"),
            (b"Z", "x.epub"),
            (b"A/y.epub", "x"),
            (b"A", "B (1)"),
        ] {
            assert_eq!(
                record(folder, name).find(&library),
                Found::Missing,
                "{name}"
            );
        }
    }

    #[test]
    fn what_cannot_be_looked_at_is_not_missing() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("ring", dir.path().join("ring")).unwrap();
        let long = vec![b'x'; 300];
        for folder in [&b"ring"[..], b"A\0", &long] {
            let found = record(folder, "x.epub").find(dir.path());
            assert!(matches!(found, Found::Unknown(_)), "{found:?}");
        }
        for errno in [
            Errno::ACCESS,
            Errno::IO,
            Errno::MFILE,
            Errno::NAMETOOLONG,
            Errno::STALE,
        ] {
            assert!(
                matches!(missing(&errno.into()), Found::Unknown(_)),
                "{errno}"
            );
        }
        for errno in [Errno::NOENT, Errno::NOTDIR] {
            assert_eq!(missing(&errno.into()), Found::Missing);
        }
    }

    #[test]
    fn all_records_are_looked_for_without_an_index() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("n9000.epub"), "x").unwrap();
        let database = Connection::open_in_memory().unwrap();
        database
            .execute_batch(
                "CREATE TABLE books (id INTEGER PRIMARY KEY, path TEXT);
                 CREATE TABLE data (id INTEGER PRIMARY KEY, book INTEGER, format TEXT, name TEXT,
                                    UNIQUE (book, format));
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)
                 INSERT INTO books SELECT i, NULL FROM n;
                 INSERT INTO data (book, format, name) SELECT id, 'EPUB', 'n' || id FROM books;
                 INSERT INTO data (book, format, name) VALUES (1, '', 'bare'), (9999, 'PDF', 'no book');",
            )
            .unwrap();
        let (mut there, mut names) = (0, Vec::new());
        look_for_all(&database, dir.path(), |record, found| {
            there += u32::from(matches!(found, Found::There(_)));
            names.push(record.name);
        })
        .unwrap();
        assert_eq!((there, names.len()), (1, 9001));
        assert!(names.contains(&b"bare".to_vec()));
    }
}
