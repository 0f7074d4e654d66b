//! Where the symbolic links in the server's store lead. A library file to which one leads is the
//! server's only copy, whatever the database says.
//!
//! What a link comes to is known by device and inode, and by its name in its folder, which still holds
//! when the file is replaced or has been moved away. A target that cannot be found here may be any file
//! of that name, and makes the answer for those unknown.

mod gather;
mod keys;

use std::{
    ffi::OsStr,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use crate::{
    books, names,
    store::{Id, Store, Target},
};
pub(crate) use gather::Gather;
use keys::Keys;

/// All links of a store.
#[derive(Debug, Default)]
pub struct Links {
    /// Of device and inode of what links lead to.
    files: Keys,
    /// Of folder and name of what links lead to.
    names: Keys,
    /// Of the names of targets that may be elsewhere.
    lost: Keys,
    /// How many links there are.
    pub count: u64,
    /// How many entries there are that are no folders, links among them.
    pub entries: u64,
    /// Has one link led to a place that is known?
    pub found: bool,
    /// A link that may lead to anything, and why.
    pub anywhere: Option<String>,
    /// One of those that are lost, and why.
    pub example: String,
}

/// Whether a link leads to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lead {
    /// One does.
    Here,
    /// One leads to a file of this name at a place that is not known here.
    Lost,
    /// One leads nobody knows where.
    Anywhere,
    /// None does.
    Nowhere,
}

impl Links {
    /// What all threads have found.
    pub(crate) fn of(gathered: Vec<Gather<'_>>) -> Links {
        let mut all = Links::default();
        for gather in gathered {
            let more = gather.found;
            all.files.append(more.files);
            all.names.append(more.names);
            all.lost.append(more.lost);
            all.count += more.count;
            all.entries += more.entries;
            all.found |= more.found;
            all.anywhere = all.anywhere.or(more.anywhere);
            if all.example.is_empty() {
                all.example = more.example;
            }
        }
        for keys in [&mut all.files, &mut all.names, &mut all.lost] {
            keys.seal();
        }
        all
    }

    /// Does a link lead to this file, of this name in this folder?
    pub fn lead_to(&self, file: Id, folder: Id, name: &OsStr) -> Lead {
        let name = name.as_bytes();
        if self.files.has(of_id(file)) || self.names.has(of_name(folder, name)) {
            Lead::Here
        } else if self.lost.has(names::key(name)) {
            Lead::Lost
        } else if self.anywhere.is_some() {
            Lead::Anywhere
        } else {
            Lead::Nowhere
        }
    }

    /// Does a link lead to this folder, and so to all that is in it?
    pub fn lead_to_folder(&self, folder: Id) -> bool {
        self.files.has(of_id(folder))
    }

    /// How many links lead to places that are not known here; each name counts once.
    pub fn lost(&self) -> usize {
        self.lost.len()
    }

    /// Notes one link. Gives the folder that it leads to, where it leads to one.
    ///
    /// # Errors
    /// One line of reason: what may be gone at the next try.
    pub fn note(&mut self, store: &Store, link: &Path) -> Result<Option<PathBuf>, String> {
        let (target, sure) = store.trace(link)?;
        let (at, mut why) = match &target {
            Target::File(at) | Target::Nothing(at) => (at, None),
            Target::Lost(at, why) => (at, Some(why.clone())),
        };
        let mut folder = None;
        let mut found = false;
        if matches!(target, Target::File(_))
            && let Ok(seen) = fs::metadata(at)
        {
            found = true;
            self.files.put(of_id((seen.dev(), seen.ino())));
            folder = seen.is_dir().then(|| at.clone());
        }
        let Some(name) = at.file_name() else {
            self.found |= found;
            return Ok(folder);
        };
        let name = name.as_bytes();
        // A folder that is not there holds no file, and its path may have been meant otherwise.
        let parent = at.parent().and_then(|parent| fs::metadata(parent).ok());
        if let Some(parent) = &parent {
            self.names.put(of_name((parent.dev(), parent.ino()), name));
        }
        let known = why.is_none();
        self.found |= known && parent.is_some();
        if !found {
            why.get_or_insert_with(|| "nothing is there".into());
        } else if !sure {
            why.get_or_insert_with(|| "the server may call another place so".into());
        }
        if let Some(why) = why {
            self.lost.put(names::key(name));
            let example = format!(
                "{} leads to {} ({why}): name that folder by --path-map HOST=SERVER",
                link.display(),
                at.display()
            );
            // A folder, perhaps, with any number of files in it; but where its own folder is known,
            // there is none.
            let gone = known && parent.is_some();
            if !found && !gone && !books::is_book(name) {
                self.anywhere.get_or_insert(example);
            } else if self.example.is_empty() {
                self.example = example;
            }
        }
        Ok(folder)
    }
}

fn of_id(id: Id) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

fn of_name(folder: Id, name: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    folder.hash(&mut hasher);
    names::folded(name).hash(&mut hasher);
    hasher.finish()
}
