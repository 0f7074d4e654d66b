//! Removes what nobody needs from a Calibre library: proven in the same moment, moved into a quarantine,
//! written down before it happens, and undone by one command.

mod args;
mod calibre;
mod candidate;
mod confirm;
mod ebooks;
mod forget;
mod journal;
mod limits;
mod links;
mod needed;
mod place;
mod proof;
mod prover;
mod purge;
mod remove;
mod report;
mod restore;
mod server;
mod setup;
mod tally;
mod tracked;
mod trash;

use std::process::ExitCode;

use wire::{
    Exit, Writer,
    records::{
        BACKUP_ROW, ERROR, FINDING, JOURNAL_MOVE, JOURNAL_RUN, REMOVAL, SERVER_FINDING, SUMMARY,
    },
};

use args::Args;

const TOOL: wire::Tool = wire::Tool {
    name: "orphan-rm",
    emits: &[
        &REMOVAL,
        &FINDING,
        &SERVER_FINDING,
        &ERROR,
        &SUMMARY,
        &JOURNAL_RUN,
        &JOURNAL_MOVE,
        &BACKUP_ROW,
    ],
    acts: true,
};

fn main() -> ExitCode {
    let args = Args::read();
    TOOL.run(&args.output.clone(), |out| run(&args, out))
}

fn run(args: &Args, out: Writer) -> Result<Exit, anyhow::Error> {
    if let Some(journal) = &args.restore {
        return restore::restore(args, journal, out);
    }
    if let Some(journal) = &args.purge {
        return setup::purge(args, journal, out);
    }
    if args.server_ebooks {
        return setup::server_ebooks(args, out);
    }
    setup::remove(args, out)
}
