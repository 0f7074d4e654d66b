//! The parts of a library that belong to Calibre itself or to other programs, by their names alone
//! (calibre.md, C3). Nothing in them is ever called untracked.

use std::ffi::CStr;

use crate::needs::numbers;

/// What part of a library an entry is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// Where books are.
    Books,
    /// Calibre's own; why.
    Internal(&'static str),
    /// Another program's; why.
    Foreign(&'static str),
    /// Below a book's `data` folder.
    ExtraData,
}

/// A folder of the library: what is in it depends on where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The area that the folder is in.
    pub area: Area,
    /// Is it the library's own folder?
    pub top: bool,
    /// Is it a book's folder?
    pub book: bool,
}

impl Place {
    /// The library's own folder.
    pub const LIBRARY: Place = Place {
        area: Area::Books,
        top: true,
        book: false,
    };

    /// A folder in this one. It is a book's by its number; who knows that files in it are tracked knows
    /// better.
    pub fn folder(self, name: &[u8]) -> Place {
        let area = match self.area {
            Area::Books if self.top && one_of(name, &CALIBRE_FOLDERS) => {
                Area::Internal("a folder that Calibre keeps")
            }
            Area::Books if self.book && name == b"data" => Area::ExtraData,
            Area::Books if self.book && is_merge_conflict(name) => {
                Area::Internal("what Calibre put aside when it merged books")
            }
            Area::Books => other_program(name).map_or(Area::Books, Area::Foreign),
            area => area,
        };
        Place {
            area,
            top: false,
            book: area == Area::Books && has_book_id(name),
        }
    }

    /// The area of an entry in this folder that is no folder.
    pub fn file(self, name: &[u8]) -> Area {
        match self.area {
            Area::Books if self.top && is_calibre_file(name) => {
                Area::Internal("a file that Calibre keeps")
            }
            Area::Books if self.book && one_of(name, &BOOK_FILES) => {
                Area::Internal("the cover or the metadata backup of a book")
            }
            Area::Books => other_program(name).map_or(Area::Books, Area::Foreign),
            area => area,
        }
    }
}

/// Entries that Calibre makes at the top of a library: a folder that has one is a library of its own.
pub const LIBRARY_MARKS: [&CStr; 6] = [
    c"metadata.db",
    c"metadata_db_prefs_backup.json",
    c"metadata_pre_restore.db",
    c"full-text-search.db",
    c".caltrash",
    c".calnotes",
];

/// Is a file, by its path below the library, in a folder of a book that is deeper than Calibre puts them?
/// It puts them at `Author/Title (12)`; so it may be another library's, or have been moved.
pub fn in_another_library(path: &[u8]) -> bool {
    let mut folders = path.split(|&byte| byte == b'/').rev().skip(1);
    // The last two are the author's and the book's own, or above.
    let depth = path.iter().filter(|&&byte| byte == b'/').count();
    let deep = depth.saturating_sub(2);
    folders
        .by_ref()
        .take(deep)
        .any(|folder| numbers(folder).next().is_some())
}

const CALIBRE_FOLDERS: [&str; 3] = [".caltrash", ".calnotes", ".calnotes-staging"];
const CALIBRE_FILES: [&str; 3] = [
    "metadata_db_prefs_backup.json",
    "metadata_pre_restore.db",
    "calibre_test_case_sensitivity.txt",
];
const CALIBRE_DATABASES: [&str; 2] = ["metadata.db", "full-text-search.db"];
const BOOK_FILES: [&str; 2] = ["cover.jpg", "metadata.opf"];

fn one_of(name: &[u8], names: &[&str]) -> bool {
    names.iter().any(|one| one.as_bytes() == name)
}

fn is_calibre_file(name: &[u8]) -> bool {
    let database = ["-journal", "-wal", "-shm"]
        .iter()
        .find_map(|side| name.strip_suffix(side.as_bytes()))
        .unwrap_or(name);
    one_of(name, &CALIBRE_FILES)
        || one_of(database, &CALIBRE_DATABASES)
        || name.ends_with(b"_tmpdb.db")
}

