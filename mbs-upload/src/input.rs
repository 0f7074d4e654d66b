//! The files to bring, as the input names them.
//!
//! | module | what |
//! | --- | --- |
//! | [`bytes`] | where its bytes are, read only as long as they are those that were hashed |
//! | [`links`] | links in place of copies |
//! | [`unfit`] | files that no server takes, seen without asking one |

pub mod bytes;
pub mod links;
pub mod unfit;
