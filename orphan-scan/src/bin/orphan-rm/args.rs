//! The command line of orphan-rm.

use std::path::PathBuf;

use clap::Parser;
use orphan_scan::removal::{
    args::{ConfirmArgs, ReportArgs, ServerArgs},
    limits::Limits,
    proof::Class,
};
use wire::value;

const AFTER_HELP: &str = "\
Files are moved into a quarantine beside the library, one folder a run; orphan-purge frees the space. Each
file is proven again in the moment it goes; any doubt keeps it and says why.

  orphan-scan … > findings.ndjson
  orphan-rm --library DIR --db URL --store DIR < findings.ndjson            # what would go
  orphan-rm --library DIR --db URL --store DIR --apply < findings.ndjson    # move it away
  orphan-restore JOURNAL                                                   # put all back
  orphan-purge --db URL --store DIR --older-than 14d JOURNAL               # free the space

Exit codes: 0 done, kept files included; 1 some files could not be moved; 2 usage; 3 refused, nothing
was changed; 255 gave up: the database went away, a disk is full.";

/// Remove files that nobody needs from a Calibre library, each with proof, so that it can be undone
///
/// Reads findings of orphan-scan on standard input and writes a removal record for each that is of one
/// of the classes asked for; the others pass through. Without --apply nothing is changed.
#[derive(Clone, Debug, Parser)]
#[command(version, after_help = AFTER_HELP, args_override_self = true)]
pub(crate) struct Args {
    /// The library's folder
    #[arg(
        long,
        env = "CALIBRE_LIBRARY",
        hide_env_values = true,
        value_name = "DIR"
    )]
    pub(crate) library: Option<PathBuf>,
    /// Its database, if it is not in the folder
    #[arg(
        long,
        env = "CALIBRE_OVERRIDE_DATABASE_PATH",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub(crate) metadata_db: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Move the files; without this nothing is changed
    #[arg(long)]
    pub(crate) apply: bool,
    /// Prove all and change nothing, even with --apply
    #[arg(long)]
    pub(crate) verify_only: bool,
    /// Classes to remove: untracked_on_server, duplicate_of_server, untracked (never purged)
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = class, default_value = "untracked_on_server")]
    pub(crate) classes: Vec<Class>,
    /// The quarantine, on the library's file system and outside of the library [default: beside it]
    #[arg(long, value_name = "DIR")]
    pub(crate) trash: Option<PathBuf>,
    /// The journal of this run, a new file in an existing folder [default: in the run's folder in the
    /// quarantine]; the journal of a run that was killed resumes it
    #[arg(long, value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,
    /// Refuse to begin with more candidates than this
    #[arg(long, value_name = "N")]
    pub(crate) max_count: Option<u64>,
    /// Refuse to begin with more bytes than this
    #[arg(long, value_name = "SIZE", value_parser = value::size)]
    pub(crate) max_bytes: Option<u64>,
    /// Refuse to begin with more than this percentage of the library's files
    #[arg(long, value_name = "N", default_value_t = 25.0, value_parser = value::percentage)]
    pub(crate) max_percent: f64,
    #[command(flatten)]
    pub(crate) confirm: ConfirmArgs,
    /// Files between two listings of the store's links
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) batch: u32,
    /// Wait while Calibre has the library open, instead of refusing
    #[arg(long)]
    pub(crate) wait_for_calibre: bool,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
    #[command(flatten)]
    pub(crate) output: wire::Output,
}

impl Args {
    /// What a run must not exceed.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            count: self.max_count,
            bytes: self.max_bytes,
            percent: self.max_percent,
        }
    }
}

fn class(text: &str) -> Result<Class, String> {
    Class::named(text).ok_or_else(|| {
        format!("{text:?} is never removed; only untracked_on_server, duplicate_of_server and untracked are")
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn only_three_classes_may_be_removed() {
        assert!(class("not_uploaded").is_err() && class("in_use").is_err());
        assert!(class("untracked").is_ok());
    }
}
