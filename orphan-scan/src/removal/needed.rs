//! Which of Calibre's records a file of this batch may be needed for, though none of them names it: those
//! that lead to it by another path, and those whose file is missing. They are chosen once from a snapshot,
//! and looked for again in the moment in which the file may go.

use std::{
    collections::{HashMap, HashSet},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use crate::{
    needs::{Found, Record, alike_keys, base, numbers},
    store::Id,
};

use crate::removal::proof::Answer;

/// By what records are chosen.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    inodes: HashSet<u64>,
    numbers: HashSet<i64>,
    names: HashSet<u64>,
    folders: HashSet<u64>,
}

impl Wanted {
    /// For these files, by their paths below the library.
    pub(super) fn of(library: &Path, files: &[PathBuf]) -> Wanted {
        let mut wanted = Wanted::default();
        for file in files {
            let path = file.as_os_str().as_bytes();
            let seen = library.join(file).symlink_metadata();
            wanted.inodes.extend(seen.map(|seen| seen.ino()));
            wanted.numbers.extend(numbers(folder(path)));
            wanted.names.extend(alike_keys(base(path)));
            let folder = library.join(file).parent().map(Path::metadata);
            wanted
                .folders
                .extend(folder.and_then(Result::ok).map(|seen| seen.ino()));
        }
        wanted
    }
}

fn folder(path: &[u8]) -> &[u8] {
    &path[..path.len() - base(path).len()]
}

/// The records that were chosen.
#[derive(Debug, Default)]
pub(super) struct Needed {
    records: Vec<Record>,
    inodes: HashMap<u64, Vec<usize>>,
    numbers: HashMap<i64, Vec<usize>>,
    names: HashMap<u64, Vec<usize>>,
    folders: HashMap<u64, Vec<usize>>,
}

impl Needed {
    /// Takes a record of this library in, where it may be one of them.
    pub(super) fn note(&mut self, wanted: &Wanted, record: Record, found: &Found, library: &Path) {
        let inode = match found {
            Found::There((_, inode)) => Some(*inode).filter(|inode| wanted.inodes.contains(inode)),
            Found::Missing | Found::Unknown(_) => None,
        };
        let number = Some(record.book_id).filter(|id| wanted.numbers.contains(id));
        let keys = alike_keys(base(&record.name));
        let names: HashSet<u64> = keys
            .into_iter()
            .filter(|key| wanted.names.contains(key))
            .collect();
        // Who has its file needs none that lies in its folder.
        let folder = match found {
            Found::There(_) => None,
            Found::Missing | Found::Unknown(_) => record.folder_id(library),
        };
        let folder = folder
            .map(|(_, inode)| inode)
            .filter(|inode| wanted.folders.contains(inode));
        if inode.is_none() && number.is_none() && folder.is_none() && names.is_empty() {
            return;
        }
        let at = self.records.len();
        self.records.push(record);
        if let Some(inode) = inode {
            self.inodes.entry(inode).or_default().push(at);
        }
        if let Some(number) = number {
            self.numbers.entry(number).or_default().push(at);
        }
        if let Some(folder) = folder {
            self.folders.entry(folder).or_default().push(at);
        }
        for name in names {
            self.names.entry(name).or_default().push(at);
        }
    }

    /// Those that may lead to this file.
    pub(super) fn leading_to(&self, inode: u64) -> impl Iterator<Item = &Record> {
        let places = self.inodes.get(&inode).into_iter().flatten();
        places.map(|&at| &self.records[at])
    }

    /// Those whose file it could be, were that missing: by its folder, the folder's number or its name.
    pub(super) fn alike(&self, path: &[u8], inode: Option<u64>) -> impl Iterator<Item = &Record> {
        let of_folder = inode.and_then(|inode| self.folders.get(&inode));
        let numbers = numbers(folder(path)).filter_map(|number| self.numbers.get(&number));
        let keys: HashSet<u64> = alike_keys(base(path)).into_iter().collect();
        let names = keys.into_iter().filter_map(|key| self.names.get(&key));
        let found = numbers.chain(names).chain(of_folder);
        let mut places: Vec<usize> = found.flatten().copied().collect();
        places.sort_unstable();
        places.dedup();
        places.into_iter().map(|at| &self.records[at])
    }
}

/// Does this record, looked for now, lead to this file?
pub(super) fn leads_to(what: &str, found: &Found, file: Id) -> Option<Answer> {
    (*found == Found::There(file)).then(|| {
        Answer::No(format!(
            "Calibre has it on record by another path ({what}); scan again"
        ))
    })
}

/// Would Calibre, or a person, need a file for this record, which it could be the file of? `so` says what
/// follows.
pub(super) fn lacks(book_id: i64, format: &str, found: &Found, so: &str) -> Option<Answer> {
    match found {
        Found::There(_) => None,
        Found::Missing => Some(Answer::No(format!("book {book_id} lacks its {format}{so}"))),
        Found::Unknown(why) => Some(Answer::Unknown(format!(
            "whether book {book_id} has its {format}: {why}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_that_is_there_needs_no_other() {
        assert_eq!(lacks(7, "x", &Found::There((1, 2)), ""), None);
        assert!(matches!(
            lacks(7, "x", &Found::Missing, ""),
            Some(Answer::No(_))
        ));
        let unknown = lacks(7, "x", &Found::Unknown("I/O error".into()), "");
        assert!(matches!(unknown, Some(Answer::Unknown(_))));
    }

    #[test]
    fn a_file_is_tracked_by_what_it_is() {
        assert!(matches!(
            leads_to("x", &Found::There((1, 2)), (1, 2)),
            Some(Answer::No(_))
        ));
        for other in [Found::There((1, 3)), Found::There((2, 2)), Found::Missing] {
            assert_eq!(leads_to("x", &other, (1, 2)), None);
        }
    }

    #[test]
    fn records_are_chosen_by_file_number_and_name() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("A/Old (7)")).unwrap();
        std::fs::write(dir.path().join("A/Old (7)/x.epub"), "x").unwrap();
        let file = PathBuf::from("A/Old (7)/x.epub");
        let inode = dir.path().join(&file).symlink_metadata().unwrap().ino();
        let wanted = Wanted::of(dir.path(), std::slice::from_ref(&file));
        let mut needed = Needed::default();
        let records = [
            (7, "other.pdf", Found::Missing),
            (8, "X.EPUB", Found::There((1, 2))),
            (9, "y.epub", Found::There((1, inode))),
            (10, "z.epub", Found::Missing),
        ];
        for (book_id, name, found) in records {
            let record = Record {
                book_id,
                folder: b"A/B".into(),
                name: name.into(),
                format: b"epub".into(),
            };
            needed.note(&wanted, record, &found, dir.path());
        }
        let ids = |records: Vec<&Record>| -> Vec<i64> {
            records.iter().map(|record| record.book_id).collect()
        };
        assert_eq!(
            ids(needed.alike(file.as_os_str().as_bytes(), None).collect()),
            [7, 8]
        );
        assert_eq!(ids(needed.leading_to(inode).collect()), [9]);
    }
}
