//! `orphan-scan`: what every file in a Calibre library is, and which of them nobody needs.

mod args;
mod finding;
mod known;
mod ledger;
mod list;
mod matching;
mod needed;
mod outcome;
mod preconditions;
mod run;
mod scan;
mod shard;

use std::process::ExitCode;

use clap::Parser;
use wire::{
    Tool,
    records::{ERROR, FINDING, SUMMARY},
};

use args::Args;

const TOOL: Tool = Tool {
    name: "orphan-scan",
    emits: &[&FINDING, &ERROR, &SUMMARY],
    acts: false,
};

fn main() -> ExitCode {
    let args = Args::parse();
    TOOL.run(&args.output.clone(), |out| run::run(out, &args))
}
