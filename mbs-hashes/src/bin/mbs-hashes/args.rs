//! The command line of mbs-hashes.

use std::{path::PathBuf, time::Duration};

use clap::Parser;
use mbs_hashes::{Database, Settings, session::Terms};
use wire::{Fatal, Output, value};

/// Stream every stored file that a MyBookshelf2 database has
///
/// Writes one known_hash for each row of the server's table `source`, in the order of their ids, and
/// a summary. Two streams compared by sha1 and size tell which files the server lacks.
///
/// The session is read-only and needs no more than SELECT on source and format. A row whose hash is
/// no SHA-1 can match no file; it is an error record. Rows that are deleted later are not reported.
#[derive(Clone, Debug, Parser)]
#[command(version, after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    database: Database,
    /// Only rows with a higher id; the summary then says that the stream is a selection
    #[arg(long, value_name = "N")]
    after_id: Option<i64>,
    /// After the first pass write caught_up and go on with new rows, those that commit late included
    #[arg(long)]
    follow: bool,
    /// How often --follow looks for new rows
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = value::positive_duration)]
    interval: Duration,
    /// How long connecting may take, and how long the database may stay silent or locked
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = value::positive_duration)]
    db_timeout: Duration,
    /// Read a CSV export instead of the database; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["db", "after_id", "follow"])]
    from_csv: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: Output,
}

const AFTER_HELP: &str = r#"Examples:
  mbs-hashes --db postgresql://ebooks@db.example/ebooks?sslmode=verify-full
  PGHOST=127.0.0.1 PGUSER=ebooks PGDATABASE=ebooks mbs-hashes >known.ndjson
  mbs-hashes | jq -r 'select(.type == "known_hash") | .sha1' | sort -u

Where only somebody else can reach the database, they export it:
  psql -c "COPY (SELECT source.id AS source_id, ebook_id, hash AS sha1, size,
    location, extension AS format, count(*) OVER () AS rows
    FROM source JOIN format ON format.id = format_id)
    TO STDOUT CSV HEADER" >known.csv
  mbs-hashes --from-csv known.csv
Columns go by name, in any order. The column rows proves that the file is
whole; without it the summary says complete:false.

Connecting: --db, else MBS_DB, and for what that leaves open libpq's PGHOST,
PGHOSTADDR, PGPORT, PGDATABASE, PGUSER, PGPASSWORD, PGPASSFILE (~/.pgpass),
PGSSLMODE, PGSSLROOTCERT, PGCONNECT_TIMEOUT, PGAPPNAME, PGOPTIONS, and its
defaults. sslmode: disable, allow, prefer, require, verify-ca, verify-full.
A connection that fails is tried again after 1, 2 and 4 s where the reason may
pass and --db-timeout is not over.

--follow writes each row once, also those of transactions that commit late. It
does not report deletions, and supposes that an id is taken in the transaction
that inserts its row, as the server does. Once caught up it outlives a restart
of the database: it warns and tries again after 1, 2, 4 ... 60 s, for ever.

Exit codes: 0 done; 1 some rows can match no file; 2 usage, or not the server's
database; 255 database out of reach or lost, login refused, disk full. SIGINT
and SIGTERM end it after a summary with complete:false."#;

/// Where the rows come from.
pub(crate) enum Origin {
    /// A CSV export.
    Export(PathBuf),
    /// The database.
    Database(Box<Pass>),
}

/// What to read from the database, and how.
pub(crate) struct Pass {
    pub(crate) settings: Settings,
    pub(crate) terms: Terms,
    pub(crate) after_id: Option<i64>,
    /// How often to look for new rows after the first pass, when that is asked for.
    pub(crate) follow: Option<Duration>,
}

impl Args {
    pub(crate) fn origin(self) -> Result<Origin, Fatal> {
        if let Some(file) = self.from_csv {
            return Ok(Origin::Export(file));
        }
        Ok(Origin::Database(Box::new(Pass {
            settings: self.database.settings()?,
            terms: Terms {
                tool: "mbs-hashes",
                patience: self.db_timeout,
                statement: None,
                heeds_stop: true,
            },
            after_id: self.after_id,
            follow: self.follow.then_some(self.interval),
        })))
    }
}
