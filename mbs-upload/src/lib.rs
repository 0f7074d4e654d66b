//! Bringing e-book files into MyBookshelf2, each once: never a book lost, never one doubled.
//!
//! | module | what |
//! | --- | --- |
//! | [`args`] | the command line |
//! | [`input`] | the files to bring, as the input names them, and where their bytes are |
//! | [`metadata`] | what is told of a book, as the server takes it; asks nobody |
//! | [`server`] | all that is said to the server and heard from it |
//! | [`run`] | the whole run, and one file's way through it |
//! | [`pace`] | how the run goes, and how many files are in flight |
//! | [`patience`] | what is tried again, and how long anything is waited for |
//! | [`claims`] | what keeps others off the files under way |
//! | [`journal`] | what was done in all runs, so that a killed one can be gone on with |
//! | [`preflight`] | what can be known before anything is sent |
//! | [`known`] | contents that the server is known to have (the set of `mbs-hashes`) |
//! | [`path_map`] | what paths are called on the server (from `wire`) |

pub mod args;
pub mod input;
pub mod locks;
pub mod metadata;
pub mod model;
pub mod preflight;
pub mod rate;
pub mod resume;
pub mod retry;
pub mod run;
pub mod server;

pub use mbs_hashes::known;
pub use wire::path_map;
