//! The command line of mbs-prune.

use std::{path::PathBuf, time::Duration};

use clap::Parser;
use mbs_hashes::Database;
use orphan_scan::removal::args::ConfirmArgs;
use wire::value;

const AFTER_HELP: &str = "\
Classes:
  ebook_without_source  an ebook without a file, as an upload leaves it that was killed
  source_without_file   a row whose stored file is not there (needs --store)
  file_without_source   a stored file that no row names (needs --store); never removed

Examples:
  mbs-prune --db postgresql://ebooks@db.example/ebooks --store /srv/mbs
  mbs-prune --db postgresql://ebooks@db.example/ebooks --apply --backup rows.ndjson

Exit codes: 0 done; 1 some could not be looked at or removed; 2 usage; 3 refused, nothing was changed;
255 gave up: the database is out of reach, a disk is full.";

/// List what in the server lacks its other half, or remove it
///
/// Writes a server_finding record for each ebook without a file and, with --store, for each row without
/// its stored file and each stored file without a row. With --apply, rows of the classes asked for are
/// written to the backup, deleted, and reported as removal records.
#[derive(Clone, Debug, Parser)]
#[command(version, after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) database: Database,

    /// How long connecting may take, and how long the database may stay silent
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = value::positive_duration,
          help_heading = "Database")]
    pub(crate) db_timeout: Duration,

    /// The server's data folder, or its folder of books, on this machine
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,

    /// Leave out what is younger, for it may be an upload under way
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = value::duration)]
    pub(crate) min_age: Duration,

    /// Delete the rows of these classes
    #[arg(long, requires = "backup")]
    pub(crate) apply: bool,

    /// What --apply deletes: ebook_without_source, source_without_file
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "ebook_without_source",
          value_parser = ["ebook_without_source", "source_without_file"])]
    pub(crate) classes: Vec<String>,

    /// Write the rows to this new file before they are deleted
    #[arg(long, value_name = "FILE")]
    pub(crate) backup: Option<PathBuf>,

    /// Refuse to delete more than this many
    #[arg(long, value_name = "N")]
    pub(crate) max_count: Option<u64>,

    #[command(flatten)]
    pub(crate) confirm: ConfirmArgs,

    #[command(flatten)]
    pub(crate) output: wire::Output,
}
