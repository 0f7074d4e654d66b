//! The SHA-1 of files, for the program beside it and for the tools that must hash again before they
//! act.
//!
//! | module | what |
//! | --- | --- |
//! | [`stamp`] | what tells that a file is still the one that was hashed |
//! | [`mod@digest`] | the digest of one file, an error if it changed while it was read |
//! | [`cache`] | digests kept between runs, believed only while the stamp is the same |
//! | [`tar`] | the members of a plain tar archive, found in one pass |
//! | [`mod@format`] | what format a book is in, by its name or its first bytes |

pub mod cache;
pub mod digest;
pub mod format;
pub mod stamp;
pub mod tar;

pub use cache::Cache;
pub use digest::{Digest, HashError, digest};
pub use stamp::Stamp;