/// `merge conflict`, `merge conflict 2`.
fn is_merge_conflict(name: &[u8]) -> bool {
    match name.strip_prefix(b"merge conflict") {
        Some([]) => true,
        Some([b' ', digits @ ..]) => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// Ends in the number of a book, `Title (12)`?
pub fn has_book_id(name: &[u8]) -> bool {
    let number = || {
        let inner = name.strip_suffix(b")")?;
        let open = inner.iter().rposition(|&byte| byte == b'(')?;
        let spaced = open > 0 && inner[open - 1] == b' ';
        spaced.then(|| &inner[open + 1..])
    };
    number().is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
}

/// What a name that belongs to another program or system is.
fn other_program(name: &[u8]) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    let starts = |prefix: &str| lower.starts_with(prefix.as_bytes());
    let ends = |suffix: &str| lower.ends_with(suffix.as_bytes());
    Some(
        if starts("._") || starts(".afpdeleted") || one_of(&lower, &[".ds_store", ".appledouble"]) {
            "what macOS keeps beside files"
        } else if one_of(&lower, &["thumbs.db", "desktop.ini", "$recycle.bin"]) {
            "what Windows keeps in folders"
        } else if one_of(&lower, &["@eadir", "#recycle"]) {
            "what a NAS keeps in folders"
        } else if starts(".nfs") || starts(".fuse_hidden") || starts(".smbdelete") {
            "a deleted file that a program still has open"
        } else if starts(".trash-") {
            "a trash of the desktop"
        } else if one_of(&lower, &["lost+found", ".snapshot", ".snapshots", ".zfs"]) {
            "a folder of the file system"
        } else if starts(".") {
            "a hidden file or folder"
        } else if ends(".part") || ends(".tmp") {
            "a file that a program has not finished"
        } else {
            return None;
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(path: &str) -> Area {
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        folders
            .split('/')
            .filter(|folder| !folder.is_empty())
            .fold(Place::LIBRARY, |place, folder| {
                let place = place.folder(folder.as_bytes());
                Place {
                    book: place.book || folder == "tracked",
                    ..place
                }
            })
            .file(name.as_bytes())
    }

    #[test]
    fn what_calibre_keeps_is_internal() {
        for path in [
            "metadata.db",
            "metadata.db-wal",
            "full-text-search.db-shm",
            "metadata_db_prefs_backup.json",
            "metadata_pre_restore.db",
            "calibre_test_case_sensitivity.txt",
            "abc_tmpdb.db",
            ".caltrash/b/7/x/book.epub",
            ".caltrash/f/7/epub",
            ".calnotes/notes.db",
            ".calnotes-staging/x",
            "A/B (1)/cover.jpg",
            "A/B (1)/metadata.opf",
            "A/tracked/cover.jpg",
            "A/B (1)/merge conflict/x.epub",
            "A/B (1)/merge conflict 12/y/x.epub",
        ] {
            assert!(matches!(area(path), Area::Internal(_)), "{path}");
        }
    }

    #[test]
    fn what_others_keep_is_foreign() {
        for path in [
            ".DS_Store",
            "A/._B.epub",
            "A/B (1)/thumbs.DB",
            "A/@eaDir/x/y.epub",
            "#recycle/a.epub",
            "$RECYCLE.BIN/a.epub",
            ".Trash-1000/files/a.epub",
            "lost+found/a.epub",
            ".snapshots/1/a.epub",
            "A/.nfs000123",
            "A/.hidden.epub",
            ".stversions/a.epub",
            "A/B (1)/a.epub.part",
            "A/B (1)/a.TMP",
            "A/.caltrash/b/a.epub",
        ] {
            assert!(matches!(area(path), Area::Foreign(_)), "{path}");
        }
    }

    #[test]
    fn books_that_lie_too_deep_are_another_library_s() {
        for path in [
            "Old/Ann/Title (7)/x.epub",
            "a/b/c/Title (7)/x/y.epub",
            "Old/Ann/Title (7) /x",
        ] {
            assert!(in_another_library(path.as_bytes()), "{path}");
        }
        for path in [
            "Ann/Title (7)/x.epub",
            "Title (7)/x.epub",
            "x.epub",
            "a/b/c/x (7).epub",
        ] {
            assert!(!in_another_library(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn a_book_s_data_folder_holds_extra_data() {
        assert_eq!(area("A/B (1)/data/scan.pdf"), Area::ExtraData);
        assert_eq!(area("A/tracked/data/x/.hidden"), Area::ExtraData);
        assert_eq!(area("A/data/scan.pdf"), Area::Books);
        assert_eq!(area("A/B (1)/Data/scan.pdf"), Area::Books);
    }

    #[test]
    fn all_else_is_where_books_are() {
        for path in [
            "a.epub",
            "A/metadata.db-wal",
            "A/cover.jpg",
            "A/B (1)/x.epub",
            "A/B (1)/merge conflicts/x.epub",
            "A/B (1)/merge conflict x/x.epub",
            "A/B (x)/metadata.opf",
            "A/B(1)/cover.jpg",
            "A/part/tmp",
        ] {
            assert_eq!(area(path), Area::Books, "{path}");
        }
    }
}
