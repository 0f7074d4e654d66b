//! The files in the server's folder of books.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use orphan_scan::store::{self, Collect};
use rustix::{fs::FileType, io::Errno};

/// A stored file.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// Its path below the folder of books.
    pub(crate) location: Vec<u8>,
    pub(crate) size: u64,
}

/// All that have been there for this long. Covers and locks are the server's own, and have no rows.
/// `warn` hears why it is tried again, `seen` how many entries there were so far.
///
/// # Errors
/// One line of reason: not all can be listed.
pub(crate) fn stored(
    books: &Path,
    age: Duration,
    warn: impl FnMut(&str),
    seen: impl Fn(u64) + Sync,
) -> Result<Vec<Stored>, String> {
    let gather = || Gather {
        age,
        found: Vec::new(),
    };
    let gathered = store::patiently(warn, || store::walk(books, &seen, gather))?;
    let mut all: Vec<Stored> = gathered.into_iter().flat_map(|one| one.found).collect();
    all.sort_unstable_by(|a, b| a.location.cmp(&b.location));
    Ok(all)
}

struct Gather {
    age: Duration,
    found: Vec<Stored>,
}

impl Collect for Gather {
    fn entry(&mut self, entry: &store::Stored<'_>) -> Result<Option<PathBuf>, String> {
        let name = entry.name.to_bytes();
        if name == b"cover.jpg" || name.starts_with(b".") {
            return Ok(None);
        }
        let seen = match entry.look() {
            Ok(seen) => seen,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(format!("{}: {error}", entry.path().display())),
        };
        // What is in a folder that a link leads to is at another place than its rows say.
        let is_folder = entry.kind == FileType::Symlink && entry.path().is_dir();
        if !is_folder && settled(seen.stx_ctime.tv_sec, self.age) {
            self.found.push(Stored {
                location: entry.location(),
                size: seen.stx_size,
            });
        }
        Ok(None)
    }
}

/// Was it changed so long ago?
fn settled(changed: i64, age: Duration) -> bool {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let limit = now.unwrap_or_default().saturating_sub(age).as_secs();
    u64::try_from(changed).is_ok_and(|changed| changed < limit) || changed < 0
}
