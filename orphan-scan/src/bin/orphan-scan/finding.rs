//! The record of one finding.

use std::path::Path;

use mbs_hashes::known::Content;
use orphan_scan::{classes::Classification, tracked::Row};
use rustix::fs::{Statx, StatxTimestamp, makedev};
use wire::Line;

/// What the file system said of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) dev: u64,
    pub(crate) inode: u64,
    pub(crate) size: u64,
    /// Nanoseconds since 1970.
    pub(crate) mtime: i128,
    pub(crate) ctime: i128,
    pub(crate) nlink: u64,
}

impl Stat {
    pub(crate) fn of(stat: &Statx) -> Stat {
        let nanoseconds = |time: StatxTimestamp| {
            i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
        };
        Stat {
            dev: makedev(stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            size: stat.stx_size,
            mtime: nanoseconds(stat.stx_mtime),
            ctime: nanoseconds(stat.stx_ctime),
            nlink: stat.stx_nlink.into(),
        }
    }
}

/// All that a finding tells.
#[derive(Debug)]
pub(crate) struct Finding<'a> {
    pub(crate) path: &'a Path,
    pub(crate) classified: &'a Classification,
    pub(crate) seen: Option<Stat>,
    pub(crate) content: Option<Content>,
    /// The tracked file that it is or would mend, and the library's folder as the list names it.
    pub(crate) row: Option<(&'a Row<'a>, &'a Path)>,
}

impl Finding<'_> {
    /// Makes the record in `line`, of which only the memory is kept.
    pub(crate) fn put(&self, line: &mut Line) {
        line.reset("finding");
        line.path(self.path)
            .text("class", self.classified.class.name())
            .text("why", &self.classified.why)
            .text("removable", self.classified.removable.name());
        if let Some(content) = &self.content {
            line.text("sha1", &content.sha1());
        }
        if let Some(seen) = &self.seen {
            line.int("size", seen.size)
                .text("mtime", &hash_files::stamp::time_text(seen.mtime))
                .text("dev", &seen.dev.to_string())
                .text("inode", &seen.inode.to_string())
                .int("nlink", seen.nlink);
        }
        if let Some((row, root)) = self.row {
            if let Some(id) = row.book_id {
                line.int("book_id", id);
            }
            let known = |text: &str| (!text.is_empty()).then(|| text.to_string());
            line.opt_text("format", known(row.format).as_deref())
                .opt_text("uuid", known(row.uuid).as_deref())
                .path_as("row", "row_b64", &root.join(os(&row.path())));
        }
    }
}

/// Bytes as a path.
pub(crate) fn os(bytes: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}
