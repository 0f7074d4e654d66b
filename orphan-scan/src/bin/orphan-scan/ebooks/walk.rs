//! The files in the server's folder of books.

use std::{ffi::CStr, path::Path, time::Duration};

use orphan_scan::folders::{self, Border, Closed, Entries, Folder, Visitor};
use rustix::{fs::FileType, io::Errno};

use super::settled;

/// A stored file.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    /// Its path below the folder of books.
    pub(super) location: Vec<u8>,
    pub(super) size: u64,
}

/// All that have been there for this long. Covers and locks are the server's own, and have no rows.
///
/// # Errors
/// One line of reason: not all can be listed.
pub(super) fn stored(books: &Path, age: Duration) -> Result<Vec<Stored>, String> {
    let root = folders::open_root(books, ()).map_err(|error| error.to_string())?;
    let mut visitors: Vec<_> = (0..16)
        .map(|_| Gather {
            age,
            found: Vec::new(),
        })
        .collect();
    if !folders::walk(root, Border::None, &mut visitors)? {
        return Err("stopped".into());
    }
    let mut all: Vec<Stored> = visitors
        .into_iter()
        .flat_map(|visitor| visitor.found)
        .collect();
    all.sort_unstable_by(|a, b| a.location.cmp(&b.location));
    Ok(all)
}

struct Gather {
    age: Duration,
    found: Vec<Stored>,
}

impl Visitor<()> for Gather {
    type Error = String;

    fn folder(
        &mut self,
        folder: &mut Folder<()>,
        entries: &Entries,
        enter: &mut dyn FnMut(&CStr),
    ) -> Result<(), String> {
        let shown = |what: Errno| format!("{}: {what}", String::from_utf8_lossy(&folder.path));
        if let Some(error) = entries.error() {
            return Err(shown(error));
        }
        for entry in entries.iter() {
            let name = entry.name.to_bytes();
            if entry.kind == FileType::Directory {
                enter(entry.name);
                continue;
            }
            if name == b"cover.jpg" || name.starts_with(b".") {
                continue;
            }
            let seen = match folder.look(entry.name) {
                Ok(seen) => seen,
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(shown(error)),
            };
            if FileType::from_raw_mode(seen.stx_mode.into()) == FileType::Directory {
                enter(entry.name);
            } else if settled(seen.stx_ctime.tv_sec, self.age) {
                self.found.push(Stored {
                    location: folder.below(name),
                    size: seen.stx_size,
                });
            }
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
        match why {
            Closed::Replaced(Errno::NOENT) => Ok(()),
            Closed::Replaced(error) | Closed::Failed(error) => {
                let folder = parent.below(name.to_bytes());
                Err(format!("{}: {error}", String::from_utf8_lossy(&folder)))
            }
            Closed::Border => Ok(()),
        }
    }
}
