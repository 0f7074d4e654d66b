//! orphan-rm, the real binary on real files, with a PostgreSQL that has the server's tables and a store.

// A test may panic; clippy's own exception does not reach the functions that tests share.
#![allow(clippy::unwrap_used)]

/// A library, a store and a database, and what a scan finds in them.
mod world;

/// Stops the tool between two of its questions to the database.
mod stepper;

/// What goes, what stays, and the reason.
mod cases;

/// What counts as the server's own copy.
mod copies;

/// Files that Calibre needs, though no record names them.
mod needs;

/// What changes between the scan, the proof and the removal.
mod races;

/// Databases that are links, damaged, or two.
mod databases;

/// The real Calibre.
mod calibre;

/// Older kernels, other file systems.
mod systems;

/// Limits, the typed sentence, refusals.
mod refusals;

/// The report for people.
mod reports;

/// Undo and purge.
mod undo;

/// Which library and which files a journal is about.
mod whose;

/// Ends: kill -9, signals, full disks.
mod ends;

/// Killed at each call that changes a disk.
mod kills;

/// A run that was killed, gone on with by its journal.
mod resume;

/// mbs-prune: what in the server lacks its other half, listed.
mod halves;

/// mbs-prune: rows that lack their other half, removed.
mod prune;

/// Random changes between scan and removal.
mod random;
