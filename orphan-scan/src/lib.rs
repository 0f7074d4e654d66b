//! What is in a library's folder, and what may leave it.
//!
//! | module | what |
//! | --- | --- |
//! | [`classes`] | one entry and what is known of it, to its class: a pure decision |
//! | [`reserved`] | the areas of a library that belong to Calibre or to other programs |
//! | [`needs`] | what Calibre has on record, each file found as Calibre finds it |
//! | [`names`] | when two names are one, but for case or Unicode normalisation |
//! | [`books`] | the extensions that e-books have |
//! | [`store`] | the server's store: one listing of it for all who ask, links followed as the server sees them |
//! | [`links`] | where its links lead |
//! | [`tracked`] | the tracked files, compact |
//! | [`report`] | what a run came to, for people: text, a page, JSON |
//! | [`removal`] | what orphan-rm, orphan-restore, orphan-purge and mbs-prune share: proof, quarantine, journal |
//! | [`folders`] | all folders below one, read by many threads, no link followed, no border crossed |

pub mod books;
pub mod classes;
pub mod folders;
pub mod links;
pub mod names;
pub mod needs;
pub mod removal;
pub mod report;
pub mod reserved;
pub mod store;
pub mod tracked;
