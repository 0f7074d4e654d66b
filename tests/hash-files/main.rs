//! hash-files, the real binary on real files.
#![allow(clippy::unwrap_used)]

/// Names and sizes: sha1sum is right, and we say the same.
mod names;

/// Files that change while they are read.
mod change;

/// What is no file, or cannot be read.
mod mistakes;

/// Records in, records out: what is kept, in which order, and whether it is whole.
mod stream;

/// The cache.
mod cache;

/// How a run ends, and what others see of it.
mod ends;

/// -o FILE.
mod output;

/// Members of tar archives.
mod tar;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use harness::{Workdir, run::Ran};

/// Longer than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// The SHA-1 of each path in the output, its exact bytes.
fn digests(ran: &Ran) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for line in ran.stdout().lines() {
        let record = wire::Record::parse(line.into()).unwrap();
        if record.kind() == "file_hash" {
            let path = record.path().unwrap();
            let sha1 = record.text("sha1").unwrap().into_owned();
            assert_eq!(found.insert(path, sha1), None, "twice\n{}", ran.report());
        }
    }
    found
}

/// The same from `sha1sum -z`, for all files below the folder.
fn sha1sum(work: &Workdir, folder: &str) -> BTreeMap<PathBuf, String> {
    use std::os::unix::ffi::OsStringExt;
    let script = format!("find \"$PWD/{folder}\" -type f -print0 | xargs -0r sha1sum -z --");
    work.shell(&script)
        .ok()
        .stdout
        .split(|&byte| byte == 0)
        .filter(|line| !line.is_empty())
        .map(|line| {
            let path = std::ffi::OsString::from_vec(line[42..].to_vec());
            (path.into(), String::from_utf8(line[..40].to_vec()).unwrap())
        })
        .collect()
}

/// A record of this type and path with whatever else is wanted.
fn record(kind: &str, path: impl AsRef<std::path::Path>, more: &str) -> String {
    let mut line = wire::Line::new(kind);
    line.path(path.as_ref());
    format!("{}{more}}}\n", String::from_utf8_lossy(line.open_bytes()))
}

/// The summary of a whole stream of so many records.
fn whole(records: usize) -> String {
    format!(
        "{{\"type\":\"summary\",\"tool\":\"calibre-list\",\"records\":{records},\"failed\":0,\
         \"complete\":true,\"library\":\"u-1\"}}\n"
    )
}
