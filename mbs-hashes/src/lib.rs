//! What the tools that ask MyBookshelf2's PostgreSQL share.
//!
//! | module | what |
//! | --- | --- |
//! | [`settings`] | where the database is: `--db`, `MBS_DB`, libpq's environment and defaults |
//! | [`conninfo`] | connection strings, as a URL or as `key=value` |
//! | [`passfile`] | libpq's password file |
//! | [`tls`] | who is trusted, and what of a certificate is checked |
//! | [`https`] | the same for the REST API |
//! | [`session`] | one read-only connection that gives up when the server falls silent |
//! | [`failure`] | what can go wrong with it, in one line each |
//! | [`tuples`] | the rows of a binary COPY |
//! | [`known`] | contents that the server is known to have, by SHA-1 and size |
//! | [`source`] | the rows of the server's table `source` |

pub mod conninfo;
pub mod failure;
pub mod https;
pub mod known;
pub mod passfile;
pub mod session;
pub mod settings;
pub mod source;
pub mod tls;
pub mod tuples;

pub use failure::Failure;
pub use session::Session;
pub use settings::{Database, Settings};
