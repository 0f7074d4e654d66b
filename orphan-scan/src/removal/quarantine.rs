//! The quarantine: a folder of its own for each run, on the library's file system, in which a file keeps
//! its path. A move never replaces anything.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{DirBuilderExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, RenameFlags},
    io::Errno,
};

use crate::removal::tree::{Tree, look};

/// Where files wait to be restored or purged.
#[derive(Debug)]
pub struct Quarantine {
    /// Its folder of files.
    pub tree: Tree,
    /// The run's own folder.
    pub folder: PathBuf,
}

const FILES: &str = "files";
/// The extension of the folder of all runs beside a library.
const RUNS: &str = "orphans";

/// Where the quarantine of a library is by default: beside it, `<name>.orphans`.
///
/// # Errors
/// One line of reason: beside it is another file system, or it has no parent.
pub fn beside(library: &Tree) -> Result<PathBuf, String> {
    let name = library.real.file_name();
    let (Some(parent), Some(name)) = (library.real.parent(), name) else {
        return Err("the library is the root of a file system; give --trash DIR".into());
    };
    let seen = fs::metadata(parent).map_err(|error| format!("{}: {error}", parent.display()))?;
    if seen.dev() != library.id.0 {
        return Err(format!(
            "the library is a mount point, so {} is another file system; give --trash DIR on the \
             library's own, outside of the library",
            parent.display()
        ));
    }
    let mut folder = name.to_owned();
    folder.push(".");
    folder.push(RUNS);
    Ok(parent.join(folder))
}

