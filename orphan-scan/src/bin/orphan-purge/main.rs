//! `orphan-purge`: frees the space of what orphan-rm moved away.

mod args;
mod purge;
mod run;

use std::process::ExitCode;

use clap::Parser;
use wire::{
    Tool,
    records::{ERROR, REMOVAL, SUMMARY},
};

use args::Args;

const TOOL: Tool = Tool {
    name: "orphan-purge",
    emits: &[&REMOVAL, &ERROR, &SUMMARY],
    acts: true,
};

fn main() -> ExitCode {
    let args = Args::parse();
    TOOL.run(&args.output.clone(), |out| run::run(&args, out))
}
