//! The command line.

mod settings;

use std::{path::PathBuf, time::Duration};

use clap::{
    Parser,
    builder::{OsStringValueParser, TypedValueParser},
};

use wire::{
    records::{ERROR, JOURNAL, JOURNAL_END, JOURNAL_STEP, PREFLIGHT, SUMMARY, UPLOAD},
    value::{duration, positive_duration, size},
};

use crate::{path_map::Mapping, rate::jobs::JobsArg};

/// The tool as its callers see it.
pub const TOOL: wire::Tool = wire::Tool {
    name: "mbs-upload",
    emits: &[
        &UPLOAD,
        &PREFLIGHT,
        &ERROR,
        &SUMMARY,
        &JOURNAL,
        &JOURNAL_STEP,
        &JOURNAL_END,
    ],
    acts: true,
};

/// Upload e-book files with their metadata into MyBookshelf2, each once.
///
/// Reads file_hash and finding records from standard input and writes one upload record for each. A
/// file that the server already has, by SHA-1 and size, is a duplicate, not an error.
#[derive(Clone, Debug, Parser)]
#[command(version, about, after_help = AFTER, args_override_self = true)]
pub struct Args {
    /// Address of the server's REST API
    #[arg(
        long,
        env = "MBS_API",
        hide_env_values = true,
        value_name = "URL",
        default_value = "http://localhost:6006"
    )]
    pub api: String,
    /// Address of the server's task engine (WebSocket)
    #[arg(
        long,
        env = "MBS_WS",
        hide_env_values = true,
        value_name = "URL",
        default_value = "ws://localhost:8080/ws"
    )]
    pub ws: String,
    /// User to log in as
    #[arg(long, env = "MBS_USER", hide_env_values = true, value_name = "NAME")]
    pub user: Option<String>,
    /// File that holds the password [default: the variable MBS_PASSWORD]
    #[arg(
        long,
        env = "MBS_PASSWORD_FILE",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub password_file: Option<PathBuf>,
    /// Skip the files listed in FILE, the output of mbs-hashes; can be repeated
    ///
    /// Some of the listed files are looked up on the server first; the list is believed around those
    /// that are there. A pipe from mbs-hashes --follow is read during the whole run.
    #[arg(long, value_name = "FILE")]
    pub known: Vec<PathBuf>,
    /// Record progress in FILE; a later run with the same FILE resumes
    ///
    /// Finished files are skipped; interrupted ones are reconciled with the server.
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// Ignore what the journal says: it is about another server, or this one was emptied
    #[arg(long, requires = "journal")]
    pub new_server: bool,
    /// Number of parallel uploads, or auto to find the best number; the server answers at most 15
    /// requests at a time
    #[arg(short, long, value_name = "N|auto", default_value = "4")]
    pub jobs: JobsArg,
    /// Minimum of -j auto
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub min: u8,
    /// Maximum of -j auto
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub max: u8,
    /// Language for books without one, as the server's code
    #[arg(long, value_name = "CODE")]
    pub default_language: Option<String>,
    /// Skip files larger than SIZE, for example 100MiB [default: the server's limit]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_size: Option<u64>,
    /// Number of retries per step
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub retries: u32,
    /// Pause before the first retry; doubles each time
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    pub retry_wait: Duration,
    /// Abort an upload after this long without progress, and retry it
    #[arg(long, value_name = "TIME", default_value = "240s", value_parser = positive_duration)]
    pub stall: Duration,
    /// Abort an upload after this long, not counting the engine's queue, and retry it
    #[arg(long, value_name = "TIME", default_value = "600s", value_parser = positive_duration)]
    pub max_time: Duration,
    /// Wait this long for a server that is away, also at the start; limits its Retry-After too
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = duration)]
    pub outage: Duration,
    /// Time to finish the current uploads after SIGINT or SIGTERM; a second signal ends at once
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub grace: Duration,
    /// Report files that take longer than this
    #[arg(long, value_name = "TIME", default_value = "120s", value_parser = duration)]
    pub slow: Duration,
    /// Write Prometheus metrics to FILE every few seconds and at the end
    ///
    /// OpenMetrics text, replaced as a whole, as node_exporter's textfile collector reads it from
    /// NAME.prom. All names begin with mbs_upload_: files_total by outcome, duplicates_total by source,
    /// duration_seconds (histogram of uploaded files by size), sent_bytes_total, retries_total,
    /// slow_total, in_flight, jobs (current maximum), rate (files per second, average of the last 100),
    /// running (0 at the end), start_time_seconds, last_end_time_seconds, write_time_seconds.
    #[arg(long, value_name = "FILE.prom")]
    pub metrics: Option<PathBuf>,
    /// Make the server store symbolic links to the files instead of copies, if it supports that
    ///
    /// Files outside every --path-map, members of archives and symbolic links fail; they are not copied
    /// instead. The first file is sent alone. Each link is followed, through --store or by a download
    /// from the server, and removed again if it leads to other bytes. With --store, the run ends when the
    /// server makes a copy. Keep the linked files where they are, unchanged: the server has no copy.
    #[arg(long, requires = "path_map")]
    pub symlink: bool,
    /// Path of a folder on this host and on the server, for example /home/me/Books=/calibre; can be
    /// repeated, the innermost folder counts
    #[arg(
        long,
        value_name = "HOST=SERVER",
        value_parser = OsStringValueParser::new().try_map(Mapping::parse)
    )]
    pub path_map: Vec<Mapping>,
    /// The server's data folder (it holds books, uploads and thumbs), if this host can see it
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Keep Calibre books of the same title, authors, language and series apart
    ///
    /// The server would take them for one book. The first in the input keeps its title, each later one is
    /// titled "Title (book_id)", with a note. Give it in every run over the library. Books are compared
    /// within one run: with shards, equal books in different shards are not kept apart.
    #[arg(long)]
    pub separate: bool,
    /// Only show what would be uploaded
    #[arg(long)]
    pub dry_run: bool,
    /// Test the setup, and list the files that the server will reject; uploads nothing
    ///
    /// Tests server, engine, limits, formats and languages; with --db the database and its locks, with
    /// --store the folder and its free space, with --symlink whether the server makes links, with --journal
    /// whether it belongs to this server. Lists metadata that will be cut. Only reads the journal.
    #[arg(long, conflicts_with = "dry_run")]
    pub check: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub database: mbs_hashes::Database,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub output: wire::Output,
}

