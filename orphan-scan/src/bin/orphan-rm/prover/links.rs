//! What the links of the server's store lead to.

use std::{ffi::OsStr, io, path::Path};

use hash_files::Stamp;
use orphan_scan::{
    links::Links,
    store::{self, Store},
};
use rustix::io::Errno;

use super::Prover;
use crate::{links::none_leads_to, proof::Told, server::Row};

impl Prover<'_> {
    /// Lists all links of the store.
    pub(crate) fn list_links(&mut self, tick: impl Fn() + Sync) -> Result<u64, String> {
        self.links = self.listed(tick);
        self.links
            .as_ref()
            .map(|links| links.count)
            .map_err(Clone::clone)
    }

    /// Why it is not known where the links lead, where that is so.
    pub(crate) fn links_are_unknown(&self) -> Option<String> {
        self.links.as_ref().err().cloned()
    }

    fn listed(&mut self, tick: impl Fn() + Sync) -> Result<Links, String> {
        if let Some(why) = &self.down {
            return Err(why.clone());
        }
        // Before the listing: what is written while it runs is new, too.
        let mark = self.server.mark().map_err(|failure| self.lost(&failure))?;
        let links = self.store.links(|_| (), |_| tick())?;
        if links.count == 0 {
            if self.had_links {
                return Err("the store has no links any more".into());
            }
            self.no_link_is_believable(&links)?;
        }
        self.had_links |= links.count > 0;
        self.mark = Some(mark);
        Ok(links)
    }

    /// No link at all is believed only where each row's file is there in the store as a file: a store
    /// that is not mounted, or another one, has none either.
    fn no_link_is_believable(&mut self, links: &Links) -> Result<(), String> {
        let locations = self.server.locations();
        let locations = locations.map_err(|failure| self.lost(&failure))?;
        let absent = |location: &&Vec<u8>| {
            let place = self.store.place(location);
            place.is_none_or(|place| std::fs::symlink_metadata(place).is_err())
        };
        if links.entries == 0 && !locations.is_empty() {
            return Err(format!(
                "{} is empty, but the database has {} files in it: is it mounted, and the server's?",
                self.store.books.display(),
                locations.len()
            ));
        }
        match locations.iter().find(absent) {
            None => Ok(()),
            Some(location) => Err(format!(
                "no link was found in {}, and files that the database has are not there either ({}): \
                 is it the server's, and all mounted?",
                self.store.books.display(),
                String::from_utf8_lossy(location)
            )),
        }
    }

    pub(super) fn no_link(
        &mut self,
        folders: Option<&[(u64, u64)]>,
        file: &Stamp,
        name: &OsStr,
        rows: &[Row],
    ) -> Told {
        if let Err(why) = self.store.is_there() {
            return Told::Unknown(format!("the server's store: {why}"));
        }
        let Some(folders) = folders else {
            return Told::Unknown("its folder cannot be looked at".into());
        };
        match &mut self.links {
            Err(why) => Told::Unknown(format!("the store's links could not be listed: {why}")),
            Ok(links) => {
                for row in rows {
                    note_link(links, &self.store, row);
                }
                none_leads_to(links, (file.dev, file.inode), folders, name)
            }
        }
    }

    /// Device and inode of the folder that a file is in, or was, and of all above it, the library's and
    /// those that it is in, too.
    pub(crate) fn folder_ids(&self, relative: &Path) -> Option<Vec<(u64, u64)>> {
        let mut ids = Vec::new();
        for path in relative
            .ancestors()
            .filter(|path| !path.as_os_str().is_empty())
        {
            match self.tree.folder_of(path).and_then(rustix::fs::fstat) {
                Ok(stat) => ids.push((stat.st_dev, stat.st_ino)),
                // No link leads into a folder that is not there; the first place is the file's own.
                Err(Errno::NOENT) if ids.is_empty() => ids.push((0, 0)),
                Err(Errno::NOENT) => {}
                Err(_) => return None,
            }
        }
        ids.extend(store::above(&self.tree.real).ok()?);
        Some(ids)
    }

    /// After all links were listed again: does none lead to a file that was moved away?
    pub(crate) fn none_leads_to(&self, file: &Stamp, folders: &[(u64, u64)], name: &OsStr) -> Told {
        match &self.links {
            Ok(links) => none_leads_to(links, (file.dev, file.inode), folders, name),
            Err(why) => Told::Unknown(format!("the store's links could not be listed: {why}")),
        }
    }
}

pub(super) fn note_link(links: &mut Links, store: &Store, row: &Row) {
    let Some(place) = store.place(&row.location) else {
        return;
    };
    match std::fs::symlink_metadata(&place) {
        Ok(seen) if seen.is_symlink() => {
            if let Err(why) = links.note(store, &place) {
                links.anywhere.get_or_insert(why);
            }
        }
        Ok(_) => {}
        // Its file is not there (any more); the row alone needs nothing of the library.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            let why = format!("{}: {error}", place.display());
            links.anywhere.get_or_insert(why);
        }
    }
}
