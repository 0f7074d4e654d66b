//! The command line.

mod settings;
mod values;

use std::{path::PathBuf, time::Duration};

use clap::{
    Parser,
    builder::{OsStringValueParser, TypedValueParser},
};

use crate::{path_map::Mapping, rate::jobs::JobsArg};
use values::{size, some_time, time};

/// Upload e-book files with their metadata into MyBookshelf2, each once.
///
/// Reads file_hash and finding records on standard input and writes an upload record for each. What
/// the server has already, by SHA-1 and size, is a duplicate and no error.
#[derive(Clone, Debug, Parser)]
#[command(version, about, after_help = AFTER, args_override_self = true)]
pub struct Args {
    /// The server's REST API
    #[arg(
        long,
        env = "MBS_API",
        hide_env_values = true,
        value_name = "URL",
        default_value = "http://localhost:6006"
    )]
    pub api: String,
    /// The server's task engine
    #[arg(
        long,
        env = "MBS_WS",
        hide_env_values = true,
        value_name = "URL",
        default_value = "ws://localhost:8080/ws"
    )]
    pub ws: String,
    /// Whom to log in as
    #[arg(long, env = "MBS_USER", hide_env_values = true, value_name = "NAME")]
    pub user: Option<String>,
    /// File with the password; else MBS_PASSWORD holds it
    #[arg(
        long,
        env = "MBS_PASSWORD_FILE",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub password_file: Option<PathBuf>,
    /// What the server has, from mbs-hashes, believed as far as samples are there; a pipe of
    /// mbs-hashes --follow is read on during the run;
    /// may be given several times
    #[arg(long, value_name = "FILE")]
    pub known: Vec<PathBuf>,
    /// Write down what is done, and go on from there after an interruption
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// What the journal says is about another server, or this one was emptied: believe none of it
    #[arg(long, requires = "journal")]
    pub new_server: bool,
    /// Files in flight at a time, or auto to find the best number; the server answers 15 requests at
    /// most
    #[arg(short, long, value_name = "N|auto", default_value = "4")]
    pub jobs: JobsArg,
    /// The fewest in flight with -j auto
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub min: u8,
    /// The most in flight with -j auto
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub max: u8,
    /// Language of books that have none, by the server's code
    #[arg(long, value_name = "CODE")]
    pub default_language: Option<String>,
    /// Send no file larger than this, like 100MiB [default: what the server takes]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_size: Option<u64>,
    /// Tries after the first one
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub retries: u32,
    /// Wait before the first of them; it doubles each time
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = time)]
    pub retry_wait: Duration,
    /// Longest time without a byte sent or a word from the server; then the file is tried again
    #[arg(long, value_name = "TIME", default_value = "240s", value_parser = some_time)]
    pub stall: Duration,
    /// Longest time for one try of a file, the engine's queue left out
    #[arg(long, value_name = "TIME", default_value = "600s", value_parser = some_time)]
    pub max_time: Duration,
    /// How long a server that is away is waited for, also at the start and whatever its Retry-After says
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = time)]
    pub outage: Duration,
    /// How long files under way may take to finish after SIGINT or SIGTERM; a second one ends at once
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    pub grace: Duration,
    /// Tell of files that take longer
    #[arg(long, value_name = "TIME", default_value = "120s", value_parser = time)]
    pub slow: Duration,
    /// Write figures for Prometheus to this file, every few seconds and at the end
    ///
    /// OpenMetrics text, replaced as a whole, as node_exporter's textfile collector reads it from
    /// NAME.prom. All names begin with mbs_upload_: files_total by outcome, duplicates_total by who
    /// told, duration_seconds (a histogram of uploaded files by their largest size), sent_bytes_total,
    /// retries_total, slow_total, in_flight, jobs (the most at a time), rate (files a second over the
    /// last 100), running (0 at the end), and the times start_time_seconds, last_end_time_seconds and
    /// write_time_seconds.
    #[arg(long, value_name = "FILE.prom")]
    pub metrics: Option<PathBuf>,
    /// Have the server keep links to the files in place of copies, if it is one that can
    ///
    /// A file that no --path-map covers, a member of an archive and a symbolic link are failures: they
    /// are not sent, and not copied instead. The first file goes alone. What each link leads to is read,
    /// through --store or by downloading it from the server, and a link to other bytes is taken away
    /// again. With --store a server that made a copy is told of, and nothing more is added to it. What is
    /// linked to must stay where and as it is: the server has no bytes of its own then.
    #[arg(long, requires = "path_map")]
    pub symlink: bool,
    /// What a folder is called where the server runs, like /home/me/Books=/calibre; may be given
    /// several times, the innermost folder counts
    #[arg(
        long,
        value_name = "HOST=SERVER",
        value_parser = OsStringValueParser::new().try_map(Mapping::parse)
    )]
    pub path_map: Vec<Mapping>,
    /// The server's data folder (with books, uploads and thumbs in it), where it is visible here
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Keep Calibre books of the same title, authors, language and series apart
    ///
    /// The server would take them for one book. The first in the input keeps its title, each later one is
    /// titled "Title (book_id)", with a note. Give it in every run over the library. Books are compared
    /// within one run: with shards, equal books in different shards are not kept apart.
    #[arg(long)]
    pub separate: bool,
    /// Ask the server, but send and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Look whether all is ready: server, engine, limits, formats, languages, with --db the database and its
    /// locks, with --store whether it is the server's and its disk, with --symlink whether it makes links,
    /// with --journal whether it is about this server; then name the files that can never get there, and
    /// what of the others will be cut. Sends and changes nothing, and only reads the journal
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

Several uploaders on one server double what they send at the same time, unless all
are given --db (or MBS_DB): then they keep out of each other's way by locks there,
whatever lists and machines they work on. The role needs SELECT on source, ebook and
format. Behind a pooler such locks hold for nobody: name the server itself.

https and wss: trusted is what the system trusts, or SSL_CERT_FILE and SSL_CERT_DIR
in its place; a self-signed certificate is trusted where it is named there. The
server is reached directly: http_proxy and its kin are not heeded.

Exit codes:
  0    done; duplicates, too big and unsupported files included
  1    some items failed, here or in an earlier step, each with a record that says why
  2    usage
  3    refused: the journal is another server's, or another process writes it; --db is not the server's,
       or locks do not hold there;
       --symlink, and nothing shows that the server makes links, or it does not see the files
  255  gave up: login refused, server away for longer than --outage, standard output closed,
       journal's disk full, a file copied that was to be linked to";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }
}
