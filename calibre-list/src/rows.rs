//! The books of a snapshot and their files, in the order of their ids.
//!
//! One cursor a table, each in book order by an index that was found to hold the table's rows, merged as
//! they advance: memory does not depend on the number of books, only on the number of names.

mod all;
mod book;
mod cursor;
mod index;
mod merge;
mod names;
mod scan;
mod schema;
mod time;
mod value;

/// The fields that `--fields all` adds to those of every library; [`Custom::fields_of`] has the rest.
pub const EXTRAS: [&str; 5] = [
    "sort",
    "author_sort",
    "timestamp",
    "author_links",
    "comments",
];

pub use all::{Custom, Extra};
pub use book::{Book, Format};
pub use names::Names;
pub use scan::{Found, Scan};
pub use schema::{Extent, Schema};
