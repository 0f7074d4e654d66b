//! Opens folders in their parents and tells borders.

use std::{
    ffi::CStr,
    os::fd::OwnedFd,
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::{
    fs::{self, Mode, OFlags, ResolveFlags},
    io::Errno,
};

use super::{Border, Closed, Folder, id_of, is_mounted, itself};

/// Opens folders.
pub(super) struct Opener {
    border: Border,
    device: u64,
    /// Not everybody may ask that a folder's time of access stays.
    may_hide: AtomicBool,
    /// Older kernels and some containers have no openat2.
    may_resolve: AtomicBool,
}

impl Opener {
    pub(super) fn at<C>(root: &Folder<C>, border: Border) -> Opener {
        Opener {
            border,
            device: root.id.0,
            may_hide: AtomicBool::new(true),
            may_resolve: AtomicBool::new(true),
        }
    }

    pub(super) fn open(
        &self,
        parent: &OwnedFd,
        name: &CStr,
    ) -> Result<(OwnedFd, (u64, u64)), Closed> {
        let fd = match self.open_hidden(parent, name) {
            Ok(fd) => fd,
            Err(Errno::XDEV) => return Err(Closed::Border),
            Err(why @ (Errno::LOOP | Errno::NOTDIR | Errno::NOENT)) => {
                return Err(Closed::Replaced(why));
            }
            Err(why) => return Err(Closed::Failed(why)),
        };
        let seen = itself(&fd).map_err(Closed::Failed)?;
        let id = id_of(&seen);
        let passed = is_mounted(&seen) || self.device != id.0;
        match self.border {
            Border::FileSystem if passed => Err(Closed::Border),
            _ => Ok((fd, id)),
        }
    }

    fn open_hidden(&self, parent: &OwnedFd, name: &CStr) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if self.may_hide.load(Ordering::Relaxed) {
            match self.open_with(parent, name, flags | OFlags::NOATIME) {
                Err(Errno::PERM) => self.may_hide.store(false, Ordering::Relaxed),
                opened => return opened,
            }
        }
        self.open_with(parent, name, flags)
    }

    fn open_with(&self, parent: &OwnedFd, name: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
        if self.border == Border::FileSystem && self.may_resolve.load(Ordering::Relaxed) {
            let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
            match fs::openat2(parent, name, flags, Mode::empty(), resolve) {
                // A container that does not know the call says that it is not permitted.
                Err(Errno::NOSYS | Errno::PERM) => {
                    let opened = fs::openat(parent, name, flags, Mode::empty());
                    if opened.is_ok() {
                        self.may_resolve.store(false, Ordering::Relaxed);
                    }
                    return opened;
                }
                opened => return opened,
            }
        }
        fs::openat(parent, name, flags, Mode::empty())
    }
}
