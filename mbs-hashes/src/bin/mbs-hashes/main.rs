//! Streams every stored file that a MyBookshelf2 database has, as `known_hash` records.

mod args;
mod commit_gaps;
mod csv_import;
mod first;
mod follow;
mod pass;
mod query_order;
mod records;

use std::process::ExitCode;

use clap::Parser;
use wire::{
    Tool,
    records::{CAUGHT_UP, ERROR, KNOWN_HASH, SUMMARY},
};

use args::{Args, Origin};

const TOOL: Tool = Tool {
    name: "mbs-hashes",
    emits: &[&KNOWN_HASH, &CAUGHT_UP, &ERROR, &SUMMARY],
    acts: false,
};

fn main() -> ExitCode {
    let args = Args::parse();
    TOOL.run(&args.output.clone(), |out| match args.origin()? {
        Origin::Export(file) => csv_import::stream(&file, out),
        Origin::Database(pass) => match pass.follow {
            None => first::stream(&pass, out),
            Some(interval) => follow::stream(&pass, interval, out),
        },
    })
}
