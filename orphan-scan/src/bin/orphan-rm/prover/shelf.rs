//! The library's side: the file in its place, and what Calibre has on record of it.

use std::{
    ffi::{CString, OsStr},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use orphan_scan::{
    names::likeness,
    needs::{Record, find, has_format},
    zones::{LIBRARY_MARKS, Place, Zone, in_another_library},
};
use rustix::{
    fs::{Dir, DirEntry, fstat},
    io::Errno,
};

use super::{Case, Prover};
use crate::{
    needed::{lacks, leads_to},
    place::{Entry, explain, look},
    proof::{Class, Told},
    tracked::Tracked,
};

impl Prover<'_> {
    /// Opens the file without following any link, where books are.
    pub(super) fn reach(&self, case: &Case<'_>) -> Result<Entry, Told> {
        self.tree.is_there().map_err(Told::Unknown)?;
        let unreached = |errno: Errno| match errno {
            Errno::NOENT
            | Errno::LOOP
            | Errno::NOTDIR
            | Errno::XDEV
            | Errno::ISDIR
            | Errno::NXIO => Told::No(explain(errno)),
            errno => Told::Unknown(explain(errno)),
        };
        if let Some(trash) = case.trash {
            return trash.entry(case.relative).map_err(unreached);
        }
        let mut place = Place::LIBRARY;
        let folders = case.relative.parent().unwrap_or(Path::new(""));
        for folder in folders.components() {
            place = place.folder(folder.as_os_str().as_bytes());
        }
        let name = case.relative.file_name().unwrap_or_default();
        if place.file(name.as_bytes()) != Zone::Books {
            return Err(Told::No(
                "it is where Calibre or another program keeps its own".into(),
            ));
        }
        let entry = self.tree.entry(case.relative).map_err(unreached)?;
        let stamp = entry.stamp();
        if self.library.ids().contains(&(stamp.dev, stamp.inode)) {
            return Err(Told::No("it is Calibre's database".into()));
        }
        match self.is_in_another_library(folders) {
            Ok(false) => Ok(entry),
            Ok(true) => Err(Told::No(
                "it is in another library inside of this one".into(),
            )),
            Err(errno) => Err(Told::Unknown(format!(
                "whether it is in another library: {errno}"
            ))),
        }
    }

    /// Is one of these folders below the library a library of its own?
    fn is_in_another_library(&self, folders: &Path) -> Result<bool, Errno> {
        let below = |folder: &&Path| !folder.as_os_str().is_empty();
        for folder in folders.ancestors().filter(below) {
            let inside = self.tree.folder_of(&folder.join("x"))?;
            for mark in LIBRARY_MARKS {
                match look(&inside, OsStr::from_bytes(mark.to_bytes())) {
                    Ok(_) => return Ok(true),
                    Err(Errno::NOENT) => {}
                    Err(errno) => return Err(errno),
                }
            }
        }
        Ok(false)
    }

    /// Calibre's rows, read again where the database was written to.
    fn tracked(&mut self) -> Result<&Tracked, String> {
        if !self.tracked.as_ref().is_some_and(Tracked::is_fresh) {
            let read = Tracked::read(&self.library, &self.wanted);
            let tracked = read.map_err(|error| format!("Calibre's records: {error}"))?;
            if tracked.library != self.uuid {
                return Err("metadata.db is that of another library now".into());
            }
            self.tracked = Some(tracked);
        }
        let fresh = self.tracked.as_ref().filter(|tracked| tracked.is_fresh());
        fresh.ok_or_else(|| "Calibre's records: the database keeps changing".into())
    }

    /// Is Calibre's record of it what its class says, and does no other one lead to it?
    pub(super) fn row(&mut self, case: &Case<'_>) -> Told {
        let tracked = match self.tracked() {
            Err(why) => return Told::Unknown(why),
            Ok(tracked) => tracked,
        };
        let path = case.relative.as_os_str().as_bytes();
        let (class, aside) = (case.class, case.trash.is_some());
        let told = tracked.agrees(path, class, case.book_id, case.format, aside);
        let Some(file) = case.seen.dev.zip(case.seen.inode).filter(|_| told.yes()) else {
            return told;
        };
        let own = |record: &Record| {
            let named =
                Path::new(OsStr::from_bytes(&record.folder)).join(OsStr::from_bytes(&record.name));
            class == Class::DuplicateOfServer
                && case.is_of(record)
                && likeness(named.as_os_str().as_bytes(), path).is_some()
        };
        let library = &self.tree.path;
        let records = self
            .tracked
            .iter()
            .flat_map(|tracked| tracked.needed.leading_to(file.1));
        records
            .filter(|record| !own(record))
            .find_map(|record| leads_to(&record.shown(), &record.find(library), file))
            .unwrap_or(told)
    }

    /// Is the file needed for no record that lacks its own?
    pub(super) fn heal(&mut self, case: &Case<'_>) -> Told {
        if let Err(why) = self.tracked() {
            return Told::Unknown(why);
        }
        let Some(tracked) = &self.tracked else {
            return Told::Unknown("Calibre's records".into());
        };
        let file = case.relative.as_os_str().as_bytes();
        let library = &self.tree.path;
        let beside = tracked.same_extension(file).find_map(|row| {
            let found = find(&library.join(OsStr::from_bytes(&row.path)));
            lacks(
                row.book_id,
                &row.format,
                &found,
                " in this folder, and Calibre would take this file for it",
            )
        });
        let lost = |record: &Record| {
            let format = String::from_utf8_lossy(&record.format);
            let found = record.find(library);
            lacks(record.book_id, &format, &found, ", and this may be it")
        };
        let folder = self.tree.folder_of(case.relative).and_then(fstat).ok();
        let folder = folder.map(|folder| folder.st_ino);
        let needed = match case.class {
            // What else Calibre has of a book is no displaced file of it.
            Class::DuplicateOfServer => {
                let others = tracked.needed.alike(file, folder);
                let others = others.filter(|record| !case.is_of(record));
                let unplaced = others
                    .filter_map(lost)
                    .find(|told| matches!(told, Told::Unknown(_)));
                unplaced.or_else(|| self.rival(case))
            }
            Class::UntrackedOnServer | Class::Untracked => {
                let lost = tracked.needed.alike(file, folder).find_map(lost);
                lost.or_else(|| {
                    let deep = in_another_library(file) && tracked.beside(file).is_empty();
                    deep.then(|| {
                        Told::Unknown(
                            "whether it is of another library that has lost its metadata.db".into(),
                        )
                    })
                })
            }
        };
        let needed = beside.or(needed);
        needed.unwrap_or_else(|| Told::Yes("no record lacks a file that this could be".into()))
    }

    /// Another file in the folder that Calibre would take for this one, were it gone.
    fn rival(&self, case: &Case<'_>) -> Option<Told> {
        let format = case.format.unwrap_or_default().as_bytes();
        let own = case.relative.file_name().unwrap_or_default().as_bytes();
        let listed = match self.tree.folder_of(case.relative) {
            // Without the folder there is none in it.
            Err(Errno::NOENT) => return None,
            folder => folder.and_then(Dir::new),
        };
        let names = listed.and_then(|entries| {
            let name =
                |entry: Result<DirEntry, Errno>| entry.map(|entry| entry.file_name().to_owned());
            entries.map(name).collect::<Result<Vec<_>, Errno>>()
        });
        rival(names, own, format)
    }
}

