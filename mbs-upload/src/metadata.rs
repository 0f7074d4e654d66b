//! A book's metadata, as the server takes it. Nothing here asks the server.
//!
//! | module | what |
//! | --- | --- |
//! | [`fields`] | what a record says, taken with care |
//! | [`book`] | the book made of that, or of what the engine found |
//! | [`fit`] | cut and cleaned as the server's columns demand |
//! | [`names`] | authors' names in two halves, Calibre's sort form believed with care |
//! | [`naming`] | the names that the server will give its files |
//! | [`language`] | Calibre's languages to the server's |
//! | [`wanted`] | the book ready for the server |

pub mod book;
pub mod fields;
pub mod fit;
pub mod language;
pub mod names;
pub mod naming;
pub mod wanted;
