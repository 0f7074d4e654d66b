//! Makes Calibre libraries: the same ones every time, of real files.
//!
//! | module | what |
//! | --- | --- |
//! | [`demo`] | a small library that shows every outcome of a migration; needs no Calibre |
//! | [`ugly`] | 500 books in which everything is wrong that can be |
//! | [`calibre`] | libraries made by the real `calibredb` |
//! | [`large`] | a database of a million books without their files |
//! | [`shelf`], [`schema`] | a library filled book by book without Calibre |
//! | [`book`], [`epub`], [`jpeg`] | a book, its file, its cover |

pub mod book;
pub mod calibre;
pub mod damage;
pub mod demo;
pub mod epub;
pub mod jpeg;
pub mod large;
pub mod schema;
pub mod shelf;
pub mod ugly;

pub use book::Book;
pub use shelf::Shelf;