/// By the names in its folder.
fn rival(names: Result<Vec<CString>, Errno>, own: &[u8], format: &[u8]) -> Option<Told> {
    let names = match names {
        Ok(names) => names,
        Err(errno) => {
            return Some(Told::Unknown(format!(
                "what else is in its folder: {errno}"
            )));
        }
    };
    let other = |name: &&CString| name.to_bytes() != own && has_format(name.to_bytes(), format);
    let other = names.iter().find(other)?;
    Some(Told::No(format!(
        "{} lies in its folder, and Calibre would take that for it",
        other.to_string_lossy()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duplicate_stays_while_calibre_would_take_another_file_for_it() {
        let rival = |names: &[&str]| {
            let names = names.iter().map(|name| CString::new(*name).unwrap());
            rival(Ok(names.collect()), b"x.epub", b"epub")
        };
        let none = rival(&[".", "..", "x.epub", "x.pdf", "cover.jpg", "._y.epub"]);
        assert_eq!(none, None);
        for other in ["y.epub", "X.epub", "x.EPUB", "x.kepub.epub"] {
            assert!(
                matches!(rival(&["x.epub", other]), Some(Told::No(_))),
                "{other}"
            );
        }
        let cut = super::rival(Err(Errno::IO), b"x.epub", b"epub");
        assert!(matches!(cut, Some(Told::Unknown(_))));
    }
}
