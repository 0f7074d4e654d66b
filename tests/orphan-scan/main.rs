//! orphan-scan, the real binary on real folders.
//!
//! | module | what |
//! | --- | --- |
//! | `stage` | a library, the server's list and store beside it, and a scan of them |
//! | `classes` | every class, and the order of the rules |
//! | `borders` | links, other libraries and file systems, unreadable folders, names of any bytes |
//! | `refusals` | every refusal, and what --partial makes of it |
//! | `odd` | libraries that nobody would make on purpose |
//! | `original` | how the predecessor destroyed libraries; each case named after it |
//! | `links` | the store's links: path maps, retries, doubts |
//! | `resume` | killed and started again; shards |
//! | `reports` | text, JSON, a page |
//! | `calibre` | the same findings as Calibre's own check |

// A test may panic; clippy's own exception does not reach the functions that tests share.
#![allow(clippy::unwrap_used)]

mod borders;
mod calibre;
mod classes;

mod links;
/// Files that Calibre needs, though no record names them.
mod needs;
mod odd;
mod original;
mod refusals;
mod reports;
mod resume;
mod stage;
