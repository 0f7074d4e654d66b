//! What Calibre has on record in a few folders, read from a fresh snapshot, and whether the database was
//! written to since.

use std::{
    collections::{HashMap, HashSet},
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use calibre_list::{Error, Library, Snapshot, place, snapshot::Options};
use rusqlite::Connection;

use super::{
    candidate::Candidate,
    needed::{Needed, Wanted},
    proof::{Answer, Class},
};
use crate::{
    names::{self, Likeness},
    needs::{Found, Record, look_for_all},
};

/// One file on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TrackedRow {
    /// Its path relative to the library, exact bytes.
    pub(super) path: Vec<u8>,
    /// The book.
    pub(super) book_id: i64,
    /// The format in lower case.
    pub(super) format: String,
}

/// The rows of the folders that were asked for.
#[derive(Debug)]
pub(super) struct Records {
    place: Library,
    /// As the database and its side files were before it was read.
    state: Vec<State>,
    /// By the folded path of the folder.
    rows: HashMap<Vec<u8>, Vec<TrackedRow>>,
    /// Those elsewhere that may need one of the files.
    pub(super) needed: Needed,
    /// The library's uuid.
    pub(super) library: Option<String>,
    /// When it was read.
    pub(super) at: String,
}

/// Which file it is and when it last changed; nothing where there is none.
type State = Option<(u64, u64, u64, i64, i64, i64, i64)>;

fn state(library: &Library) -> Vec<State> {
    let look = |path: PathBuf| {
        let seen = fs::metadata(path).ok()?;
        Some((
            seen.dev(),
            seen.ino(),
            seen.size(),
            seen.mtime(),
            seen.mtime_nsec(),
            seen.ctime(),
            seen.ctime_nsec(),
        ))
    };
    let [database, log, journal, _] = library.files();
    [database, log, journal].map(look).into()
}

/// The form under which a folder is looked up.
fn key(folder: &[u8]) -> Vec<u8> {
    names::folded(folder).into_owned()
}

fn parent(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
    &path[..end]
}

impl Records {
    /// Reads the rows of the folders that hold these files, their paths relative to the library, and those
    /// elsewhere that may need one.
    ///
    /// # Errors
    /// As [`Snapshot::take`].
    pub(super) fn read(library: &Library, files: &[PathBuf]) -> Result<Records, Error> {
        library.still()?;
        let state = state(library);
        let snapshot = Snapshot::take(&library.database, &Options::default())?;
        let failed = |error| Error::sqlite(&library.database, error);
        let (rows, needed) = rows(&snapshot.readers[0], &library.root, files).map_err(failed)?;
        Ok(Records {
            rows,
            needed,
            library: snapshot.library.clone(),
            place: library.clone(),
            state,
            at: jiff::Timestamp::now().to_string(),
        })
    }

    /// Was nothing written to the database since it was read, and is it still the library's only one?
    pub(super) fn is_fresh(&self) -> bool {
        self.state == state(&self.place) && self.place.still().is_ok()
    }

    /// The rows in this file's folder.
    pub(super) fn beside(&self, file: &[u8]) -> &[TrackedRow] {
        let rows = self.rows.get(&key(parent(file)));
        rows.map_or(&[], Vec::as_slice)
    }

    /// Is the record of this file what its class says? `put_aside` asks of a file in the trash, whose
    /// record may have been removed since.
    pub(super) fn agrees(&self, file: &Candidate, put_aside: bool) -> Answer {
        let (class, path) = (file.class, file.relative.as_os_str().as_bytes());
        let like = |row: &&TrackedRow| names::likeness(&row.path, path).is_some();
        let found: Vec<&TrackedRow> = self.beside(path).iter().filter(like).collect();
        let at = &self.at;
        match (class, found.as_slice()) {
            (Class::UntrackedOnServer | Class::Untracked, []) => {
                Answer::Yes(format!("no record of Calibre's, read {at}"))
            }
            (Class::UntrackedOnServer | Class::Untracked, [row, ..]) => Answer::No(format!(
                "Calibre has it on record now, as book {}; scan again",
                row.book_id
            )),
            (Class::DuplicateOfServer, []) if put_aside => {
                Answer::Yes(format!("Calibre's record is gone, read {at}"))
            }
            (Class::DuplicateOfServer, [row]) => {
                let exact = names::likeness(&row.path, path) != Some(Likeness::Case);
                let same = file.book_id == Some(row.book_id)
                    && file.format.as_deref() == Some(row.format.as_str());
                match exact && same {
                    true => Answer::Yes(format!(
                        "Calibre's record: book {}, {}, read {at}",
                        row.book_id, row.format
                    )),
                    false => {
                        Answer::No("Calibre's record of it is another one now; scan again".into())
                    }
                }
            }
            (Class::DuplicateOfServer, []) => {
                Answer::No("Calibre has it on record no more; scan again".into())
            }
            (Class::DuplicateOfServer, _) => {
                Answer::No("Calibre has two files of almost this name on record".into())
            }
        }
    }

