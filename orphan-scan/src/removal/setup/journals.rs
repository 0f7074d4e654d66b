//! A journal and the library that it is of.

use std::path::{Path, PathBuf};

use calibre_list::Library;
use wire::{Exit, Fatal, OrFatal, Writer, records::JournalRun, write::ItemError};

use super::{
    super::{
        args::JournalArgs,
        journal::{Journal, JournalFile, head_database, head_paths},
        quarantine::Quarantine,
        records::Records,
        tree::Tree,
    },
    needed, refuse,
};

/// A journal that was opened, with what it is about.
#[derive(Debug)]
pub struct Opened {
    /// The journal.
    pub journal: Journal,
    /// Its files.
    pub files: Vec<JournalFile>,
    /// The library.
    pub library: Library,
    /// The library's uuid.
    pub uuid: Option<String>,
    /// The run's folder in the quarantine.
    pub folder: PathBuf,
    unread: Vec<(usize, String)>,
}

/// Opens a journal, and the library that it names or that `--library` says it is in now.
///
/// # Errors
/// The journal or the library is not there (2), is in use, another one, or a copy (3).
pub fn open(args: &JournalArgs, out: &Writer) -> Result<Opened, Fatal> {
    let path = args.journal.as_deref().ok_or_else(|| needed("JOURNAL"))?;
    let (journal, past) = Journal::open(path)?;
    let (_, then) = head_paths(&past.head).or_fatal(Exit::Usage, path.display())?;
    let library = library_of(args, &journal.path, &past.head, out)?;
    let mut files = past.files;
    for file in &mut files {
        file.file.path = library.root.join(&file.file.relative);
    }
    Ok(Opened {
        journal,
        files,
        library,
        uuid: past.head.library,
        folder: args.trash.clone().unwrap_or(then),
        unread: past.unread,
    })
}

fn library_of(
    args: &JournalArgs,
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
    let found = Records::read(&library, &[]).map_err(|error| Fatal::new(error.exit(), error))?;
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

/// The quarantine in this folder of a run.
///
/// # Errors
/// It is not there (2).
pub fn open_quarantine(folder: &Path) -> Result<Quarantine, Fatal> {
    Quarantine::open(folder).map_err(|why| {
        let why = format_args!(
            "quarantine: open: {why}; if it was moved, name the run's folder (which holds files) by --trash DIR"
        );
        Fatal::new(Exit::Usage, why)
    })
}

impl Opened {
    /// Writes an error record for each line that could not be read.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn report_unread(&self, out: &Writer) -> std::io::Result<()> {
        for (line, why) in &self.unread {
            let message = format!("{why}; its file stays where it is");
            let error = ItemError {
                op: "read",
                message: &message,
                retry: false,
            };
            let object = format!("{}: line {line}", self.journal.path.display());
            out.fail_new(None, &object, error, |record| {
                record.int("line", *line as u64);
            })?;
        }
        Ok(())
    }
}