impl Quarantine {
    /// Makes the folder of a run below `base`.
    ///
    /// # Errors
    /// One line of reason: it would be in the library, is on another file system, or cannot be made.
    pub fn make(base: &Path, run: &Path, library: &Tree) -> Result<Quarantine, String> {
        let failed = |error: io::Error| format!("{}: {error}", base.display());
        // Nearest folder that is there, before anything is made.
        let absolute = std::path::absolute(base).map_err(failed)?;
        let there = absolute.ancestors().find(|folder| folder.exists());
        let there = there.unwrap_or(Path::new("/"));
        let real = fs::canonicalize(there).map_err(failed)?;
        if real.starts_with(&library.real) {
            return Err(format!("{}: it is in the library", base.display()));
        }
        if fs::metadata(&real).map_err(failed)?.dev() != library.id.0 {
            return Err(format!(
                "{}: it is on another file system than the library; a move would be a copy",
                base.display()
            ));
        }
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o700);
        builder.recursive(true).create(&absolute).map_err(failed)?;
        let folder = absolute.join(run);
        // The run's own: one that is there already is another run's.
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        // Files go one level deeper, where none of their names meets one of ours.
        let files = folder.join(FILES);
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&files)
            .map_err(|error| format!("{}: {error}", files.display()))?;
        let trash = Quarantine::open(&folder)?;
        if trash.tree.id.0 != library.id.0 {
            return Err(format!(
                "{}: it is on another file system than the library",
                folder.display()
            ));
        }
        Ok(trash)
    }

    /// Opens the folder of an earlier run to go on with it; where it is `empty`, it may be gone and is made
    /// again.
    ///
    /// # Errors
    /// One line of reason, as [`Quarantine::make`].
    pub fn again(folder: &Path, empty: bool, library: &Tree) -> Result<Quarantine, String> {
        let (Some(base), Some(run)) = (folder.parent(), folder.file_name()) else {
            return Err(format!("{}: it is no folder of a run", folder.display()));
        };
        if empty && !folder.exists() {
            return Quarantine::make(base, Path::new(run), library);
        }
        let trash = Quarantine::open(folder)?;
        match trash.tree.id.0 == library.id.0 && !trash.tree.real.starts_with(&library.real) {
            true => Ok(trash),
            false => Err(format!(
                "{}: it is in the library, or on another file system",
                folder.display()
            )),
        }
    }

    /// Removes a run's folder that holds nothing but this journal.
    pub fn remove(&self, journal: Option<&Path>) {
        // What is not empty stays.
        let _ = fs::remove_dir(&self.tree.path).and_then(|()| {
            if let Some(own) = journal.filter(|journal| journal.parent() == Some(&self.folder)) {
                fs::remove_file(own)?;
            }
            fs::remove_dir(&self.folder)?;
            match self.folder.parent() {
                Some(base) if base.extension() == Some(OsStr::new(RUNS)) => fs::remove_dir(base),
                _ => Ok(()),
            }
        });
    }

    /// Opens the folder of an earlier run.
    ///
    /// # Errors
    /// One line of reason.
    pub fn open(folder: &Path) -> Result<Quarantine, String> {
        let failed = |error: io::Error| format!("{}: {error}", folder.display());
        Ok(Quarantine {
            tree: Tree::open(&folder.join(FILES)).map_err(failed)?,
            folder: folder.into(),
        })
    }

    /// Can files be moved from the library to here without replacing anything? Tried with a file of our
    /// own, inside the quarantine.
    ///
    /// # Errors
    /// One line of reason: the file system can neither.
    pub fn try_moving(&self) -> Result<(), String> {
        let fail = |what: &str, errno: Errno| {
            format!(
                "{}: {what}: {errno}: this file system cannot move a file without risking to replace \
                 another",
                self.tree.path.display()
            )
        };
        let (from, to) = (OsStr::new(".probe"), OsStr::new(".probe-moved"));
        // A run that was killed here has left them.
        for name in [from, to] {
            let _ = rustix::fs::unlinkat(self.tree.fd(), name, AtFlags::empty());
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::openat(self.tree.fd(), from, flags, Mode::RUSR)
            .map_err(|errno| fail("create", errno))?;
        let moved = move_file(self.tree.fd(), from, self.tree.fd(), to);
        for name in [from, to] {
            let _ = rustix::fs::unlinkat(self.tree.fd(), name, AtFlags::empty());
        }
        moved.map_err(|errno| fail("move", errno))
    }

    /// The folder of a file that has this path in the library, made where it is not there.
    ///
    /// # Errors
    /// What the system says.
    pub fn folder_for(&self, relative: &Path) -> Result<OwnedFd, Errno> {
        make_folders(&self.tree, relative, Mode::RWXU)
    }

    /// Moves a file back to its place, whose folder must be there.
    ///
    /// # Errors
    /// What the system says.
    pub fn give_back(&self, library: &Tree, relative: &Path) -> Result<(), Errno> {
        let name = relative.file_name().ok_or(Errno::ISDIR)?;
        let from = self.tree.folder_of(relative)?;
        let to = library.folder_of(relative)?;
        move_file(from, name, to, name)
    }

    /// The path of a file in the trash, to be shown and recorded.
    pub fn path_of(&self, relative: &Path) -> PathBuf {
        self.tree.path.join(relative)
    }

    /// Removes the folders of a file that is there no more, as far as they are empty.
    pub fn tidy(&self, relative: &Path) {
        for folder in relative.ancestors().skip(1) {
            if folder.as_os_str().is_empty() {
                break;
            }
            let Ok(parent) = self.tree.folder_of(folder) else {
                break;
            };
            let name: OsString = folder.file_name().unwrap_or_default().into();
            if rustix::fs::unlinkat(&parent, &name, AtFlags::REMOVEDIR).is_err() {
                break;
            }
        }
    }
}

/// Makes the folders that hold `relative` in a tree, each where it is not there, and opens the last.
///
/// # Errors
/// What the system says.
pub fn make_folders(tree: &Tree, relative: &Path, mode: Mode) -> Result<OwnedFd, Errno> {
    match tree.folder_of(relative) {
        Err(Errno::NOENT) => {}
        opened => return opened,
    }
    let parent = relative.parent().ok_or(Errno::NOENT)?;
    let above = make_folders(tree, parent, mode)?;
    let name = parent.file_name().ok_or(Errno::NOENT)?;
    match rustix::fs::mkdirat(&above, name, mode) {
        Ok(()) | Err(Errno::EXIST) => tree.folder_of(relative),
        Err(errno) => Err(errno),
    }
}

