//! The server's store: the folder where it keeps its files, listed in one way for all who ask.
//!
//! A stored file may be a link, made by the server, often in a container, and a link names a file as the
//! server sees it. So what it leads to is turned into a path of this machine (`--path-map`), step by step.

mod follow;
mod own;
mod targets;
mod walk;

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Component, Path, PathBuf},
    time::Duration,
};

use wire::{path_map::PathMap, stop};

use crate::links::{Gather, Links};
pub use follow::Target;
pub use own::{Others, Owner};
pub use walk::{Collect, Stored, walk};

/// A file or folder, by device and inode.
pub type Id = (u64, u64);

/// The folders above this one, up to `/`. A link to one of them leads to all that is in it, too.
///
/// # Errors
/// One cannot be looked at.
pub fn above(folder: &Path) -> io::Result<Vec<Id>> {
    let real = folder.canonicalize()?;
    let id = |path: &Path| path.metadata().map(|seen| (seen.dev(), seen.ino()));
    real.ancestors().skip(1).map(id).collect()
}

/// How long to wait before another try.
const PAUSES: [u64; 3] = [1, 2, 4];

/// The store as this machine sees it.
#[derive(Debug)]
pub struct Store {
    /// Its folder of books.
    pub books: PathBuf,
    id: Id,
    map: PathMap,
    /// The library under its names.
    library: Vec<PathBuf>,
}

impl Store {
    /// The store with this data folder, for a library that has these names.
    ///
    /// # Errors
    /// It cannot be looked at, or holds no folder of books.
    pub fn open(data: &Path, map: PathMap, library: Vec<PathBuf>) -> io::Result<Store> {
        let books = books_of(data);
        let seen = fs::metadata(&books)?;
        if !seen.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Store {
            books,
            id: (seen.dev(), seen.ino()),
            map,
            library,
        })
    }

    /// Is it still the folder that it was at the start?
    ///
    /// # Errors
    /// One line of reason.
    pub fn is_there(&self) -> Result<(), String> {
        let shown = self.books.display();
        match fs::metadata(&self.books) {
            Ok(seen) if (seen.dev(), seen.ino()) == self.id => Ok(()),
            Ok(_) => Err(format!("{shown} is another folder than at the start")),
            Err(error) => Err(format!("{shown}: {error}")),
        }
    }

    /// Lists all links, and tries again where that fails. `warn` gets the reason, `seen` how many
    /// entries there were so far.
    ///
    /// # Errors
    /// One line of reason: the last try failed, so nothing is known of any link.
    pub fn links(
        &self,
        warn: impl FnMut(&str),
        seen: impl Fn(u64) + Sync,
    ) -> Result<Links, String> {
        patiently(warn, || self.links_once(&seen))
    }

    /// Lists all links.
    ///
    /// # Errors
    /// One line of reason: they could not be read to their end.
    pub fn links_once(&self, seen: &(dyn Fn(u64) + Sync)) -> Result<Links, String> {
        self.is_there()?;
        let found = walk(&self.books, seen, || Gather::new(self))?;
        // What was unmounted meanwhile looked empty.
        self.is_there()?;
        Ok(Links::of(found))
    }

    /// Where the stored file of a row is; nothing where its location leads out of the store.
    pub fn place(&self, location: &[u8]) -> Option<PathBuf> {
        let location = Path::new(OsStr::from_bytes(location));
        let plain = |part| matches!(part, Component::Normal(_));
        let inside = location.components().next().is_some() && location.components().all(plain);
        inside.then(|| self.books.join(location))
    }
}

/// Tries again after 1, 2 and 4 s; `warn` hears why.
///
/// # Errors
/// What the last try said, or that there was no other for the process is to stop.
pub fn patiently<T>(
    mut warn: impl FnMut(&str),
    mut once: impl FnMut() -> Result<T, String>,
) -> Result<T, String> {
    let mut pauses = PAUSES.iter();
    loop {
        let failed = match once() {
            Ok(done) => return Ok(done),
            Err(reason) => reason,
        };
        let Some(&pause) = pauses.next().filter(|_| !stop::requested()) else {
            return Err(failed);
        };
        warn(&format!("{failed}; again in {pause} s"));
        let pause = Duration::from_secs(pause);
        let _waiting = wire::waiting::announce(&failed, pause);
        if stop::sleep(pause) {
            return Err("stopped".into());
        }
    }
}

/// The server's folder of books in its data folder (`--store`), or that folder itself where it has
/// none. Absolute, for what links in it lead to is.
pub fn books_of(store: &Path) -> PathBuf {
    // Only an empty path has no absolute form, and that is no folder.
    let store = std::path::absolute(store).unwrap_or_else(|_| store.into());
    let books = store.join("books");
    match books.is_dir() {
        true => books,
        false => store,
    }
}

/// The folders of a store (`--store`): its data folder and that of its books, as far as they are there.
pub fn folders_of(store: &Path) -> Vec<Id> {
    let id = |folder: &Path| {
        let seen = fs::metadata(folder).ok()?;
        Some((seen.dev(), seen.ino()))
    };
    [id(store), id(&books_of(store))]
        .into_iter()
        .flatten()
        .collect()
}
