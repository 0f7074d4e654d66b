//! Counts what a MyBookshelf2 server has, as one `mbs_stats` record.

mod api;
mod args;
mod count;
mod report;

use std::process::ExitCode;

use clap::Parser;
use wire::{
    Tool,
    records::{ERROR, MBS_STATS, SUMMARY},
};

use args::Args;

const TOOL: Tool = Tool {
    name: "mbs-stats",
    emits: &[&MBS_STATS, &ERROR, &SUMMARY],
    acts: false,
};

fn main() -> ExitCode {
    let args = Args::parse();
    TOOL.run(&args.output.clone(), |out| {
        let sources = args.sources()?;
        let told = |object: &str, reason: &str| out.warn(object, "count", reason);
        let counts = count::first_to_answer(&sources, told)?;
        report::write(&counts, out)
    })
}
