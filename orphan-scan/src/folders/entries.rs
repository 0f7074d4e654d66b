//! What is in one folder, in little memory: the names one after the other.

use std::{ffi::CStr, mem::MaybeUninit, os::fd::BorrowedFd};

use rustix::{
    fs::{FileType, RawDir},
    io::Errno,
};

/// Enough for some 600 entries a call.
const BUFFER: usize = 32 * 1024;

/// The entries of one folder, `.` and `..` not among them.
#[derive(Debug)]
pub struct Entries {
    /// Each name with its NUL.
    names: Vec<u8>,
    /// Where each name ends, and what it is of.
    list: Vec<(u32, FileType)>,
    error: Option<Errno>,
    buffer: Vec<MaybeUninit<u8>>,
}

/// One entry.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its name.
    pub name: &'a CStr,
    /// What it is, as far as the folder says; [`FileType::Unknown`] where it does not.
    pub kind: FileType,
}

impl Default for Entries {
    fn default() -> Entries {
        Entries {
            names: Vec::new(),
            list: Vec::new(),
            error: None,
            buffer: vec![MaybeUninit::uninit(); BUFFER],
        }
    }
}

impl Entries {
    /// Reads a folder from its beginning.
    pub(super) fn read(&mut self, folder: BorrowedFd<'_>) {
        self.names.clear();
        self.list.clear();
        self.error = None;
        let mut entries = RawDir::new(folder, &mut self.buffer);
        while let Some(entry) = entries.next() {
            match entry {
                Ok(entry) => {
                    let name = entry.file_name();
                    if !matches!(name.to_bytes(), b"." | b"..") {
                        self.names.extend_from_slice(name.to_bytes_with_nul());
                        // More names than this fit into no folder that could be read in a day.
                        let end = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
                        self.list.push((end, entry.file_type()));
                    }
                }
                Err(Errno::INTR) => {}
                // The folder was removed since it was opened, and then it is empty.
                Err(Errno::NOENT) => break,
                Err(error) => {
                    self.error = Some(error);
                    break;
                }
            }
        }
        if self.names.len() > u32::MAX as usize {
            self.error = Some(Errno::OVERFLOW);
        }
    }

    /// Why these may not be all, where the folder could not be read to its end.
    pub fn error(&self) -> Option<Errno> {
        self.error
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them, in the folder's order.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> + Clone {
        let starts = std::iter::once(0).chain(self.list.iter().map(|&(end, _)| end));
        starts.zip(&self.list).filter_map(|(start, &(end, kind))| {
            let name = self.names.get(start as usize..end as usize)?;
            let name = CStr::from_bytes_with_nul(name).ok()?;
            Some(Entry { name, kind })
        })
    }

    /// Is there one of this name?
    pub fn has(&self, name: &CStr) -> bool {
        self.iter().any(|entry| entry.name == name)
    }
}
