//! Which entry of a folder is which tracked file: names alone.

use std::ffi::CStr;

use orphan_scan::{
    folders::Entries,
    names::{self, Likeness},
    needs::has_format,
    tracked::Row,
};

/// The rows of one folder, ready to be asked.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    pub(crate) rows: Vec<Row<'a>>,
    /// The key of each row's name, and its place in `rows`; sorted.
    keys: Vec<(u64, usize)>,
    /// By a row's place: is there an entry of exactly this name?
    there: Vec<bool>,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(rows: Vec<Row<'a>>) -> Rows<'a> {
        let mut keys: Vec<_> = rows
            .iter()
            .enumerate()
            .map(|(at, row)| (names::key(row.name), at))
            .collect();
        keys.sort_unstable();
        Rows {
            there: vec![false; rows.len()],
            keys,
            rows,
        }
    }

    /// The row that an entry of this name is most alike, by its place.
    pub(crate) fn like(&self, name: &[u8]) -> Option<(usize, Likeness)> {
        if self.rows.is_empty() {
            return None;
        }
        let key = names::key(name);
        let start = self.keys.partition_point(|&(other, _)| other < key);
        let alike = self.keys[start..]
            .iter()
            .take_while(|(other, _)| *other == key);
        let degrees = alike.filter_map(|&(_, at)| {
            let row = &self.rows[at];
            Some((names::likeness(row.name, name)?.max(row.likeness), at))
        });
        degrees.min().map(|(likeness, at)| (at, likeness))
    }

    /// The formats of rows of which the folder has more than one file: Calibre would take one for another.
    pub(crate) fn formats_of_more_than_one(&self, entries: &Entries) -> Vec<&'a str> {
        let mut formats: Vec<&'a str> = self.rows.iter().map(|row| row.format).collect();
        formats.sort_unstable();
        formats.dedup();
        let more = |format: &&str| {
            let named = |name: &CStr| has_format(name.to_bytes(), format.as_bytes());
            entries
                .iter()
                .filter(|entry| named(entry.name))
                .nth(1)
                .is_some()
        };
        formats.into_iter().filter(more).collect()
    }

    /// An entry of exactly this row's name is there.
    pub(crate) fn exactly(&mut self, at: usize) {
        self.there[at] = true;
    }

    /// Is there an entry of exactly this row's name?
    pub(crate) fn is_there(&self, at: usize) -> bool {
        self.there[at]
    }

    /// The row that Calibre would take an entry of this name for: its own file is not there by exactly
    /// its name, and the extension is the same (`DB.format_abspath`; calibre.md, C1). A file that is
    /// there under another case or normalisation does not count: whether Calibre finds it depends on
    /// the file system.
    pub(crate) fn healed_by(&self, name: &[u8]) -> Option<usize> {
        if name.starts_with(b"._") {
            return None;
        }
        (0..self.rows.len()).find(|&at| {
            let format = self.rows[at].format.as_bytes();
            let stem = name.strip_suffix(format);
            !self.there[at] && !format.is_empty() && stem.is_some_and(|stem| stem.ends_with(b"."))
        })
    }
}
