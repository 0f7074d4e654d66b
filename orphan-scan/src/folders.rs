//! All folders below one, read by many threads at once: on a cold disk it is the number of requests
//! under way that decides. Each folder is opened by its own name in its parent, so that neither the
//! length of a path nor a link that is swapped in leads elsewhere; links are never followed.
//!
//! Memory depends on the largest folder and on the folders that wait, whose names alone are kept.

mod entries;
mod open;
mod queue;

use std::{
    ffi::CStr,
    fmt,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    thread,
};

use rustix::{
    fs::{self, AtFlags, Mode, OFlags, Statx, StatxAttributes, StatxFlags},
    io::Errno,
};

pub use entries::{Entries, Entry};
use open::Opener;
use queue::Queue;

/// Where to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// At other file systems and at all that is mounted.
    FileSystem,
    /// Nowhere.
    None,
}

/// A folder that is open.
#[derive(Debug)]
pub struct Folder<C> {
    /// Its descriptor; entries are looked at relative to it.
    pub fd: OwnedFd,
    /// Its device and inode.
    pub id: (u64, u64),
    /// Its path relative to the one where the walk began; empty for that one.
    pub path: Vec<u8>,
    /// What the visitor said of it when it was found.
    pub context: C,
}

impl<C> Folder<C> {
    /// The path of an entry, relative to where the walk began.
    pub fn below(&self, name: &[u8]) -> Vec<u8> {
        match self.path.is_empty() {
            true => name.to_vec(),
            false => [&self.path, &b"/"[..], name].concat(),
        }
    }

    /// Looks at an entry, not at what a link leads to.
    ///
    /// # Errors
    /// What the system says; [`Errno::NOENT`] when it is gone.
    pub fn look(&self, name: &CStr) -> Result<Statx, Errno> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        fs::statx(&self.fd, name, flags, StatxFlags::BASIC_STATS)
    }
}

/// Why a folder was not entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// It is another file system, or something is mounted there.
    Border,
    /// It is a folder no more, but a link, a file, or gone.
    Replaced(Errno),
    /// The system says no.
    Failed(Errno),
}

/// What is done with each folder. One visitor a thread.
pub trait Visitor<C> {
    /// What ends the walk early.
    type Error: Send;

    /// A folder was read. Calls `enter` for each folder in it that is to be entered; what it makes of
    /// this one's context is there when theirs is asked for.
    ///
    /// # Errors
    /// The walk ends, in all threads.
    fn folder(
        &mut self,
        folder: &mut Folder<C>,
        entries: &Entries,
        enter: &mut dyn FnMut(&CStr),
    ) -> Result<(), Self::Error>;

    /// The context of a folder about to be opened.
    fn context(&mut self, parent: &Folder<C>, name: &CStr) -> C;

    /// A folder could not be opened.
    ///
    /// # Errors
    /// The walk ends, in all threads.
    fn closed(
        &mut self,
        parent: &Folder<C>,
        name: &CStr,
        context: C,
        why: Closed,
    ) -> Result<(), Self::Error>;
}

/// The folder itself cannot be opened.
#[derive(Debug)]
pub struct RootError(pub Errno);

impl fmt::Display for RootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::io::Error::from(self.0).fmt(f)
    }
}

impl std::error::Error for RootError {}

/// The folder where a walk begins; links in its own path are followed.
///
/// # Errors
/// It cannot be opened.
pub fn open_root<C>(path: &Path, context: C) -> Result<Folder<C>, RootError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = fs::open(path, flags, Mode::empty()).map_err(RootError)?;
    let seen = itself(&fd).map_err(RootError)?;
    Ok(Folder {
        id: id_of(&seen),
        fd,
        path: Vec::new(),
        context,
    })
}

/// Visits `root` and all folders below it by as many threads as there are visitors. Ends early, and
/// says so by `false`, when the process is asked to stop.
///
/// # Errors
/// The first that a visitor met.
pub fn walk<C: Send + Sync, V: Visitor<C> + Send>(
    root: Folder<C>,
    border: Border,
    visitors: &mut [V],
) -> Result<bool, V::Error> {
    let opener = Opener::at(&root, border);
    let queue = Queue::new(root);
    thread::scope(|scope| {
        let walk = |visitor| {
            let (queue, opener) = (&queue, &opener);
            move || run(queue, opener, visitor)
        };
        let mut visitors = visitors.iter_mut();
        let first = visitors.next();
        // Fewer threads do it, too, if it must be this one alone.
        let start = |v| thread::Builder::new().spawn_scoped(scope, walk(v)).ok();
        let threads: Vec<_> = visitors.map_while(start).collect();
        let mut ended = first.map_or(Ok(true), |v| walk(v)());
        for thread in threads {
            match thread.join() {
                Ok(Ok(whole)) => ended = ended.map(|before| before && whole),
                Ok(Err(error)) => ended = ended.and(Err(error)),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        ended
    })
}

fn run<C, V: Visitor<C>>(
    queue: &Queue<C>,
    opener: &Opener,
    visitor: &mut V,
) -> Result<bool, V::Error> {
    let _leaving = queue.enter();
    let mut entries = Entries::default();
    let mut taken = Vec::new();
    while let Some(parent) = queue.take(&mut taken) {
        let Some(parent) = parent else {
            // The folder where all begins is open already.
            if let Some(root) = queue.root() {
                visit(queue, root, visitor, &mut entries)?;
            }
            continue;
        };
        for name in taken.drain(..) {
            let context = visitor.context(&parent, &name);
            match opener.open(&parent.fd, &name) {
                Ok((fd, id)) => {
                    let folder = Folder {
                        fd,
                        id,
                        path: parent.below(name.to_bytes()),
                        context,
                    };
                    visit(queue, folder, visitor, &mut entries)?;
                }
                Err(why) => visitor.closed(&parent, &name, context, why)?,
            }
            if wire::stop::requested() {
                return Ok(false);
            }
        }
    }
    Ok(!wire::stop::requested())
}

fn visit<C, V: Visitor<C>>(
    queue: &Queue<C>,
    mut folder: Folder<C>,
    visitor: &mut V,
    entries: &mut Entries,
) -> Result<(), V::Error> {
    entries.read(folder.fd.as_fd());
    let mut names = queue::Names::default();
    visitor.folder(&mut folder, entries, &mut |name| names.push(name))?;
    queue.push(folder, names);
    Ok(())
}

fn itself(fd: &OwnedFd) -> Result<Statx, Errno> {
    fs::statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)
}

/// The device and inode of what was looked at.
pub fn id_of(seen: &Statx) -> (u64, u64) {
    let device = fs::makedev(seen.stx_dev_major, seen.stx_dev_minor);
    (device, seen.stx_ino)
}

/// Is something mounted on this very entry?
pub fn is_mounted(seen: &Statx) -> bool {
    let mount = StatxAttributes::MOUNT_ROOT;
    seen.stx_attributes_mask.contains(mount) && seen.stx_attributes.contains(mount)
}
