//! Every entry of the store that is no folder, by many threads. Links to folders are gone into where
//! whoever collects says so.

use std::{
    collections::HashSet,
    ffi::{CStr, OsStr},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::{
    fs::{FileType, Statx},
    io::Errno,
};

use crate::folders::{self, Border, Closed, Entries, Folder, Visitor};

/// How many threads look at the store.
const THREADS: usize = 16;

/// An entry that is no folder.
#[derive(Debug)]
pub struct Stored<'a> {
    folder: &'a Folder<()>,
    root: &'a Path,
    /// Its name.
    pub name: &'a CStr,
    /// What it is.
    pub kind: FileType,
}

impl Stored<'_> {
    /// Its path on this machine.
    pub fn path(&self) -> PathBuf {
        below(self.root, &self.location())
    }

    /// Its path below the folder where the walk began.
    pub fn location(&self) -> Vec<u8> {
        self.folder.below(self.name.to_bytes())
    }

    /// Looks at it, not at what it leads to.
    ///
    /// # Errors
    /// What the system says; [`Errno::NOENT`] when it is gone.
    pub fn look(&self) -> Result<Statx, Errno> {
        self.folder.look(self.name)
    }
}

/// What one thread makes of the entries that it meets.
pub trait Collect: Send {
    /// One entry. Gives the folder that it leads to, where that is to be listed as well.
    ///
    /// # Errors
    /// One line of reason: the walk ends, in all threads.
    fn entry(&mut self, entry: &Stored<'_>) -> Result<Option<PathBuf>, String>;
}

/// Walks through all folders below `root`, wherever they are. `seen` gets how many entries there
/// were so far, from time to time. Gives what each thread collected.
///
/// # Errors
/// One line of reason: not all could be seen.
pub fn walk<C: Collect>(
    root: &Path,
    seen: &(dyn Fn(u64) + Sync),
    collector: impl Fn() -> C,
) -> Result<Vec<C>, String> {
    let mut all = Vec::new();
    let mut waiting = vec![root.to_path_buf()];
    let mut entered = HashSet::new();
    let count = AtomicU64::new(0);
    while let Some(root) = waiting.pop() {
        let opened = folders::open_root(&root, ());
        let folder = opened.map_err(|error| format!("{}: {error}", root.display()))?;
        // Links to folders may lead in a ring.
        if !entered.insert(folder.id) {
            continue;
        }
        let walker = || Walker {
            collect: collector(),
            root: &root,
            folders: Vec::new(),
            seen,
            count: &count,
        };
        let mut walkers: Vec<_> = (0..THREADS).map(|_| walker()).collect();
        if !folders::walk(folder, Border::None, &mut walkers)? {
            return Err("stopped".into());
        }
        for walker in walkers {
            waiting.extend(walker.folders);
            all.push(walker.collect);
        }
    }
    Ok(all)
}

fn below(root: &Path, relative: &[u8]) -> PathBuf {
    match relative.is_empty() {
        true => root.into(),
        false => root.join(OsStr::from_bytes(relative)),
    }
}

struct Walker<'a, C> {
    collect: C,
    root: &'a Path,
    /// Those that links lead to.
    folders: Vec<PathBuf>,
    seen: &'a (dyn Fn(u64) + Sync),
    count: &'a AtomicU64,
}

impl<C: Collect> Visitor<()> for Walker<'_, C> {
    type Error = String;

    fn folder(
        &mut self,
        folder: &mut Folder<()>,
        entries: &Entries,
        enter: &mut dyn FnMut(&CStr),
    ) -> Result<(), String> {
        let folder = &*folder;
        let failed = |act: &str, error: Errno| {
            let shown = below(self.root, &folder.path);
            format!("{}: {act}: {error}", shown.display())
        };
        if let Some(error) = entries.error() {
            return Err(failed("list", error));
        }
        let mut met = 0;
        for entry in entries.iter() {
            let kind = match entry.kind {
                FileType::Unknown => match folder.look(entry.name) {
                    Ok(seen) => FileType::from_raw_mode(seen.stx_mode.into()),
                    Err(Errno::NOENT) => continue,
                    Err(error) => return Err(failed("look at what is in it", error)),
                },
                kind => kind,
            };
            if kind == FileType::Directory {
                enter(entry.name);
                continue;
            }
            met += 1;
            let (root, name) = (self.root, entry.name);
            let stored = Stored {
                folder,
                root,
                name,
                kind,
            };
            self.folders.extend(self.collect.entry(&stored)?);
        }
        if met > 0 {
            (self.seen)(self.count.fetch_add(met, Ordering::Relaxed) + met);
        }
        Ok(())
    }

    fn context(&mut self, _: &Folder<()>, _: &CStr) {}

    fn closed(
        &mut self,
        parent: &Folder<()>,
        name: &CStr,
        (): (),
        why: Closed,
    ) -> Result<(), String> {
        let reason = match why {
            // It was removed while we looked.
            Closed::Replaced(Errno::NOENT) => return Ok(()),
            Closed::Replaced(error) | Closed::Failed(error) => error,
            Closed::Border => Errno::XDEV,
        };
        let folder = below(self.root, &parent.below(name.to_bytes()));
        Err(format!("{}: open: {reason}", folder.display()))
    }
}
