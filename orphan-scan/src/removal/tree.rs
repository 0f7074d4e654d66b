//! Files below one folder, reached without following any link and without leaving its file system. The
//! folder is opened once; whatever is put in its place later is not it.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use hash_files::{Digest, HashError, Stamp, digest};
use rustix::{
    fs::{self, AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat},
    io::Errno,
};

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// A folder tree, held open.
#[derive(Debug)]
pub struct Tree {
    fd: OwnedFd,
    /// Its path as it was given, absolute.
    pub path: PathBuf,
    /// Its path without links.
    pub real: PathBuf,
    /// Device and inode.
    pub id: (u64, u64),
}

/// A file that is there.
#[derive(Debug)]
pub struct OpenFile {
    /// Its folder, held open.
    pub folder: OwnedFd,
    /// Its name there.
    pub name: OsString,
    /// The file itself, held open.
    file: OwnedFd,
    /// As it was when it was opened.
    pub stat: Stat,
}

impl Tree {
    /// Opens a folder; links in its own path are followed.
    pub fn open(path: &Path) -> io::Result<Tree> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = fs::open(path, flags, Mode::empty())?;
        let stat = fs::fstat(&fd)?;
        Ok(Tree {
            path: path.components().collect(),
            real: std::fs::canonicalize(path)?,
            id: (stat.st_dev, stat.st_ino),
            fd,
        })
    }

    /// Does its path still lead to it? Not after it was unmounted, moved or replaced.
    pub fn is_there(&self) -> Result<(), String> {
        let shown = self.path.display();
        match fs::stat(&self.path) {
            Ok(now) if (now.st_dev, now.st_ino) == self.id => Ok(()),
            Ok(_) => Err(format!("{shown} is another folder than at the start")),
            Err(errno) => Err(format!("{shown}: {errno}")),
        }
    }

    /// The folder that holds `relative`.
    pub fn folder_of(&self, relative: &Path) -> Result<OwnedFd, Errno> {
        let folder = relative.parent().unwrap_or(Path::new(""));
        if folder.as_os_str().is_empty() {
            return fs::openat(&self.fd, c".", FOLDER, Mode::empty());
        }
        let resolve = ResolveFlags::BENEATH
            | ResolveFlags::NO_SYMLINKS
            | ResolveFlags::NO_MAGICLINKS
            | ResolveFlags::NO_XDEV;
        match fs::openat2(&self.fd, folder, FOLDER, Mode::empty(), resolve) {
            // Older kernels, some containers, paths longer than the kernel takes at once.
            Err(Errno::NOSYS | Errno::PERM | Errno::NAMETOOLONG | Errno::INVAL | Errno::AGAIN) => {
                self.step_by_step(folder)
            }
            opened => opened,
        }
    }

    fn step_by_step(&self, folder: &Path) -> Result<OwnedFd, Errno> {
        let mut at = fs::openat(&self.fd, c".", FOLDER, Mode::empty())?;
        for part in folder.components() {
            let std::path::Component::Normal(name) = part else {
                return Err(Errno::XDEV);
            };
            at = fs::openat(&at, name, FOLDER, Mode::empty())?;
            if fs::fstat(&at)?.st_dev != self.id.0 {
                return Err(Errno::XDEV);
            }
        }
        Ok(at)
    }

    /// Opens the regular file at `relative`.
    pub fn entry(&self, relative: &Path) -> Result<OpenFile, Errno> {
        let folder = self.folder_of(relative)?;
        let name = relative.file_name().ok_or(Errno::ISDIR)?.to_owned();
        // What it is must be known before it is opened: opening alone makes some devices act.
        regular(&look(&folder, &name)?)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match fs::openat(&folder, &name, flags | OFlags::NOATIME, Mode::empty()) {
            Err(Errno::PERM) => fs::openat(&folder, &name, flags, Mode::empty())?,
            opened => opened?,
        };
        let stat = fs::fstat(&file)?;
        regular(&stat)?;
        if stat.st_dev != self.id.0 {
            return Err(Errno::XDEV);
        }
        Ok(OpenFile {
            folder,
            name,
            file,
            stat,
        })
    }

    /// Its descriptor.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn regular(stat: &Stat) -> Result<(), Errno> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(()),
        FileType::Symlink => Err(Errno::LOOP),
        FileType::Directory => Err(Errno::ISDIR),
        _ => Err(Errno::NXIO),
    }
}

/// Looks at an entry of a folder, not at what a link leads to.
pub fn look(folder: impl AsFd, name: &OsStr) -> Result<Stat, Errno> {
    fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
}

impl OpenFile {
    /// Size, times and identity when it was opened.
    pub fn stamp(&self) -> Stamp {
        Stamp::of(&self.stat)
    }

    /// Reads all its bytes again.
    pub fn digest(&self, buffer: &mut [u8]) -> Result<Digest, HashError> {
        // The open file itself, whatever its name leads to now.
        let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        digest(Path::new(&own), buffer)
    }

    /// Is it, at this moment, still the file of this name, unchanged?
    pub fn unchanged(&self) -> bool {
        look(&self.folder, &self.name).is_ok_and(|now| Stamp::of(&now) == self.stamp())
    }
}

/// What an error of reaching a file means, for a person.
pub fn explain(errno: Errno) -> String {
    match errno {
        Errno::NOENT => "it is gone".into(),
        Errno::LOOP => "it, or a folder of its path, is a symbolic link now".into(),
        Errno::NOTDIR => "a folder of its path is none any more, or is a link".into(),
        Errno::XDEV => "its path leads to another file system, or out of the library".into(),
        Errno::ISDIR => "it is a folder now".into(),
        Errno::NXIO => "it is no regular file now".into(),
        errno => errno.to_string(),
    }
}
