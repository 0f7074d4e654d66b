//! orphan-rm, the real binary on real files, with a PostgreSQL that has the server's tables and a store.

// A test may panic; clippy's own exception does not reach the functions that tests share.
#![allow(clippy::unwrap_used)]

/// A library, a store and a database, and what a scan finds in them.
#[path = "orphan-rm/world.rs"]
mod world;

/// Stops the tool between two of its questions to the database.
#[path = "orphan-rm/stepper.rs"]
mod stepper;

/// What goes, what stays, and the reason.
#[path = "orphan-rm/cases.rs"]
mod cases;

/// What counts as the server's own copy.
#[path = "orphan-rm/copies.rs"]
mod copies;

/// Files that Calibre needs, though no record names them.
#[path = "orphan-rm/needs.rs"]
mod needs;

/// What changes between the scan, the proof and the removal.
#[path = "orphan-rm/races.rs"]
mod races;

/// Databases that are links, damaged, or two.
#[path = "orphan-rm/databases.rs"]
mod databases;

/// The real Calibre.
#[path = "orphan-rm/calibre.rs"]
mod calibre;

/// Older kernels, other file systems.
#[path = "orphan-rm/systems.rs"]
mod systems;

/// Limits, the typed sentence, refusals.
#[path = "orphan-rm/refusals.rs"]
mod refusals;

/// The report for people.
#[path = "orphan-rm/reports.rs"]
mod reports;

/// Undo and purge.
#[path = "orphan-rm/undo.rs"]
mod undo;

/// Which library and which files a journal is about.
#[path = "orphan-rm/whose.rs"]
mod whose;

/// Ends: kill -9, signals, full disks.
#[path = "orphan-rm/ends.rs"]
mod ends;

/// Killed at each call that changes a disk.
#[path = "orphan-rm/kills.rs"]
mod kills;

/// A run that was killed, gone on with by its journal.
#[path = "orphan-rm/resume.rs"]
mod resume;

/// Ebooks of the server without files.
#[path = "orphan-rm/ebooks.rs"]
mod ebooks;

/// Random changes between scan and removal.
#[path = "orphan-rm/random.rs"]
mod random;
