//! `calibre-list`: every book file that a Calibre library has on record, as records.

mod args;
mod fit;
mod list;
mod notices;
mod record;
mod select;
mod settings;
mod status;
mod worker;

use std::process::ExitCode;

use anyhow::Result;
use calibre_list::{
    Error, Snapshot,
    rows::{self, Custom},
};
use clap::Parser;
use wire::{Exit, Fatal, Tool, Writer, records};

use args::Args;
use settings::Settings;

const TOOL: Tool = Tool {
    name: "calibre-list",
    emits: &[&records::BOOK_FILE, &records::ERROR, &records::SUMMARY],
    acts: false,
};

fn main() -> ExitCode {
    let args = Args::parse();
    TOOL.run(&args.output.clone(), |out| run(out, args))
}

fn run(mut out: Writer, args: Args) -> Result<Exit> {
    let Settings {
        library,
        copy,
        plan,
    } = settings::settings(args)?;
    notices::network(&out, &library);
    let snapshot = Snapshot::take(&library.database, &copy)
        .map_err(|error| Fatal::new(error.exit(), error))?;
    notices::copy(&out, &library, &snapshot);
    if plan.all_fields {
        let custom = Custom::read_all(&snapshot.readers[0], &snapshot.schema)
            .map_err(|error| Error::sqlite(&library.database, error))?;
        out.add_columns(rows::EXTRAS);
        out.add_columns(custom.iter().flat_map(Custom::fields_of));
    }
    let summary = plan.summary(&snapshot);
    list::list(&out, &library, snapshot, &plan)?;
    Ok(out.finish(summary)?)
}
