//! Reads Calibre libraries without leaving a trace in them.
//!
//! | module | what |
//! | --- | --- |
//! | [`library`] | which folder, which database |
//! | [`snapshot`] | a private copy of `metadata.db`, taken so that Calibre hardly notices |
//! | [`rows`] | the books and their files, read from that copy in the order of their ids |
//! | [`place`] | where a book's file is, or why its row must not be trusted |
//! | [`error`] | what can go wrong, and with which exit code the tool then ends |

pub mod error;
pub mod library;
pub mod place;
pub mod rows;
pub mod snapshot;

pub use error::Error;
pub use library::Library;
pub use rows::Book;
pub use snapshot::Snapshot;