const AFTER: &str = "\
Examples:
  calibre-list ~/Library | hash-files | mbs-upload --user me --password-file ~/.mbs >uploads.ndjson
  mbs-hashes >known.ndjson; mbs-upload --known known.ndjson <hashed.ndjson >uploads.ndjson
  mbs-upload --journal ~/mbs.journal <hashed.ndjson >>uploads.ndjson    # again after any end
  mbs-upload --known <(mbs-hashes --follow) --db postgresql://ebooks@db/ebooks <hashed.ndjson
  mbs-upload --check --db postgresql://ebooks@db/ebooks <hashed.ndjson | grep -v '\"ok\"'
  mbs-upload --dry-run <hashed.ndjson | jq -r .outcome | sort | uniq -c

Two uploaders can upload a book twice unless both have --db (or MBS_DB): then locks in
the database keep them apart, on any number of machines. The role needs SELECT on source,
ebook and format. Locks do not work behind a connection pooler: give the database server
itself.

https and wss trust the system's certificates, or those in SSL_CERT_FILE and SSL_CERT_DIR
instead; list a self-signed certificate there. Connections are direct: http_proxy and
similar variables are ignored.

Exit codes:
  0    done, including duplicates, too large and unsupported files
  1    some files failed, here or in an earlier step; their records say why
  2    usage error
  3    refused: the journal belongs to another server or is in use; --db is not the server's
       database or its locks do not work; --symlink, but the server does not make links or
       does not see the files
  255  gave up: login refused, server away for longer than --outage, standard output closed,
       journal's disk full, a file copied instead of linked";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }
}
