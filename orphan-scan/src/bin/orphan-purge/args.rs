//! The command line of orphan-purge.

use std::time::Duration;

use clap::Parser;
use orphan_scan::removal::args::{ConfirmArgs, JournalArgs, ReportArgs, ServerArgs};
use wire::value;

const AFTER_HELP: &str = "\
Each file is proven again before it is deleted; any doubt keeps it. Files of which the server has no copy
are never deleted. What is left can still be put back by orphan-restore.

  orphan-purge --db URL --store DIR --verify-only JOURNAL
  orphan-purge --db URL --store DIR --older-than 14d JOURNAL

Exit codes: 0 done, kept files included; 1 some files could not be deleted; 2 usage, or the journal, the
library or the quarantine is not there; 3 refused, nothing was changed; 255 gave up: the database went
away, a disk is full.";

/// Delete for good what orphan-rm removed, as far as the server still has it
///
/// Reads a journal of orphan-rm, and writes a removal record for each file in the quarantine.
#[derive(Clone, Debug, Parser)]
#[command(version, after_help = AFTER_HELP, args_override_self = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) journal: JournalArgs,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Delete only what was removed at least this long ago
    #[arg(long, value_name = "TIME", default_value = "14d", value_parser = value::duration)]
    pub(crate) older_than: Duration,
    /// Prove all and change nothing
    #[arg(long)]
    pub(crate) verify_only: bool,
    #[command(flatten)]
    pub(crate) confirm: ConfirmArgs,
    /// Files of which the databases are asked together
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
