//! The SHA-1 of files, for the program beside it and for the tools that must hash again before they
//! act.
//!
//! | module | what |
//! | --- | --- |
//! | [`stamp`] | what tells that a file is still the one that was hashed |
//! | [`mod@digest`] | the digest of one file, an error if it changed while it was read |
//! | [`cache`] | digests kept between runs, believed only while the stamp is the same |

pub mod cache;
pub mod digest;
pub mod stamp;

pub use cache::Cache;
pub use digest::{Digest, HashError, digest};
pub use stamp::Stamp;
