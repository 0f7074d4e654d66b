//! What the links of the server's store lead to.

use std::{ffi::OsStr, io, path::Path};

use crate::{
    links::Links,
    store::{self, Store},
};
use hash_files::Stamp;
use rustix::io::Errno;

use super::Prover;
use crate::removal::{
    links::none_leads_to,
    proof::{Answer, Class, Question},
    server::SourceRow,
};

impl Prover<'_> {
    /// Lists all links of the store.
    pub fn list_links(&mut self, tick: impl Fn() + Sync) -> Result<u64, String> {
        self.links = self.listed(tick);
        self.links
            .as_ref()
            .map(|links| links.count)
            .map_err(Clone::clone)
    }

    /// Why it is not known where the links lead, where that is so.
    pub fn links_are_unknown(&self) -> Option<String> {
        self.links.as_ref().err().cloned()
    }

    fn listed(&mut self, tick: impl Fn() + Sync) -> Result<Links, String> {
        if let Some(why) = &self.down {
            return Err(why.clone());
        }
        // Before the listing: what is written while it runs is new, too.
        let mark = self.server.mark().map_err(|failure| self.lost(&failure))?;
        let links = self.store.links(|_| (), |_| tick())?;
        let mut hidden = None;
        if links.count == 0 {
            if self.had_links {
                return Err("the store has no links any more".into());
            }
            hidden = self.hidden_links(&links)?;
        }
        self.hidden = hidden;
        self.had_links |= links.count > 0;
        self.mark = Some(mark);
        Ok(links)
    }

    /// A store without any link may be one whose links are on a disk that is not mounted, or another
    /// server's. Where all files of the database are there as files, it has none. Where some are not, those
    /// may be links; gives how this is answer.
    fn hidden_links(&mut self, links: &Links) -> Result<Option<String>, String> {
        let locations = self.server.locations();
        let locations = locations.map_err(|failure| self.lost(&failure))?;
        let books = self.store.books.display();
        if links.entries == 0 && !locations.is_empty() {
            return Err(format!(
                "{books} is empty, but the database has {} files in it: is it mounted, and the server's?",
                locations.len()
            ));
        }
        let mut absent = locations
            .iter()
            .filter(|location| !self.is_stored(location));
        let first = absent
            .next()
            .map(|location| String::from_utf8_lossy(location));
        Ok(first.map(|first| {
            format!(
                "no link was found in {books}, and {} of the database's {} files are not there either, \
                 like {first}, which may be links: is all mounted? mbs-prune --store names them",
                1 + absent.count(),
                locations.len()
            )
        }))
    }

    /// Is anything there under this name?
    fn is_stored(&self, location: &[u8]) -> bool {
        let place = self.store.place(location);
        place.is_some_and(|place| std::fs::symlink_metadata(place).is_ok())
    }

    /// Why a link may lead to a file that is not seen. The row of a link has the hash of what the link
    /// leads to: so it is not hidden where every row of a file's hash is there in the store, one of them
    /// as a file.
    pub(super) fn may_be_linked(&self, class: Class, rows: &[SourceRow]) -> Option<String> {
        let absent = rows.iter().find(|row| !self.is_stored(&row.location));
        match (&self.hidden, absent) {
            (Some(why), absent) => {
                let hides = absent.is_some() || !Question::Stored.concerns(class);
                hides.then(|| why.clone())
            }
            (None, Some(row)) => Some(format!(
                "the server's stored file {} is not there: it may be a link to this one on a disk that is \
                 not mounted",
                String::from_utf8_lossy(&row.location)
            )),
            (None, None) => None,
        }
    }

    pub(super) fn no_link(
        &mut self,
        folders: Option<&[(u64, u64)]>,
        file: &Stamp,
        name: &OsStr,
        rows: &[SourceRow],
    ) -> Answer {
        if let Err(why) = self.store.is_there() {
            return Answer::Unknown(format!("the server's store: {why}"));
        }
        let Some(folders) = folders else {
            return Answer::Unknown("its folder cannot be looked at".into());
        };
        match &mut self.links {
            Err(why) => Answer::Unknown(format!("the store's links could not be listed: {why}")),
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
    pub fn folder_ids(&self, relative: &Path) -> Option<Vec<(u64, u64)>> {
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
    pub fn none_leads_to(&self, file: &Stamp, folders: &[(u64, u64)], name: &OsStr) -> Answer {
        match &self.links {
            Ok(links) => none_leads_to(links, (file.dev, file.inode), folders, name),
            Err(why) => Answer::Unknown(format!("the store's links could not be listed: {why}")),
        }
    }
}

pub(super) fn note_link(links: &mut Links, store: &Store, row: &SourceRow) {
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
