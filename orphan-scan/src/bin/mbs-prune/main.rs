//! `mbs-prune`: what in the server lacks its other half, listed, and removed where that is asked for.

mod args;
mod files;
mod list;
mod remove;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use wire::{
    Exit, Tool, Writer,
    records::{BACKUP_ROW, ERROR, REMOVAL, SERVER_FINDING, SUMMARY},
};

use args::Args;
use list::Lister;

const TOOL: Tool = Tool {
    name: "mbs-prune",
    emits: &[&SERVER_FINDING, &REMOVAL, &ERROR, &SUMMARY, &BACKUP_ROW],
    acts: true,
};

fn main() -> ExitCode {
    let args = Args::parse();
    TOOL.run(&args.output.clone(), |out| run(&args, out))
}

fn run(args: &Args, out: Writer) -> Result<Exit> {
    let settings = args.database.settings()?;
    let mut lister = Lister::new(args, &out);
    lister.list(&settings)?;
    let Lister {
        mut summary,
        chosen,
        ..
    } = lister;
    if args.apply && !wire::stop::requested() {
        remove::remove(args, &settings, &chosen, &out)?.fill(&mut summary);
    }
    Ok(out.finish(summary)?)
}
