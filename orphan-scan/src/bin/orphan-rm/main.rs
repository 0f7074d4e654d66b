//! `orphan-rm`: moves what nobody needs from a Calibre library into a quarantine. Each file is proven in the
//! moment it goes, written down before, and put back by orphan-restore.

mod args;
mod findings;
mod remove;
mod run;

use std::process::ExitCode;

use clap::Parser;
use wire::{
    Tool,
    records::{ERROR, FINDING, JOURNAL_MOVE, JOURNAL_RUN, REMOVAL, SUMMARY},
};

use args::Args;

const TOOL: Tool = Tool {
    name: "orphan-rm",
    emits: &[
        &REMOVAL,
        &FINDING,
        &ERROR,
        &SUMMARY,
        &JOURNAL_RUN,
        &JOURNAL_MOVE,
    ],
    acts: true,
};

fn main() -> ExitCode {
    let args = Args::parse();
    TOOL.run(&args.output.clone(), |out| run::run(&args, out))
}
