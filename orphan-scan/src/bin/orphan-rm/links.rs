//! Which entries of the library the server's store needs: those that its symbolic links lead to.
//!
//! A link's target is a path as the server's machine calls it. It is translated, step by step, and what it
//! leads to is kept in two forms: the file itself (device and inode), and the name in its folder. The
//! second one still holds when the file has been moved away.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsStr,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    time::Duration,
};

use hash_files::Stamp;
use orphan_scan::{books, names};
use wire::path_map::PathMap;

use crate::proof::Told;

/// A file, by device and inode.
type Id = (u64, u64);

/// The server's store as this machine sees it.
#[derive(Debug)]
pub(crate) struct Store {
    /// Its folder of books.
    pub books: PathBuf,
    id: Id,
    map: PathMap,
    /// The library under its names.
    library: Vec<PathBuf>,
}

/// What all links together lead to.
#[derive(Debug, Default)]
pub(crate) struct Links {
    files: HashSet<Id>,
    /// Folder and name, hashed.
    names: HashSet<u64>,
    /// Links found.
    pub count: u64,
    /// Entries that are no folders.
    pub entries: u64,
    /// Names of files that a link leads to at a place that is not known here, hashed.
    lost_names: HashSet<u64>,
    /// One of these.
    example: String,
    /// Has one link led to a place that is known?
    found: bool,
    /// A link that may lead to anything, and why.
    pub lost: Option<String>,
    /// Device and inode of folders, by their paths.
    folders: HashMap<PathBuf, Option<Id>>,
}

/// Where a link leads in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// To a file that is there.
    File(PathBuf),
    /// To a place of which is known that there is nothing.
    Nothing(PathBuf),
    /// To a place that is not known here; why.
    Lost(PathBuf, String),
}

/// So many links one after another are a ring.
const LONGEST_CHAIN: usize = 40;

fn name_key(folder: Id, name: &OsStr) -> u64 {
    let mut hasher = DefaultHasher::new();
    folder.hash(&mut hasher);
    names::folded(name.as_bytes()).hash(&mut hasher);
    hasher.finish()
}

impl Store {
    /// The store with this data folder, for a library that has these names.
    ///
    /// # Errors
    /// It cannot be looked at, or holds no folder of books.
    pub(crate) fn open(data: &Path, map: PathMap, library: Vec<PathBuf>) -> io::Result<Store> {
        let books = orphan_scan::links::books_of(data);
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
    pub(crate) fn is_there(&self) -> Result<(), String> {
        let shown = self.books.display();
        match fs::metadata(&self.books) {
            Ok(seen) if (seen.dev(), seen.ino()) == self.id => Ok(()),
            Ok(_) => Err(format!("{shown} is another folder than at the start")),
            Err(error) => Err(format!("{shown}: {error}")),
        }
    }

    /// Lists all links, trying again after 1, 2 and 4 s. `tick` is called for each entry.
    ///
    /// # Errors
    /// One line of reason: it could not be read to its end.
    pub(crate) fn list(&self, mut tick: impl FnMut()) -> Result<Links, String> {
        let mut pauses = [1, 2, 4].into_iter();
        loop {
            match self.list_once(&mut tick) {
                Ok(links) => return Ok(links),
                Err(why) => match pauses.next() {
                    Some(pause) if !wire::stop::sleep(Duration::from_secs(pause)) => {}
                    _ => return Err(why),
                },
            }
        }
    }

    fn list_once(&self, tick: &mut impl FnMut()) -> Result<Links, String> {
        self.is_there()?;
        let mut links = Links::default();
        let mut waiting = vec![self.books.clone()];
        // Links to folders may lead in a ring.
        let mut entered = HashSet::new();
        while let Some(folder) = waiting.pop() {
            let failed = |error: io::Error| format!("{}: {error}", folder.display());
            let seen = fs::metadata(&folder).map_err(failed)?;
            if !entered.insert((seen.dev(), seen.ino())) {
                continue;
            }
            for entry in fs::read_dir(&folder).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let kind = entry.file_type().map_err(failed)?;
                if kind.is_dir() {
                    waiting.push(entry.path());
                    continue;
                }
                tick();
                links.entries += 1;
                if kind.is_symlink() {
                    links.count += 1;
                    waiting.extend(links.add(self, &entry.path()));
                }
                if wire::stop::requested() {
                    return Err("stopped".into());
                }
            }
        }
        // What was unmounted meanwhile looked empty.
        self.is_there()?;
        Ok(links)
    }

    /// Where the stored file of a row is; nothing where its location leads out of the store.
    pub(crate) fn place(&self, location: &[u8]) -> Option<PathBuf> {
        let location = Path::new(OsStr::from_bytes(location));
        let plain = |part| matches!(part, std::path::Component::Normal(_));
        let inside = location.components().next().is_some() && location.components().all(plain);
        inside.then(|| self.books.join(location))
    }

