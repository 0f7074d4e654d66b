//! The command line.

use std::{fs, path::PathBuf, time::Duration};

use clap::{
    Parser,
    builder::{OsStringValueParser, TypedValueParser},
};
use wire::{Exit, Fatal};

use crate::pace::jobs::{Jobs, Wish};

use crate::{
    input::links::Links,
    path_map::{Mapping, PathMap},
    patience::{attempt::Policy, stall::Limits},
};

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
        value_name = "URL",
        default_value = "http://localhost:6006"
    )]
    pub api: String,
    /// The server's task engine
    #[arg(
        long,
        env = "MBS_WS",
        value_name = "URL",
        default_value = "ws://localhost:8080/ws"
    )]
    pub ws: String,
    /// Whom to log in as
    #[arg(long, env = "MBS_USER", value_name = "NAME")]
    pub user: Option<String>,
    /// File with the password; else MBS_PASSWORD holds it
    #[arg(long, env = "MBS_PASSWORD_FILE", value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// What the server has, from mbs-hashes; a pipe of mbs-hashes --follow is read on during the run;
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
    pub jobs: Wish,
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
    /// How long a server that is away is waited for
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
    /// are not sent, and not copied instead. With --store each link is looked at; a server that made a
    /// copy is told of, and nothing more is added to it. What is linked to must stay where and as it is:
    /// the server has no bytes of its own then.
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
    /// Ask the server, but send and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Look whether all is ready: server, engine, limits, formats, languages, with --db the database, with
    /// --store its disk; then name the files that can never get there. Sends and changes nothing
    #[arg(long, conflicts_with_all = ["dry_run", "journal"])]
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
whatever lists and machines they work on. The role needs SELECT on source.

Exit codes:
  0    done; duplicates, too big and unsupported files included
  1    some files failed, each with a record that says why
  2    usage
  3    refused: the journal is another server's, or another process writes it; --db is not the server's;
       --symlink, and nothing shows that the server makes links
  255  gave up: login refused, server away for longer than --outage, standard output closed,
       journal's disk full, a file copied that was to be linked to";

fn size(text: &str) -> Result<u64, String> {
    text.parse::<bytesize::ByteSize>().map(|size| size.as_u64())
}

fn time(text: &str) -> Result<Duration, String> {
    let time: jiff::SignedDuration = match text.parse::<f64>() {
        Ok(seconds) => jiff::SignedDuration::try_from_secs_f64(seconds),
        Err(_) => text.parse(),
    }
    .map_err(|error| error.to_string())?;
    Duration::try_from(time).map_err(|_| "a time cannot be negative".into())
}

/// A limit of nothing would let nothing pass.
fn some_time(text: &str) -> Result<Duration, String> {
    match time(text)? {
        Duration::ZERO => Err("nothing is done in no time".into()),
        time => Ok(time),
    }
}

impl Args {
    /// How links are to be made, if they are.
    ///
    /// # Errors
    /// The store is none.
    pub fn links(&self) -> Result<Option<Links>, Fatal> {
        if let Some(store) = self
            .store
            .as_ref()
            .filter(|store| !store.join("books").is_dir())
        {
            let why = "no books in it; it is to be the server's data folder";
            return Err(Fatal::new(
                Exit::Usage,
                format!("--store {}: {why}", store.display()),
            ));
        }
        let map = || PathMap::new(self.path_map.clone());
        Ok(self.symlink.then(|| Links::new(map(), self.store.clone())))
    }

    /// The database that keeps several uploaders apart, where one is named for that: the account's own
    /// settings for PostgreSQL may be meant for something else.
    ///
    /// # Errors
    /// As [`mbs_hashes::Database::settings`].
    pub fn claims(&self) -> Result<Option<mbs_hashes::Settings>, Fatal> {
        let named = self.database.db.is_some()
            || std::env::var_os("MBS_DB").is_some_and(|value| !value.is_empty());
        named.then(|| self.database.settings()).transpose()
    }

