//! `calibre-list` against libraries made by Calibre, and by makers of trouble.

// In a test an error is a failure, wherever it happens.
#![allow(clippy::unwrap_used)]

/// Databases that contradict themselves, or are none of Calibre's making.
mod damage;
/// Each thing that can be wrong with a library has its own line and code.
mod errors;
/// Pipes, full disks, signals, the other forms of output.
mod output;
/// Databases that are links, pipes, or two.
mod place;
/// Libraries of the real Calibre, also while it writes.
mod real;
/// Formats, ids, shards, limits.
mod select;
/// Journals, logs, locks, read-only folders: no trace is left.
mod snapshot;
/// Not a test: an independent reading to compare with.
mod sql;
/// Not a test: has anything changed?
mod tree;
/// Everything wrong at once, record by record.
mod ugly;
