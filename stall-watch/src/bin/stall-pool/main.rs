//! `stall-pool`: keeps workers alive, and only as many as the disk can bear.

mod args;
mod clock;
mod load_sampler;
mod log;
mod params;
mod pool;
mod process;
mod restore;
mod run;
mod scale;
mod state;
mod status;
mod worker;
mod worker_lock;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use args::{Args, TOOL};
use clap::Parser;
use wire::{Exit, Fatal, crash, path::printable};

fn main() -> ExitCode {
    // Where that cannot be arranged, nothing is lost yet.
    let _ = crash::exit_with(TOOL.name, Exit::GaveUp as u8);
    let args = Args::parse();
    if args.runs() {
        // Signals mean something else to a pool than to a tool that reads and writes.
        let ended = args.check().and_then(|()| run::run(&args));
        return ended.unwrap_or_else(|error| explain(&error)).into();
    }
    // What is only shown may be cut short by `head`.
    let reader = wire::Tool {
        acts: false,
        ..TOOL
    };
    reader.run(&args.output, |writer| {
        args.check()?;
        match args.status {
            true => status::print(&args, writer),
            false => status::dry_run(&args, writer),
        }
    })
}

fn explain(error: &anyhow::Error) -> Exit {
    // Nobody is left to be told when standard error is closed.
    let message = format!("stall-pool: {error:#}");
    let _ = writeln!(io::stderr(), "{}", printable(&message));
    error
        .downcast_ref::<Fatal>()
        .map_or(Exit::GaveUp, |fatal| fatal.exit)
}
