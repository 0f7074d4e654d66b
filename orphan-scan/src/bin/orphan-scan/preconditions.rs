//! What must be so before anything is called untracked. Each line of reason here once emptied
//! somebody's library: a list cut short, a list of another library, a folder that was not mounted.

use std::{
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use calibre_list::{Error, Snapshot, place, rows::Schema};
use orphan_scan::links::Links;
use rusqlite::{Connection, types::ValueRef};
use wire::{Exit, Fatal, OrFatal};

use crate::{
    finding::os,
    known::KnownSet,
    list::{List, PathSum},
};

/// What the library's database says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    /// The library's uuid.
    pub(crate) uuid: Option<String>,
    /// How many files it has on record.
    pub(crate) rows: u64,
    /// Their paths, those that lead nowhere left out as calibre-list does.
    pub(crate) sum: PathSum,
}

impl Database {
    /// Asks a snapshot.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn of(snapshot: &Snapshot, shown: &Path) -> Result<Database, Fatal> {
        let database = &snapshot.readers[0];
        let schema = &snapshot.schema;
        let all = format!("SELECT count(*) FROM {}", schema.from("data"));
        let count = || database.query_row(&all, [], |row| row.get(0));
        let read =
            || -> rusqlite::Result<(i64, PathSum)> { Ok((count()?, paths(database, schema)?)) };
        let (rows, sum) = read().map_err(|error| {
            let error = Error::sqlite(shown, error);
            Fatal::new(error.exit(), error)
        })?;
        Ok(Database {
            uuid: snapshot.library.clone(),
            rows: rows.unsigned_abs(),
            sum,
        })
    }
}

fn paths(database: &Connection, schema: &Schema) -> rusqlite::Result<PathSum> {
    let mut sum = PathSum::default();
    let (data, books) = (schema.from("data"), schema.from("books"));
    let mut files = database.prepare(&format!(
        "SELECT path, name, format FROM {data} JOIN {books} ON books.id = data.book"
    ))?;
    let mut rows = files.query([])?;
    while let Some(row) = rows.next()? {
        let bytes = |at| match row.get_ref(at) {
            Ok(ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => bytes,
            _ => b"",
        };
        let folder = place::folder(Path::new(""), bytes(0));
        if let (Ok(folder), Ok(name)) = (folder, place::file_name(bytes(1), bytes(2))) {
            let below: PathBuf = folder.join(os(&name)).components().collect();
            sum.add(below.as_os_str().as_bytes());
        }
    }
    Ok(sum)
}

/// A library's folder that has nothing in it is one whose disk is not there.
///
/// # Errors
/// It is empty, or cannot be read.
pub(crate) fn not_empty(folder: &Path) -> Result<(), Fatal> {
    let shown = folder.display();
    let mut entries =
        std::fs::read_dir(folder).or_fatal(Exit::Usage, format_args!("{shown}: open library"))?;
    match entries.next() {
        Some(_) => Ok(()),
        None => Err(Fatal::new(
            Exit::Refused,
            format_args!("{shown}: open library: the folder is empty; is its disk mounted?"),
        )),
    }
}

/// Why the list may lack files that are tracked; one line each, the most telling first.
pub(crate) fn flaws(list: &List, database: &Database, known: Option<&KnownSet>) -> Vec<String> {
    let mut flaws = Vec::new();
    let completeness = &list.completeness;
    flaws.extend(completeness.why.clone());
    if let Some(shard) = &completeness.shard {
        flaws.push(format!("the input is only shard {shard} of a list"));
    }
    match (&completeness.library, &database.uuid) {
        (Some(listed), Some(here)) if listed != here => flaws.push(format!(
            "the list is of another library: {listed}, where this one is {here}"
        )),
        (None, Some(_)) if flaws.is_empty() => {
            flaws.push("the list does not say which library it is of".into());
        }
        _ => {}
    }
    if list.rows != database.rows {
        flaws.push(format!(
            "the list has {} rows, but the database has {} now: list the library again",
            list.rows, database.rows
        ));
    }
    if flaws.is_empty() && list.strays == 0 && list.sum != database.sum {
        // As many as before, but Calibre moves a book's files when its title or author changes.
        flaws.push("files of the list are recorded under other names now: list again".into());
    }
    if list.strays > 0 {
        let first = list
            .stray
            .as_deref()
            .unwrap_or(Path::new("a path that is no text"));
        flaws.push(format!(
            "{} paths of the list are not below {}, like {}",
            list.strays,
            list.root.display(),
            first.display()
        ));
    }
    flaws.extend(known.and_then(|known| known.flaw.clone()));
    flaws
}

/// Why a listing of the store's links is not to be believed.
pub(crate) fn doubts(links: &Links, books: &Path, known: Option<&KnownSet>) -> Option<String> {
    let known = known.filter(|known| known.count() > 0)?;
    if links.entries == 0 {
        let known = known.count();
        return Some(format!(
            "there is nothing in it, but the server has {known} files: is its disk mounted?"
        ));
    }
    let (there, of) = known.in_store(books);
    (there * 2 < of).then(|| {
        format!(
            "of {of} files that the server has on record it holds {there}: is it that server's store?"
        )
    })
}
