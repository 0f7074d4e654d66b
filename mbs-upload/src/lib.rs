//! Bringing e-book files into MyBookshelf2, each once: never a book lost, never one doubled.
//!
//! | module | what |
//! | --- | --- |
//! | [`args`] | the command line |
//! | [`metadata`] | a book as the server takes it; asks nobody |
//! | [`model`] | the job, its outcome, its failures; no I/O |
//! | [`input`] | the files to bring, and their bytes |
//! | [`locks`] | what keeps other uploaders off the files under way |
//! | [`retry`] | what is tried again, and how long anything is waited for |
//! | [`rate`] | how the run goes, and how many files are in flight |
//! | [`api`] | the server's REST API and its task engine |
//! | [`resume`] | the journal: written, read, settled |
//! | [`steps`] | one file's way to the server, one file a step |
//! | [`queue`] | what may run beside what |
//! | [`check`] | what can be known before anything is sent |
//! | [`run`] | the whole run |
//! | [`known`] | contents that the server is known to have (the set of `mbs-hashes`) |
//! | [`path_map`] | what paths are called on the server (from `wire`) |

pub mod api;
pub mod args;
pub mod check;
pub mod input;
pub mod locks;
pub mod metadata;
pub mod model;
pub mod queue;
pub mod rate;
pub mod resume;
pub mod retry;
pub mod run;
pub mod steps;

pub use mbs_hashes::known;
pub use wire::path_map;
