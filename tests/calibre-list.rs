//! `calibre-list` against libraries made by Calibre, and by makers of trouble.

// In a test an error is a failure, wherever it happens.
#![allow(clippy::unwrap_used)]

/// Databases that contradict themselves, or are none of Calibre's making.
#[path = "calibre-list/damage.rs"]
mod damage;
/// Each thing that can be wrong with a library has its own line and code.
#[path = "calibre-list/errors.rs"]
mod errors;
/// Pipes, full disks, signals, the other forms of output.
#[path = "calibre-list/output.rs"]
mod output;
/// Databases that are links, pipes, or two.
#[path = "calibre-list/place.rs"]
mod place;
/// Libraries of the real Calibre, also while it writes.
#[path = "calibre-list/real.rs"]
mod real;
/// Formats, ids, shards, limits.
#[path = "calibre-list/select.rs"]
mod select;
/// Journals, logs, locks, read-only folders: no trace is left.
#[path = "calibre-list/snapshot.rs"]
mod snapshot;
/// Not a test: an independent reading to compare with.
#[path = "calibre-list/sql.rs"]
mod sql;
/// Not a test: has anything changed?
#[path = "calibre-list/tree.rs"]
mod tree;
/// Everything wrong at once, record by record.
#[path = "calibre-list/ugly.rs"]
mod ugly;
