//! What `--restore` and `--purge` begin with: a journal, and the library that it is of.

use std::path::{Path, PathBuf};

use calibre_list::Library;
use wire::{Exit, Fatal, OrFatal, Writer, records::JournalRun, write::ItemError};

use super::refuse;
use crate::{
    args::Args,
    journal::{head_database, head_paths},
    place::Tree,
    tracked::Tracked,
    trash::Trash,
};

/// The library of a journal: in the folder that it names, or in the one of `--library` to which it was
/// moved since.
///
/// # Errors
/// It is not there (2), it is another one, or a copy of one that is in its place still (3).
pub(crate) fn library_of(
    args: &Args,
    journal: &Path,
    head: &JournalRun,
    out: &Writer,
) -> Result<Library, Fatal> {
    let (root, _) = head_paths(head).or_fatal(Exit::Usage, journal.display())?;
    let then = head_database(head).or_fatal(Exit::Usage, journal.display())?;
    let database = args.metadata_db.clone().or(then);
    let at = args.library.as_deref().unwrap_or(&root);
    let library = Library::find(Some(at), database.as_deref())
        .map_err(|error| Fatal::new(error.exit(), error))?;
    let shown = library.root.display();
    let found = Tracked::read(&library, &[]).map_err(|error| Fatal::new(error.exit(), error))?;
    if found.library != head.library {
        return Err(refuse(format_args!(
            "{}: it is the journal of another library than {shown}, of the one that was in {}",
            journal.display(),
            root.display()
        )));
    }
    let id = |root: &Path| Tree::open(root).map(|tree| tree.id);
    match (id(&root), id(&library.root)) {
        (Ok(then), Ok(now)) if then == now => Ok(library),
        // Any library there: who knows which of two it is that lacks the files?
        (Ok(_), _) if database.is_some() || root.join("metadata.db").symlink_metadata().is_ok() => {
            Err(refuse(format_args!(
                "{}: it is the journal of the library {}, and {shown} is a copy of it: leave out \
                 --library",
                journal.display(),
                root.display()
            )))
        }
        _ => {
            let why = format!(
                "the library was in {} then, and is taken for moved",
                root.display()
            );
            out.warn(&shown.to_string(), "open", &why);
            Ok(library)
        }
    }
}

/// The folder of a journal's run in the quarantine: where `--trash` says that it is now, or where it was.
///
/// # Errors
/// The journal names no path (2).
pub(crate) fn folder_of(args: &Args, journal: &Path, head: &JournalRun) -> Result<PathBuf, Fatal> {
    let (_, then) = head_paths(head).or_fatal(Exit::Usage, journal.display())?;
    Ok(args.trash.clone().unwrap_or(then))
}

/// The quarantine in this folder of a run.
///
/// # Errors
/// It is not there (2).
pub(crate) fn quarantine(folder: &Path) -> Result<Trash, Fatal> {
    Trash::open(folder).map_err(|why| {
        let why = format_args!(
            "quarantine: open: {why}; if it was moved, name the run's folder (which holds files) by --trash DIR"
        );
        Fatal::new(Exit::Usage, why)
    })
}

/// An error record for each line of a journal that could not be read.
///
/// # Errors
/// As [`Writer::write`].
pub(crate) fn tell_unread(
    journal: &Path,
    unread: &[(usize, String)],
    out: &Writer,
) -> std::io::Result<()> {
    for (line, why) in unread {
        let message = format!("{why}; what it tells of stays where it is");
        let item_error = ItemError {
            op: "read",
            message: &message,
            retry: false,
        };
        let object = format!("{}: line {line}", journal.display());
        out.fail_new(None, &object, item_error, |record| {
            record.int("line", *line as u64);
        })?;
    }
    Ok(())
}
