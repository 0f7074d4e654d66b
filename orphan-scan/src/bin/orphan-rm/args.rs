//! The command line.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{
    ArgGroup, CommandFactory, FromArgMatches, Parser,
    builder::{OsStringValueParser, TypedValueParser},
    parser::ValueSource,
};
use mbs_hashes::{Database, patience::duration};
use orphan_scan::report::Form;
use wire::path_map::{Mapping, PathMap};

use crate::{limits::Limits, proof::Class};

const AFTER: &str = "\
Files are moved into a quarantine beside the library, one folder a run; no space is free before
--purge. Each file is proven again in the moment it goes; any doubt keeps it and says why.

  orphan-scan … > findings.ndjson
  orphan-rm --library DIR --db URL --store DIR < findings.ndjson            # what would go
  orphan-rm --library DIR --db URL --store DIR --apply < findings.ndjson    # move it away
  orphan-rm --restore JOURNAL                                              # put all back
  orphan-rm --library DIR --db URL --store DIR --purge JOURNAL --older-than 14d    # free the space

Exit codes: 0 done, kept files included; 1 some files could not be moved; 2 usage; 3 refused, nothing
was changed; 255 gave up: the database went away, a disk is full.";

/// Remove files that nobody needs from a Calibre library, each with proof, so that it can be undone.
///
/// Reads findings of orphan-scan on standard input and writes a removal record for each that is of one
/// of the classes asked for; the others pass through. Without --apply nothing is changed.
#[derive(Clone, Debug, Parser)]
#[command(
    version,
    about,
    after_help = AFTER,
    args_override_self = true,
    group = ArgGroup::new("what").args(["restore", "purge", "server_ebooks"])
)]
pub(crate) struct Args {
    /// The library's folder; --restore and --purge need it only where it was moved since, and ask no
    /// variable for it
    #[arg(
        long,
        env = "CALIBRE_LIBRARY",
        hide_env_values = true,
        value_name = "DIR"
    )]
    pub library: Option<PathBuf>,
    /// Its database, where that is not in the folder
    #[arg(
        long,
        env = "CALIBRE_OVERRIDE_DATABASE_PATH",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub metadata_db: Option<PathBuf>,
    #[command(flatten)]
    pub database: Database,
    /// How long the database may take to answer
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub db_timeout: Duration,
    /// The server's data folder (with books, uploads and thumbs in it)
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// What a folder is called where the server runs, like /home/me/Books=/calibre; may be given
    /// several times, the innermost folder counts
    #[arg(
        long,
        value_name = "HOST=SERVER",
        value_parser = OsStringValueParser::new().try_map(Mapping::parse)
    )]
    pub path_map: Vec<Mapping>,
    /// Do it; without this nothing is changed (--restore and --purge need it not)
    #[arg(long)]
    pub apply: bool,
    /// Prove all and change nothing, even with --apply
    #[arg(long, conflicts_with_all = ["restore", "server_ebooks"])]
    pub verify_only: bool,
    /// Which classes may go: untracked_on_server, duplicate_of_server, untracked (into the trash only)
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = class, default_value = "untracked_on_server")]
    pub classes: Vec<Class>,
    /// The quarantine, on the library's file system and outside of the library [default: beside it];
    /// with --restore and --purge the run's folder in it, where that was moved since
    #[arg(long, value_name = "DIR")]
    pub trash: Option<PathBuf>,
    /// The journal of this run, a new file in a folder that is there [default: in the run's folder in the quarantine]
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// Refuse to begin with more candidates than this
    #[arg(long, value_name = "N")]
    pub max_count: Option<u64>,
    /// Refuse to begin with more bytes than this
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub max_bytes: Option<u64>,
    /// Refuse to begin with more than so many per cent of the library's files
    #[arg(long, value_name = "N", default_value_t = 25.0)]
    pub max_percent: f64,
    /// From so many candidates on, the number must be typed
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub confirm_threshold: u64,
    /// What would be typed, with the exact number of candidates
    #[arg(long, value_name = "'DELETE N'")]
    pub confirm: Option<String>,
    /// Files between two looks at all links of the store
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub batch: u32,
    /// Wait while Calibre has the library open, instead of refusing
    #[arg(long)]
    pub wait_for_calibre: bool,
    /// Write a report for people: FILE.txt, FILE.html, or FILE.json; may be given more than once
    #[arg(long, value_name = "FILE", conflicts_with = "server_ebooks",
          value_parser = OsStringValueParser::new().try_map(report))]
    pub report: Vec<PathBuf>,
    /// Put back all that a journal tells of
    #[arg(long, value_name = "JOURNAL")]
    pub restore: Option<PathBuf>,
    /// Delete for good what a journal tells of, as far as all is still proven
    #[arg(long, value_name = "JOURNAL")]
    pub purge: Option<PathBuf>,
    /// --purge: only what was removed at least so long ago
    #[arg(long, value_name = "TIME", default_value = "14d", value_parser = age)]
    pub older_than: Duration,
    /// Remove ebooks without files from the server; reads server_finding records
    #[arg(long)]
    pub server_ebooks: bool,
    /// --server-ebooks: only those made at least so long ago, for an upload makes its ebook first
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = age)]
    pub min_age: Duration,
    /// --server-ebooks: where the rows are written before they are deleted, a new file
    #[arg(long, value_name = "FILE")]
    pub backup: Option<PathBuf>,
    #[command(flatten)]
    pub output: wire::Output,
}