/// Moves a file, and fails with [`Errno::EXIST`] rather than replace one. Where the new name is one of the
/// file already, a move by link and unlink was cut short by a kill, and is brought to its end.
///
/// # Errors
/// What the system says; [`Errno::NOTSUP`] where it can do neither this nor that.
pub fn move_file(
    from: impl AsFd,
    name: &OsStr,
    to: impl AsFd,
    new_name: &OsStr,
) -> Result<(), Errno> {
    let (from, to) = (from.as_fd(), to.as_fd());
    match rustix::fs::renameat_with(from, name, to, new_name, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
        Err(Errno::EXIST) => return finish(from, name, to, new_name),
        moved => return moved,
    }
    match link_and_unlink(from, name, to, new_name) {
        Err(Errno::EXIST) => finish(from, name, to, new_name),
        moved => moved,
    }
}

/// Removes the first of two names of one file, the second being there for certain.
fn finish(from: impl AsFd, name: &OsStr, to: impl AsFd, new_name: &OsStr) -> Result<(), Errno> {
    let (old, new) = (look(&from, name)?, look(to, new_name)?);
    match (old.st_dev, old.st_ino) == (new.st_dev, new.st_ino) && old.st_nlink > 1 {
        true => rustix::fs::unlinkat(from, name, AtFlags::empty()),
        false => Err(Errno::EXIST),
    }
}

/// For file systems without `renameat2`: a second name that must be new, then the first one goes.
fn link_and_unlink(
    from: impl AsFd,
    name: &OsStr,
    to: impl AsFd,
    new_name: &OsStr,
) -> Result<(), Errno> {
    let (from, to) = (from.as_fd(), to.as_fd());
    let before = look(from, name)?;
    match rustix::fs::linkat(from, name, to, new_name, AtFlags::empty()) {
        Err(Errno::PERM | Errno::NOSYS | Errno::MLINK) => return Err(Errno::NOTSUP),
        linked => linked?,
    }
    let same = |stat: rustix::fs::Stat| (stat.st_dev, stat.st_ino);
    // What has the old name must be what got the new one, or its last name would go.
    let (old, new) = (look(from, name)?, look(to, new_name)?);
    if same(old) != same(before) || same(new) != same(before) {
        rustix::fs::unlinkat(to, new_name, AtFlags::empty())?;
        return Err(Errno::AGAIN);
    }
    rustix::fs::unlinkat(from, name, AtFlags::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_way_of_moving_replaces_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let tree = Tree::open(folder.path()).unwrap();
        type Way = fn(&Tree, &str, &str) -> Result<(), Errno>;
        let ways: [Way; 2] = [
            |tree, a, b| move_file(tree.fd(), OsStr::new(a), tree.fd(), OsStr::new(b)),
            |tree, a, b| link_and_unlink(tree.fd(), OsStr::new(a), tree.fd(), OsStr::new(b)),
        ];
        for way in ways {
            fs::write(folder.path().join("a"), "a").unwrap();
            fs::write(folder.path().join("b"), "b").unwrap();
            assert_eq!(way(&tree, "a", "b"), Err(Errno::EXIST));
            assert_eq!(way(&tree, "none", "c"), Err(Errno::NOENT));
            let inode = fs::metadata(folder.path().join("a")).unwrap().ino();
            way(&tree, "a", "c").unwrap();
            assert_eq!(fs::metadata(folder.path().join("c")).unwrap().ino(), inode);
            assert!(!folder.path().join("a").exists());
            assert_eq!(fs::read(folder.path().join("b")).unwrap(), b"b");
            fs::remove_file(folder.path().join("c")).unwrap();
        }
        // One name twice is no second name.
        fs::write(folder.path().join("a"), "a").unwrap();
        assert_eq!(ways[0](&tree, "a", "a"), Err(Errno::EXIST));
        // Nor is another file one, whatever other names the first has.
        fs::write(folder.path().join("c"), "c").unwrap();
        fs::hard_link(folder.path().join("a"), folder.path().join("d")).unwrap();
        assert_eq!(ways[0](&tree, "a", "c"), Err(Errno::EXIST));
        assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"a");
        assert_eq!(fs::read(folder.path().join("c")).unwrap(), b"c");
        fs::remove_file(folder.path().join("c")).unwrap();
        fs::remove_file(folder.path().join("d")).unwrap();
        // A move that was killed between link and unlink.
        fs::hard_link(folder.path().join("a"), folder.path().join("c")).unwrap();
        assert_eq!(ways[0](&tree, "a", "c"), Ok(()));
        assert!(!folder.path().join("a").exists() && folder.path().join("c").exists());
    }
}
