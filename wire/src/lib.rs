//! What crosses a pipe and how a tool ends.
//!
//! Every tool of the toolbox reads or writes newline-delimited JSON and ends with one of five exit
//! codes. This crate holds what they must agree on, and nothing else:
//!
//! | module | what |
//! | --- | --- |
//! | [`records`] | every record type, documented once |
//! | [`schema`] | those types as JSON Schema, a DuckDB query, SQLite views (`--schema`) |
//! | [`path`] | file names that survive JSON although they are not UTF-8 |
//! | [`path_map`] | one folder as this machine and as the server's call it (`--path-map`) |
//! | [`mod@line`], [`lines`] | making one line, inheriting the fields of another without parsing them; many in one buffer |
//! | [`record`], [`read`] | one line read, its fields found but left raw; a stream of them |
//! | [`completeness`] | is a stream whole? Summaries checked against what was counted |
//! | [`mod@write`] | whole lines to stdout or `-o FILE`, failed items reported and counted by one call |
//! | [`csv`] | the same records for spreadsheets (`--csv`) |
//! | [`progress`] | the bar, the plain line, the work units for a watchdog |
//! | [`secret`] | what no message may hold, masked in what a server says |
//! | [`value`] | the values of flags: durations, sizes, counts, shards, URLs, secrets |
//! | [`journal`] | the append-only file of what was done, safe at every byte |
//! | [`waiting`] | waiting on purpose, announced to the watchdog |
//! | [`tool`], [`exit`], [`stop`], [`crash`] | the frame around a `main`: flags, exit codes, signals, no memory |

pub mod completeness;
pub mod crash;
pub mod csv;
pub mod exit;
pub mod journal;
pub mod line;
pub mod lines;
mod out_file;
pub mod path;
pub mod path_map;
pub mod progress;
pub mod read;
pub mod record;
pub mod records;
pub mod schema;
pub mod secret;
mod sink;
pub mod stop;
pub mod tool;
pub mod value;
pub mod waiting;
pub mod write;

pub use completeness::Completeness;
pub use exit::{Exit, Fatal, OrFatal};
pub use line::Line;
pub use lines::Lines;
pub use read::{Item, Reader};
pub use record::Record;
pub use tool::{Output, Tool};
pub use write::{Diagnostics, Writer};
