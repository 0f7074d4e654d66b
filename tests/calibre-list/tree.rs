//! A folder as it is, to show that nothing in it has changed.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Everything about one entry but its access time.
#[derive(Debug, PartialEq)]
pub(crate) struct Entry {
    bytes: Vec<u8>,
    mode: u32,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// All entries below `root`, `root` included.
pub(crate) fn tree(root: &Path) -> BTreeMap<PathBuf, Entry> {
    let mut entries = BTreeMap::new();
    let mut waiting = vec![root.to_path_buf()];
    while let Some(path) = waiting.pop() {
        let about = fs::symlink_metadata(&path).unwrap();
        let bytes = if about.is_file() {
            fs::read(&path).unwrap()
        } else {
            Vec::new()
        };
        if about.is_dir() {
            waiting.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
        let entry = Entry {
            bytes,
            mode: about.mode(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        };
        entries.insert(path, entry);
    }
    entries
}

/// Fails with the names of what has changed, not with its bytes.
#[track_caller]
pub(crate) fn assert_untouched(root: &Path, before: &BTreeMap<PathBuf, Entry>) {
    let after = tree(root);
    let names = before.keys().chain(after.keys());
    let changed: Vec<_> = names
        .filter(|name| before.get(*name) != after.get(*name))
        .collect();
    let times = |tree: &BTreeMap<PathBuf, Entry>| {
        let entry = changed.first().and_then(|name| tree.get(*name));
        entry.map(|entry| (entry.bytes.len(), entry.mode, entry.modified, entry.changed))
    };
    let (then, now) = (times(before), times(&after));
    assert!(
        changed.is_empty(),
        "changed: {changed:?}, the first from {then:?} to {now:?}"
    );
}
