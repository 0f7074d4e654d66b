//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};
use wire::value::{self, Shard};

const AFTER: &str = "\
Examples:
  calibre-list ~/Calibre >tracked.ndjson
  calibre-list --formats epub,pdf --stat ~/Calibre | jq 'select(.status == \"missing\")'
  seq 4 | xargs -P 4 -I {} calibre-list --shard {}/4 ~/Calibre | hash-files >hashed.ndjson

Environment:
  CALIBRE_LIBRARY                 the library, where no LIBRARY or --db is given
  CALIBRE_OVERRIDE_DATABASE_PATH  the database, as for Calibre itself
  TMPDIR                          where the private copy goes; /var/tmp if not set

Exit codes:
  0    done, even if there is nothing to list
  1    done, but some rows cannot be trusted; each is an error record
  2    wrong usage, or no Calibre library there
  3    refused: the folder has a metadata.db, and another one is named
  255  gave up: database locked, damaged or unreadable, no room for the copy";

/// List every book file that a Calibre library has on record
///
/// Writes one book_file record a format, as a line of JSON, from a private copy of metadata.db.
/// Calibre may be running and writing; nothing of the library is changed, no side file appears, and
/// Calibre is not made to wait.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER)]
pub(crate) struct Args {
    /// Folder of the library
    #[arg(value_name = "LIBRARY")]
    pub library: Option<PathBuf>,
    /// The database, where it is not LIBRARY/metadata.db
    #[arg(long, value_name = "FILE")]
    pub db: Option<PathBuf>,
    /// Only these formats
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub formats: Option<Vec<String>>,
    /// Only books with a larger id
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub after_id: Option<i64>,
    /// Only these books: 1,5-9
    #[arg(long, value_name = "LIST")]
    pub ids: Option<crate::select::Ids>,
    /// Only the K-th of N parts, which together are the whole
    #[arg(long, value_name = "K/N")]
    pub shard: Option<Shard>,
    /// Stop after so many books
    #[arg(long, value_name = "BOOKS")]
    pub limit: Option<u64>,
    /// Which fields
    #[arg(long, value_enum, default_value_t)]
    pub fields: Fields,
    /// Look whether each file is there: adds status
    #[arg(long)]
    pub stat: bool,
    /// How long to wait for a locked database
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = value::duration)]
    pub lock_wait: Duration,
    #[command(flatten)]
    pub output: wire::Output,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fields {
    /// What the other tools need
    #[default]
    Core,
    /// Also comments, sort titles, links and the user's own columns
    All,
}