    /// How long a file may take.
    pub fn limits(&self) -> Limits {
        Limits {
            stall: self.stall,
            max_time: self.max_time,
        }
    }

    /// When what failed is tried again.
    pub fn policy(&self) -> Policy {
        Policy {
            retries: self.retries,
            wait: self.retry_wait,
        }
    }

    /// User and password.
    ///
    /// # Errors
    /// One of them is missing, or the file cannot be read.
    pub fn credentials(&self) -> Result<(String, String), Fatal> {
        let usage = |message: &str| Fatal::new(Exit::Usage, message);
        let user = self
            .user
            .clone()
            .ok_or_else(|| usage("--user: not given, nor is MBS_USER"))?;
        let password = match &self.password_file {
            Some(file) => fs::read_to_string(file).map_err(|error| {
                usage(&format!("{}: read the password: {error}", file.display()))
            })?,
            None => std::env::var("MBS_PASSWORD").map_err(|_| {
                usage("--password-file: not given, nor is MBS_PASSWORD_FILE or MBS_PASSWORD")
            })?,
        };
        let password = password.trim_end_matches(['\r', '\n']).to_string();
        match password.is_empty() {
            true => Err(usage("--password-file: the password is empty")),
            false => Ok((user, password)),
        }
    }

    /// How many files are to be in flight.
    ///
    /// # Errors
    /// The bounds are the wrong way round.
    pub fn jobs(&self) -> Result<Jobs, Fatal> {
        match self.jobs {
            Wish::Number(jobs) => Ok(Jobs::Fixed(jobs)),
            Wish::Auto if self.min <= self.max => Ok(Jobs::Between(self.min, self.max)),
            Wish::Auto => Err(Fatal::new(
                Exit::Usage,
                format!("--min {}: more than --max {}", self.min, self.max),
            )),
        }
    }

    /// The two addresses, the API's without a slash at its end.
    ///
    /// # Errors
    /// They are none, or there is a password in them.
    pub fn addresses(&self) -> Result<(String, String), Fatal> {
        let api = address("--api", &self.api, ["http://", "https://"])?;
        let ws = address("--ws", &self.ws, ["ws://", "wss://"])?;
        Ok((api.trim_end_matches('/').into(), ws.into()))
    }
}

/// The refused address is not repeated: it may hold the password.
fn address<'a>(flag: &str, url: &'a str, schemes: [&str; 2]) -> Result<&'a str, Fatal> {
    let usage = |message: String| Err(Fatal::new(Exit::Usage, message));
    let Some(rest) = schemes.iter().find_map(|scheme| url.strip_prefix(scheme)) else {
        return usage(format!(
            "{flag}: begins with neither {} nor {}",
            schemes[0], schemes[1]
        ));
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.contains('@') {
        return usage(format!(
            "{flag}: has a user or a password in it: use --user and --password-file"
        ));
    }
    if host.is_empty() || url.contains(char::is_whitespace) {
        return usage(format!("{flag}: is no URL"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_read_as_people_write_them() {
        assert_eq!(size("100MiB"), Ok(104_857_600));
        assert_eq!(size("104857600"), Ok(104_857_600));
        assert!(size("many").is_err());
        assert_eq!(time("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(time("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(time("100ms"), Ok(Duration::from_millis(100)));
        assert!(time("-1s").is_err() && time("soon").is_err());
        assert!(some_time("0").is_err() && some_time("10m").is_ok());
    }

    #[test]
    fn a_password_in_an_address_is_refused_and_not_repeated() {
        let refused =
            address("--api", "http://me:secret@host/", ["http://", "https://"]).unwrap_err();
        assert_eq!(refused.exit, Exit::Usage);
        assert!(!refused.message.contains("secret"));
        assert!(address("--ws", "http://host", ["ws://", "wss://"]).is_err());
        assert!(address("--api", "http://[::1]:6006", ["http://", "https://"]).is_ok());
    }

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }
}