impl Args {
    /// The command line. A journal tells of one library, so what the environment says of another one is
    /// not for `--restore` and `--purge`.
    pub(crate) fn read() -> Args {
        let matches = Args::command().get_matches();
        let args = Args::from_arg_matches(&matches);
        let mut args = args.unwrap_or_else(|error| error.exit());
        let is_given = |id| matches.value_source(id) == Some(ValueSource::CommandLine);
        if args.restore.is_some() || args.purge.is_some() {
            args.library = args.library.filter(|_| is_given("library"));
            args.metadata_db = args.metadata_db.filter(|_| is_given("metadata_db"));
        }
        args
    }

    /// What a run must not exceed.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            count: self.max_count,
            bytes: self.max_bytes,
            percent: self.max_percent,
        }
    }

    /// The folders that the server sees under other names.
    pub(crate) fn map(&self) -> PathMap {
        PathMap::new(self.path_map.clone())
    }
}

fn report(file: OsString) -> Result<PathBuf, String> {
    let file = PathBuf::from(file);
    Form::of(&file).map(|_| file)
}

fn class(text: &str) -> Result<Class, String> {
    Class::named(text).ok_or_else(|| {
        format!("{text:?} is never removed; only untracked_on_server, duplicate_of_server and untracked are")
    })
}

/// Reads `14d`, `36h`, `0`; days are of 24 hours.
fn age(text: &str) -> Result<Duration, String> {
    if text == "0" || text == "0s" {
        return Ok(Duration::ZERO);
    }
    let days = text
        .strip_suffix('d')
        .and_then(|days| days.parse::<u32>().ok());
    match days {
        Some(days) => Ok(Duration::from_secs(u64::from(days) * 86_400)),
        None => duration(text).map_err(|_| "write an age as 14d, 36h or 90m".into()),
    }
}

fn bytes(text: &str) -> Result<u64, String> {
    let size = text.parse::<bytesize::ByteSize>();
    size.map(|size| size.as_u64())
        .map_err(|_| "write a size as 10GiB, 500MB or in bytes".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn ages_and_classes_are_read() {
        assert_eq!(age("14d"), Ok(Duration::from_secs(14 * 86_400)));
        assert_eq!(age("36h"), Ok(Duration::from_secs(36 * 3600)));
        assert_eq!(age("0"), Ok(Duration::ZERO));
        assert!(age("-1d").is_err() && age("soon").is_err());
        assert!(class("not_uploaded").is_err() && class("in_use").is_err());
        assert!(class("untracked").is_ok());
    }
}