    /// Follows a path to its end, each link translated to what this machine calls its target.
    pub(crate) fn follow(&self, path: &Path) -> Target {
        let mut at = path.to_path_buf();
        let mut known = true;
        for _ in 0..LONGEST_CHAIN {
            match fs::symlink_metadata(&at) {
                Ok(seen) if !seen.is_symlink() => return Target::File(at),
                Ok(_) => {}
                Err(error) => {
                    let absent = matches!(
                        error.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                    );
                    return match absent && known {
                        true => Target::Nothing(at),
                        false => Target::Lost(at.clone(), format!("{}: {error}", at.display())),
                    };
                }
            }
            let to = match fs::read_link(&at) {
                Ok(to) => to,
                Err(error) => {
                    let why = format!("{}: {error}", at.display());
                    return Target::Lost(at, why);
                }
            };
            (at, known) = match to.is_absolute() {
                false => (at.parent().unwrap_or(Path::new("/")).join(to), known),
                true => match self.map.to_host(&to) {
                    Some(here) => (here, true),
                    None => {
                        let ours = self.library.iter().any(|library| to.starts_with(library))
                            || to.starts_with(&self.books);
                        (to, ours)
                    }
                },
            };
        }
        let why = format!("{}: too many links in a row", path.display());
        Target::Lost(at, why)
    }
}

impl Links {
    /// Notes one link. Gives the folder that it leads to, where it leads to one.
    pub(crate) fn add(&mut self, store: &Store, link: &Path) -> Option<PathBuf> {
        let at = match store.follow(link) {
            Target::File(at) | Target::Nothing(at) => at,
            Target::Lost(at, why) => {
                let example = format!(
                    "{} leads to {} ({why}): name that folder by --path-map HOST=SERVER",
                    link.display(),
                    at.display()
                );
                match at
                    .file_name()
                    .filter(|name| books::is_book(name.as_bytes()))
                {
                    Some(name) => {
                        self.lost_names.insert(names::key(name.as_bytes()));
                        self.example = example;
                    }
                    // A folder, perhaps, with any number of files in it.
                    None => {
                        self.lost.get_or_insert(example);
                    }
                }
                return None;
            }
        };
        self.found = true;
        let mut folder_to_list = None;
        if let Ok(seen) = fs::metadata(&at) {
            self.files.insert((seen.dev(), seen.ino()));
            folder_to_list = seen.is_dir().then(|| at.clone());
        }
        let (Some(folder), Some(name)) = (at.parent(), at.file_name()) else {
            return folder_to_list;
        };
        let id = |folder: &Path| {
            let seen = fs::metadata(folder).ok()?;
            Some((seen.dev(), seen.ino()))
        };
        let folder = match self.folders.get(folder) {
            Some(known) => *known,
            None => {
                let id = id(folder);
                self.folders.insert(folder.into(), id);
                id
            }
        };
        // A folder that is not there holds no file that could be removed.
        if let Some(folder) = folder {
            self.names.insert(name_key(folder, name));
        }
        folder_to_list
    }

    /// Does none lead to this file, of this name in the first of these folders, each in the next? Nor to
    /// one of the folders? Not known where one leads nobody knows where.
    pub(crate) fn none_leads_to(&self, file: Id, folders: &[Id], name: &OsStr) -> Told {
        let here = |folder: &Id| self.names.contains(&name_key(*folder, name));
        if self.files.contains(&file)
            || folders.first().is_some_and(here)
            || folders.iter().any(|folder| self.files.contains(folder))
        {
            return Told::No("a link of the server's store leads here".into());
        }
        let any = !self.found && !self.lost_names.is_empty();
        if any || self.lost_names.contains(&names::key(name.as_bytes())) {
            return Told::Unknown(format!("where the store's links lead: {}", self.example));
        }
        match &self.lost {
            Some(why) => Told::Unknown(format!("where the store's links lead: {why}")),
            None => Told::Yes(format!(
                "none of the store's {} links leads here",
                self.count
            )),
        }
    }
}

/// Is the server's stored file another file than this one? A copy that keeps inode, size and time on
/// another device is the same file seen through another mount, as far as can be told.
pub(crate) fn is_other(stored: &Stamp, file: &Stamp) -> Told {
    if (stored.dev, stored.inode) == (file.dev, file.inode) {
        return Told::No("the server's stored file is this very file, by a link".into());
    }
    if (stored.inode, stored.size, stored.mtime) == (file.inode, file.size, file.mtime) {
        return Told::Unknown(
            "the server's stored file may be this very file on another mount: inode, size and time \
             are the same"
                .into(),
        );
    }
    Told::Yes("another file".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_file_by_any_link_or_mount_is_no_copy() {
        let file = Stamp {
            dev: 1,
            inode: 2,
            size: 3,
            mtime: 4,
            ctime: 5,
        };
        assert!(matches!(is_other(&file, &file), Told::No(_)));
        let mount = Stamp { dev: 9, ..file };
        assert!(matches!(is_other(&mount, &file), Told::Unknown(_)));
        let hard_link_rewritten = Stamp { size: 9, ..file };
        assert!(matches!(is_other(&hard_link_rewritten, &file), Told::No(_)));
        let copy = Stamp { inode: 9, ..file };
        assert!(is_other(&copy, &file).yes());
    }
}
