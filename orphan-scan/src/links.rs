//! Where the symbolic links in the server's store lead. A library file to which one leads is the
//! server's only copy, whatever the database says.
//!
//! A link is made by the server, often in a container, and names the file as the server sees it. So
//! its target is turned into a path of this machine (`--path-map`) and looked at; what it comes to is
//! known by device and inode, as it is by its path. A target that cannot be found here may be any file
//! of that name, and makes the answer for those unknown.

mod gather;
mod targets;

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use wire::{path_map::PathMap, stop};

use crate::{
    classes::Linked,
    folders::{self, Border},
    names,
};
use gather::Gather;

/// How many threads look at the store.
const THREADS: usize = 16;
/// How long to wait before another try.
const PAUSES: [u64; 3] = [1, 2, 4];

/// All links of a store.
#[derive(Debug, Default)]
pub struct Links {
    /// Of device and inode of each file that a link leads to; sorted.
    inodes: Vec<u64>,
    /// Of the paths that links lead to, as this machine calls them; sorted.
    paths: Vec<u64>,
    /// Of the names of targets that were not found here; sorted.
    lost: Vec<u64>,
    /// How many links there are.
    pub links: u64,
    /// How many other files there are.
    pub files: u64,
}

impl Links {
    /// Does a link lead to the file of this device, inode and absolute path?
    pub fn lead_to(&self, dev: u64, inode: u64, path: &Path) -> Linked {
        let has = |list: &[u64], hash| list.binary_search(&hash).is_ok();
        if has(&self.inodes, of_inode(dev, inode)) || has(&self.paths, of_path(path)) {
            return Linked::Yes;
        }
        match path.file_name() {
            Some(name) if has(&self.lost, names::key(name.as_bytes())) => Linked::Unknown(
                "a link of the server's store leads to a file of this name at a place that is not \
                 known here (--path-map)",
            ),
            _ => Linked::No,
        }
    }

    /// How many links lead to places that are not known here; each name counts once.
    pub fn lost(&self) -> usize {
        self.lost.len()
    }

    fn seal(&mut self) {
        for list in [&mut self.inodes, &mut self.paths, &mut self.lost] {
            list.sort_unstable();
            list.dedup();
            list.shrink_to_fit();
        }
    }

    fn add(&mut self, other: &mut Links) {
        self.inodes.append(&mut other.inodes);
        self.paths.append(&mut other.paths);
        self.lost.append(&mut other.lost);
        self.links += other.links;
        self.files += other.files;
    }
}

/// Lists the links below `books`, the server's folder of books on this machine. Tries again after 1,
/// 2 and 4 s; `warn` hears why. `seen` is told the number of entries from time to time.
///
/// # Errors
/// One line of reason: the last try failed, so nothing is known of any link.
pub fn list(
    books: &Path,
    map: &PathMap,
    mut warn: impl FnMut(&str),
    seen: impl Fn(u64) + Sync,
) -> Result<Links, String> {
    let mut pauses = PAUSES.iter();
    loop {
        let failed = match list_once(books, map, &seen) {
            Ok(links) => return Ok(links),
            Err(reason) => reason,
        };
        let Some(&pause) = pauses.next() else {
            return Err(failed);
        };
        warn(&format!("{failed}; again in {pause} s"));
        if stop::sleep(Duration::from_secs(pause)) {
            return Err("stopped".into());
        }
    }
}

fn list_once(books: &Path, map: &PathMap, seen: &(impl Fn(u64) + Sync)) -> Result<Links, String> {
    let mut links = Links::default();
    let mut waiting = vec![books.to_path_buf()];
    let mut entered = HashSet::new();
    let count = AtomicU64::new(0);
    while let Some(folder) = waiting.pop() {
        let shown = || folder.display().to_string();
        let root = folders::open_root(&folder, ()).map_err(|e| format!("{}: {e}", shown()))?;
        let itself = rustix::fs::fstat(&root.fd).map_err(|e| format!("{}: {e}", shown()))?;
        // Links to folders may lead in a circle.
        if !entered.insert((itself.st_dev, itself.st_ino)) {
            continue;
        }
        let count_one = |more| seen(count.fetch_add(more, Ordering::Relaxed) + more);
        let gather = || Gather::new(&folder, map, &count_one);
        let mut visitors: Vec<_> = (0..THREADS).map(|_| gather()).collect();
        if !folders::walk(root, Border::None, &mut visitors)? {
            return Err("stopped".into());
        }
        for visitor in visitors {
            let (mut more, folders) = visitor.into_parts();
            links.add(&mut more);
            waiting.extend(folders);
        }
    }
    links.seal();
    Ok(links)
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

fn of_inode(dev: u64, inode: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (dev, inode).hash(&mut hasher);
    hasher.finish()
}

fn of_path(path: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(path.as_os_str().as_bytes());
    hasher.finish()
}
