//! What must be so before anything is called untracked. Each line of reason here once emptied
//! somebody's library: a list cut short, a list of another library, a folder that was not mounted.

use std::path::Path;

use calibre_list::Snapshot;
use orphan_scan::links::Links;
use wire::{Exit, Fatal, OrFatal};

use crate::{answers::Answers, list::List};

/// What the library's database says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    /// The library's uuid.
    pub(crate) uuid: Option<String>,
    /// How many files it has on record.
    pub(crate) rows: u64,
}

impl Database {
    /// Asks a snapshot.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn of(snapshot: &Snapshot, shown: &Path) -> Result<Database, Fatal> {
        let count = snapshot.readers[0]
            .query_row("SELECT count(*) FROM data", [], |row| row.get::<_, i64>(0))
            .or_fatal(
                Exit::GaveUp,
                format_args!("{}: count its rows", shown.display()),
            )?;
        Ok(Database {
            uuid: snapshot.library_id(),
            rows: count.unsigned_abs(),
        })
    }
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
pub(crate) fn flaws(list: &List, database: &Database, answers: Option<&Answers>) -> Vec<String> {
    let mut flaws = Vec::new();
    let custody = &list.custody;
    flaws.extend(custody.why.clone());
    if let Some(shard) = &custody.shard {
        flaws.push(format!("the input is only shard {shard} of a list"));
    }
    match (&custody.library, &database.uuid) {
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
    flaws.extend(answers.and_then(|answers| answers.flaw.clone()));
    flaws
}

/// Why a listing of the store's links is not to be believed.
pub(crate) fn doubts(links: &Links, books: &Path, answers: Option<&Answers>) -> Option<String> {
    let answers = answers.filter(|answers| answers.count() > 0)?;
    if links.links + links.files == 0 {
        let known = answers.count();
        return Some(format!(
            "there is nothing in it, but the server has {known} files: is its disk mounted?"
        ));
    }
    let (there, of) = answers.in_store(books);
    (there * 2 < of).then(|| {
        format!(
            "of {of} files that the server has on record it holds {there}: is it that server's store?"
        )
    })
}
