//! The library's side: the file in its place, and what Calibre has on record of it.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

use orphan_scan::zones::{Place, Zone};
use rustix::io::Errno;

use super::{Case, Prover};
use crate::{
    place::{Entry, explain, look},
    proof::Told,
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
        let nested = folders
            .ancestors()
            .filter(|folder| !folder.as_os_str().is_empty())
            .any(|folder| {
                let inside = self.tree.folder_of(&folder.join("x"));
                inside.is_ok_and(|inside| look(inside, OsStr::new("metadata.db")).is_ok())
            });
        match nested {
            true => Err(Told::No(
                "it is in another library inside of this one".into(),
            )),
            false => Ok(entry),
        }
    }

    /// Calibre's rows, read again where the database was written to.
    fn tracked(&mut self) -> Result<&Tracked, String> {
        if !self.tracked.as_ref().is_some_and(Tracked::is_fresh) {
            let files = self.wanted.iter().map(|file| file.as_os_str().as_bytes());
            let read = Tracked::read(&self.library, files);
            let tracked = read.map_err(|error| format!("Calibre's records: {error}"))?;
            if tracked.library != self.uuid {
                return Err("metadata.db is that of another library now".into());
            }
            self.tracked = Some(tracked);
        }
        let fresh = self.tracked.as_ref().filter(|tracked| tracked.is_fresh());
        fresh.ok_or_else(|| "Calibre's records: the database keeps changing".into())
    }

    pub(super) fn row(&mut self, case: &Case<'_>) -> Told {
        match self.tracked() {
            Err(why) => Told::Unknown(why),
            Ok(tracked) => tracked.agrees(
                case.relative.as_os_str().as_bytes(),
                case.class,
                case.book_id,
                case.format,
                case.trash.is_some(),
            ),
        }
    }

    pub(super) fn heal(&mut self, case: &Case<'_>) -> Told {
        if let Err(why) = self.tracked() {
            return Told::Unknown(why);
        }
        let file = case.relative.as_os_str().as_bytes();
        let rows = self
            .tracked
            .iter()
            .flat_map(|tracked| tracked.same_extension(file));
        for row in rows {
            match self.tree.entry(Path::new(OsStr::from_bytes(&row.path))) {
                Ok(_) => {}
                Err(Errno::NOENT) => {
                    return Told::No(format!(
                        "book {} lacks its {} in this folder, and Calibre would take this file for it",
                        row.book_id, row.format
                    ));
                }
                Err(errno) => {
                    return Told::Unknown(format!(
                        "whether book {} has its {}: {errno}",
                        row.book_id, row.format
                    ));
                }
            }
        }
        Told::Yes("no record of its extension lacks its file in its folder".into())
    }
}
