//! Whose file could it be? Records that have none, by what a file that was moved or garbled keeps of them.

use std::{collections::HashMap, path::Path};

use super::{Found, Record, alike_keys, base, numbers};
use crate::store::Id;

/// Why a file may be needed that nobody tracks by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// A record's file could not be looked at, and may be this one.
    Unknown,
    /// A record's file is missing, and this may be it.
    Missing,
}

/// The records that have no file, as far as is known.
#[derive(Debug, Default)]
pub struct Lost {
    numbers: HashMap<i64, (Need, i64)>,
    names: HashMap<u64, (Need, i64)>,
    folders: HashMap<Id, (Need, i64)>,
}

impl Lost {
    /// Takes in a record of this library and what was found of it.
    pub fn note(&mut self, record: &Record, found: &Found, library: &Path) {
        let need = match found {
            Found::There(_) => return,
            Found::Missing => Need::Missing,
            Found::Unknown(_) => Need::Unknown,
        };
        let of = (need, record.book_id);
        let worse = |entry: &mut (Need, i64)| *entry = (*entry).max(of);
        self.numbers
            .entry(record.book_id)
            .and_modify(worse)
            .or_insert(of);
        for key in alike_keys(base(&record.name)) {
            self.names.entry(key).and_modify(worse).or_insert(of);
        }
        if let Some(folder) = record.folder_id(library) {
            self.folders.entry(folder).and_modify(worse).or_insert(of);
        }
    }

    /// Could a file with this path below the library, in this folder, be that of one of them? Of which book.
    pub fn needs(&self, path: &[u8], folder: Id) -> Option<(Need, i64)> {
        let by_folder = self.folders.get(&folder).into_iter();
        if self.numbers.is_empty() {
            return None;
        }
        let name = base(path);
        let above = &path[..path.len() - name.len()];
        let by_number = numbers(above).filter_map(|number| self.numbers.get(&number));
        let keys = alike_keys(name);
        let by_name = keys.iter().filter_map(|key| self.names.get(key));
        by_folder.chain(by_number).chain(by_name).max().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(found: &Found) -> Lost {
        let mut lost = Lost::default();
        let record = Record {
            book_id: 7,
            folder: b"Ann/Title (7)".into(),
            name: b"Title - Ann.epub".into(),
            format: b"epub".into(),
        };
        lost.note(&record, found, Path::new("/nowhere"));
        lost
    }

    #[test]
    fn a_file_of_a_missing_book_is_known_by_its_folder_s_number_or_its_name() {
        let lost = lost(&Found::Missing);
        for path in [
            "Ann/Title (7)/other.pdf",
            "Ann\u{f029}/Old Title (7)/x.epub",
            "Moved/Ann/Title (7)/data.bin",
            "Title - Ann.epub",
            "Elsewhere/title - ann.EPUB",
        ] {
            assert_eq!(
                lost.needs(path.as_bytes(), (0, 0)),
                Some((Need::Missing, 7)),
                "{path}"
            );
        }
        for path in [
            "Ann/Title (8)/x.epub",
            "Title (7).epub",
            "x/Title - Ann.pdf",
        ] {
            assert_eq!(lost.needs(path.as_bytes(), (0, 0)), None, "{path}");
        }
    }

    #[test]
    fn only_a_record_whose_file_is_there_needs_no_other() {
        let path = b"x/Title - Ann.epub";
        assert_eq!(lost(&Found::There((1, 2))).needs(path, (0, 0)), None);
        let unknown = lost(&Found::Unknown("I/O error".into()));
        assert_eq!(unknown.needs(path, (0, 0)), Some((Need::Unknown, 7)));
    }
}
