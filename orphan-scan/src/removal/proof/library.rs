//! The library's side: the file in its place, and what Calibre has on record of it.

use std::{
    ffi::{CString, OsStr},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use rustix::{
    fs::{Dir, DirEntry, fstat},
    io::Errno,
};

use super::{Answer, Case, Class, Prover};
use crate::{
    names::likeness,
    needs::{Record, find, has_format},
    removal::{
        needed::{lacks, leads_to},
        records::Records,
        tree::{OpenFile, explain, look},
    },
    reserved::{Area, LIBRARY_MARKS, Place, in_another_library},
};

impl Prover<'_> {
    /// Opens the file without following any link, where books are.
    pub(super) fn reach(&self, case: &Case<'_>) -> Result<OpenFile, Answer> {
        self.tree.is_there().map_err(Answer::Unknown)?;
        if case.file.relative.as_os_str().is_empty() {
            return Err(Answer::No("its path is not below the library".into()));
        }
        let unreached = |errno: Errno| match errno {
            Errno::NOENT
            | Errno::LOOP
            | Errno::NOTDIR
            | Errno::XDEV
            | Errno::ISDIR
            | Errno::NXIO => Answer::No(explain(errno)),
            errno => Answer::Unknown(explain(errno)),
        };
        if let Some(trash) = case.trash {
            return trash.entry(&case.file.relative).map_err(unreached);
        }
        let mut place = Place::LIBRARY;
        let folders = case.file.relative.parent().unwrap_or(Path::new(""));
        for folder in folders.components() {
            place = place.folder(folder.as_os_str().as_bytes());
        }
        let name = case.file.relative.file_name().unwrap_or_default();
        if place.file(name.as_bytes()) != Area::Books {
            return Err(Answer::No(
                "it is where Calibre or another program keeps its own".into(),
            ));
        }
        let entry = self.tree.entry(&case.file.relative).map_err(unreached)?;
        let stamp = entry.stamp();
        if self.library.ids().contains(&(stamp.dev, stamp.inode)) {
            return Err(Answer::No("it is Calibre's database".into()));
        }
        match self.is_in_another_library(folders) {
            Ok(false) => Ok(entry),
            Ok(true) => Err(Answer::No(
                "it is in another library inside of this one".into(),
            )),
            Err(errno) => Err(Answer::Unknown(format!(
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
    fn records(&mut self) -> Result<&Records, String> {
        if !self.records.as_ref().is_some_and(Records::is_fresh) {
            let read = Records::read(&self.library, &self.wanted);
            let records = read.map_err(|error| format!("Calibre's records: {error}"))?;
            if records.library != self.uuid {
                return Err("metadata.db is that of another library now".into());
            }
            self.records = Some(records);
        }
        let fresh = self.records.as_ref().filter(|records| records.is_fresh());
        fresh.ok_or_else(|| "Calibre's records: the database keeps changing".into())
    }

    /// Is Calibre's record of it what its class says, and does no other one lead to it?
    pub(super) fn row(&mut self, case: &Case<'_>) -> Answer {
        let records = match self.records() {
            Err(why) => return Answer::Unknown(why),
            Ok(records) => records,
        };
        let path = case.file.relative.as_os_str().as_bytes();
        let (class, aside) = (case.file.class, case.trash.is_some());
        let answer = records.agrees(case.file, aside);
        let Some(file) = case
            .file
            .identity
            .dev
            .zip(case.file.identity.inode)
            .filter(|_| answer.yes())
        else {
            return answer;
        };
        let own = |record: &Record| {
            let named =
                Path::new(OsStr::from_bytes(&record.folder)).join(OsStr::from_bytes(&record.name));
            class == Class::DuplicateOfServer
                && case.file.is_of(record)
                && likeness(named.as_os_str().as_bytes(), path).is_some()
        };
        let library = &self.tree.path;
        let records = self
            .records
            .iter()
            .flat_map(|records| records.needed.leading_to(file.1));
        records
            .filter(|record| !own(record))
            .find_map(|record| leads_to(&record.shown(), &record.find(library), file))
            .unwrap_or(answer)
    }

    /// Is the file needed for no record that lacks its own?
    pub(super) fn heal(&mut self, case: &Case<'_>) -> Answer {
        if let Err(why) = self.records() {
            return Answer::Unknown(why);
        }
        let Some(records) = &self.records else {
            return Answer::Unknown("Calibre's records".into());
        };
        let file = case.file.relative.as_os_str().as_bytes();
        let library = &self.tree.path;
        let beside = records.same_extension(file).find_map(|row| {
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
        let folder = self
            .tree
            .folder_of(&case.file.relative)
            .and_then(fstat)
            .ok();
        let folder = folder.map(|folder| folder.st_ino);
        let needed = match case.file.class {
            // What else Calibre has of a book is no displaced file of it.
            Class::DuplicateOfServer => {
                let others = records.needed.alike(file, folder);
                let others = others.filter(|record| !case.file.is_of(record));
                let unplaced = others
                    .filter_map(lost)
                    .find(|answer| matches!(answer, Answer::Unknown(_)));
                unplaced.or_else(|| self.rival(case))
            }
            Class::UntrackedOnServer | Class::Untracked => {
                let lost = records.needed.alike(file, folder).find_map(lost);
                lost.or_else(|| {
                    let deep = in_another_library(file) && records.beside(file).is_empty();
                    deep.then(|| {
                        Answer::Unknown(
                            "whether it is of another library that has lost its metadata.db".into(),
                        )
                    })
                })
            }
        };
        let needed = beside.or(needed);
        needed.unwrap_or_else(|| Answer::Yes("no record lacks a file that this could be".into()))
    }

    /// Another file in the folder that Calibre would take for this one, were it gone.
    fn rival(&self, case: &Case<'_>) -> Option<Answer> {
        let format = case.file.format.as_deref().unwrap_or_default().as_bytes();
        let own = case
            .file
            .relative
            .file_name()
            .unwrap_or_default()
            .as_bytes();
        let listed = match self.tree.folder_of(&case.file.relative) {
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
fn rival(names: Result<Vec<CString>, Errno>, own: &[u8], format: &[u8]) -> Option<Answer> {
    let names = match names {
        Ok(names) => names,
        Err(errno) => {
            return Some(Answer::Unknown(format!(
                "what else is in its folder: {errno}"
            )));
        }
    };
    let other = |name: &&CString| name.to_bytes() != own && has_format(name.to_bytes(), format);
    let other = names.iter().find(other)?;
    Some(Answer::No(format!(
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
                matches!(rival(&["x.epub", other]), Some(Answer::No(_))),
                "{other}"
            );
        }
        let cut = super::rival(Err(Errno::IO), b"x.epub", b"epub");
        assert!(matches!(cut, Some(Answer::Unknown(_))));
    }
}
