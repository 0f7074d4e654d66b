//! Makes Calibre libraries: the same ones every time, of real files.
//!
//! | module | what |
//! | --- | --- |
//! | [`demo`] | a small library that shows every outcome of a migration; needs no Calibre |
//! | [`large`] | a database of a million books without their files |
//! | [`shelf`], [`schema`] | a library filled book by book without Calibre |
//! | [`book`], [`epub`], [`jpeg`] | a book, its file, its cover |

pub mod book;
pub mod demo;
pub mod epub;
pub mod jpeg;
pub mod large;
pub mod schema;
pub mod shelf;

pub use book::Book;
pub use shelf::Shelf;