    /// The files on record in this file's folder that have its extension, but not itself. Calibre takes
    /// any file with the extension for one of them that is missing.
    pub(super) fn same_extension<'a>(
        &'a self,
        file: &'a [u8],
    ) -> impl Iterator<Item = &'a TrackedRow> {
        let extension = |path: &[u8]| {
            let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
            let dot = name.iter().rposition(|&byte| byte == b'.');
            dot.map(|dot| name[dot + 1..].to_ascii_lowercase())
        };
        let own = extension(file);
        self.beside(file).iter().filter(move |row| {
            own.is_some()
                && extension(&row.path) == own
                && names::likeness(&row.path, file).is_none()
        })
    }
}

type Rows = HashMap<Vec<u8>, Vec<TrackedRow>>;

fn rows(
    snapshot: &Connection,
    library: &Path,
    files: &[PathBuf],
) -> rusqlite::Result<(Rows, Needed)> {
    let (mut rows, mut needed) = (Rows::new(), Needed::default());
    if files.is_empty() {
        return Ok((rows, needed));
    }
    let wanted = Wanted::of(library, files);
    let folders: HashSet<Vec<u8>> = files
        .iter()
        .map(|file| key(parent(file.as_os_str().as_bytes())))
        .collect();
    look_for_all(snapshot, library, |record: Record, found: Found| {
        // A path that is unsafe leads out of the library, or to a folder by another name.
        if let Some(folder) = relative(&record.folder)
            && !record.name.contains(&b'/')
            && folders.contains(&key(&folder))
        {
            rows.entry(key(&folder)).or_default().push(TrackedRow {
                path: [&folder, &b"/"[..], &record.name].concat(),
                book_id: record.book_id,
                format: String::from_utf8_lossy(&record.format).into_owned(),
            });
        }
        needed.note(&wanted, record, &found, library);
    })?;
    Ok((rows, needed))
}

/// The folder of a book without doubled slashes and dots, where it is below the library.
fn relative(path: &[u8]) -> Option<Vec<u8>> {
    let root = Path::new("/l");
    let folder = place::folder(root, path).ok()?;
    let inside: PathBuf = folder.strip_prefix(root).ok()?.components().collect();
    Some(inside.as_os_str().as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracked(rows: &[(&str, i64, &str)]) -> Records {
        let mut by_folder: HashMap<Vec<u8>, Vec<TrackedRow>> = HashMap::new();
        for &(path, book_id, format) in rows {
            let folder = key(parent(path.as_bytes()));
            by_folder.entry(folder).or_default().push(TrackedRow {
                path: path.into(),
                book_id,
                format: format.into(),
            });
        }
        let nowhere = PathBuf::from("/nowhere");
        Records {
            place: Library {
                root: nowhere.clone(),
                database: nowhere.clone(),
                named: nowhere,
            },
            state: vec![],
            rows: by_folder,
            needed: Needed::default(),
            library: None,
            at: "now".into(),
        }
    }

    fn candidate(path: &str, class: Class) -> Candidate {
        Candidate {
            path: path.into(),
            relative: path.into(),
            class,
            identity: crate::removal::candidate::Identity::default(),
            book_id: None,
            format: None,
        }
    }

    #[test]
    fn a_file_that_was_tracked_meanwhile_is_no_orphan_whatever_its_case_or_normalisation() {
        let agrees = |tracked: &Records, file: &str| {
            let file = candidate(file, Class::UntrackedOnServer);
            tracked.agrees(&file, false).yes()
        };
        let tracked = tracked(&[("A/B (1)/caf\u{e9}.epub", 1, "epub")]);
        assert!(agrees(&tracked, "A/B (1)/x.epub"));
        for name in ["caf\u{e9}.epub", "cafe\u{301}.epub", "Caf\u{e9}.EPUB"] {
            assert!(!agrees(&tracked, &format!("A/B (1)/{name}")), "{name}");
            assert!(!agrees(&tracked, &format!("a/b (1)/{name}")), "{name}");
        }
    }

    #[test]
    fn a_duplicate_must_still_be_the_same_format_of_the_same_book() {
        let rows = tracked(&[("A/B (1)/x.epub", 1, "epub")]);
        let file = |book_id, format: Option<&str>| Candidate {
            book_id,
            format: format.map(Into::into),
            ..candidate("A/B (1)/x.epub", Class::DuplicateOfServer)
        };
        let agrees = |book, format, aside| rows.agrees(&file(book, format), aside);
        assert!(agrees(Some(1), Some("epub"), false).yes());
        assert!(!agrees(Some(2), Some("epub"), false).yes());
        assert!(!agrees(None, None, false).yes());
        assert!(!agrees(Some(1), Some("pdf"), false).yes());
        let gone = tracked(&[]);
        let agrees = |aside| gone.agrees(&file(Some(1), Some("epub")), aside);
        assert!(!agrees(false).yes());
        assert!(agrees(true).yes());
    }

    #[test]
    fn what_calibre_may_take_a_file_for_has_its_extension() {
        let tracked = tracked(&[
            ("A/B (1)/x.epub", 1, "epub"),
            ("A/B (1)/x.pdf", 1, "pdf"),
            ("A/C (2)/y.epub", 2, "epub"),
        ]);
        let same = |file: &str| tracked.same_extension(file.as_bytes()).count();
        assert_eq!(same("A/B (1)/old.epub"), 1);
        assert_eq!(same("A/B (1)/old.EPUB"), 1);
        assert_eq!(same("A/B (1)/x.epub"), 0);
        assert_eq!(same("A/B (1)/old.mobi"), 0);
        assert_eq!(same("A/B (1)/old"), 0);
    }
}
