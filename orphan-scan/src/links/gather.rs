//! One thread's part of the listing: the links of each folder, looked at where they lead.

use std::{
    ffi::{CStr, OsStr},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FileType, Stat, readlinkat, stat},
    io::Errno,
};
use wire::path_map::PathMap;

use super::{
    Links, of_inode, of_path,
    targets::{lexical, places},
};
use crate::{
    books,
    folders::{Closed, Entries, Folder, Visitor},
    names,
};

/// What one thread found.
pub(super) struct Gather<'a> {
    root: &'a Path,
    map: &'a PathMap,
    seen: &'a (dyn Fn(u64) + Sync),
    found: Links,
    /// Links that lead to folders.
    folders: Vec<PathBuf>,
}

impl<'a> Gather<'a> {
    pub(super) fn new(root: &'a Path, map: &'a PathMap, seen: &'a (dyn Fn(u64) + Sync)) -> Self {
        Gather {
            root,
            map,
            seen,
            found: Links::default(),
            folders: Vec::new(),
        }
    }

    pub(super) fn into_parts(self) -> (Links, Vec<PathBuf>) {
        (self.found, self.folders)
    }

    fn path(&self, folder: &[u8]) -> PathBuf {
        match folder.is_empty() {
            true => self.root.into(),
            false => self.root.join(OsStr::from_bytes(folder)),
        }
    }

    fn link(&mut self, folder: &Folder<()>, name: &CStr) -> Result<(), String> {
        let here = self.path(&folder.path);
        let shown = || {
            let name = OsStr::from_bytes(name.to_bytes());
            here.join(name).display().to_string()
        };
        let target = match readlinkat(&folder.fd, name, Vec::new()) {
            Ok(target) => target.into_bytes(),
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(format!("{}: read the link: {error}", shown())),
        };
        self.found.links += 1;
        let target = Path::new(OsStr::from_bytes(&target));
        let places = places(&here, target, self.map);
        let mut led = None;
        for place in &places.places {
            self.found.paths.push(of_path(&lexical(place)));
            match stat(place) {
                Ok(stat) => {
                    led = Some((place, stat));
                    break;
                }
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => {}
                Err(error) => {
                    return Err(format!("{}: look at what it leads to: {error}", shown()));
                }
            }
        }
        let is_folder = |stat: &Stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        match led {
            Some((place, stat)) if is_folder(&stat) => self.folders.push(place.clone()),
            Some((_, stat)) => self.found.inodes.push(of_inode(stat.st_dev, stat.st_ino)),
            // A folder that cannot be entered may hold any number of links.
            None if !books::is_book(name.to_bytes()) => {
                return Err(format!(
                    "{}: it leads to {}, which is not here and may be a folder (--path-map)",
                    shown(),
                    target.display()
                ));
            }
            None => {}
        }
        if led.is_none() || !places.sure {
            let name = target.file_name().unwrap_or_default();
            self.found.lost.push(names::key(name.as_bytes()));
        }
        Ok(())
    }
}

impl Visitor<()> for Gather<'_> {
    type Error = String;

    fn folder(
        &mut self,
        folder: &mut Folder<()>,
        entries: &Entries,
        enter: &mut dyn FnMut(&CStr),
    ) -> Result<(), String> {
        if let Some(error) = entries.error() {
            return Err(format!(
                "{}: list: {error}",
                self.path(&folder.path).display()
            ));
        }
        for entry in entries.iter() {
            let kind = match entry.kind {
                FileType::Unknown => match folder.look(entry.name) {
                    Ok(seen) => FileType::from_raw_mode(seen.stx_mode.into()),
                    Err(Errno::NOENT) => continue,
                    Err(error) => {
                        let folder = self.path(&folder.path);
                        return Err(format!(
                            "{}: look at what is in it: {error}",
                            folder.display()
                        ));
                    }
                },
                kind => kind,
            };
            match kind {
                FileType::Directory => enter(entry.name),
                FileType::Symlink => self.link(folder, entry.name)?,
                _ => self.found.files += 1,
            }
        }
        (self.seen)(entries.len() as u64);
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
        let folder = self.path(&parent.below(name.to_bytes()));
        Err(format!("{}: open: {reason}", folder.display()))
    }
}
