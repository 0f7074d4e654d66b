//! `orphan-restore`: puts back what orphan-rm moved away.

mod restore;

use std::process::ExitCode;

use clap::Parser;
use orphan_scan::removal::args::{JournalArgs, ReportArgs};
use wire::{
    Tool,
    records::{ERROR, REMOVAL, SUMMARY},
};

const TOOL: Tool = Tool {
    name: "orphan-restore",
    emits: &[&REMOVAL, &ERROR, &SUMMARY],
    acts: true,
};

const AFTER_HELP: &str = "\
Each file goes back to its place under its name, with its times. No file is replaced. A file is found by its
inode, or by its size and SHA-1 where the quarantine was copied.

Exit codes: 0 done; 1 some files could not be put back; 2 usage, or the journal, the library or the
quarantine is not there; 3 refused: another library, or a copy of it; 255 gave up: a disk is full.";

/// Put back the files that orphan-rm removed
///
/// Reads a journal of orphan-rm, undoes its removals, and writes a removal record for each file.
#[derive(Clone, Debug, Parser)]
#[command(version, after_help = AFTER_HELP, args_override_self = true)]
struct Args {
    #[command(flatten)]
    journal: JournalArgs,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    output: wire::Output,
}

fn main() -> ExitCode {
    let args = Args::parse();
    TOOL.run(&args.output, |out| {
        restore::restore(&args.journal, &args.report, out)
    })
}
