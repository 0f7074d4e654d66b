//! `calibre-list`: every book file that a Calibre library has on record, as records.

mod args;
mod fit;
mod list;
mod record;
mod select;
mod settings;
mod status;
mod worker;

use std::process::ExitCode;

use anyhow::Result;
use calibre_list::{
    Error, Library, Snapshot,
    rows::{self, Custom},
    snapshot::Way,
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
    warn_of_network(&out, &library);
    let snapshot = Snapshot::take(&library.database, &copy)
        .map_err(|error| Fatal::new(error.exit(), error))?;
    tell_of_copy(&out, &library, &snapshot);
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

fn warn_of_network(out: &Writer, library: &Library) {
    if let Some(kind) = library.network() {
        let reason = format!("it is on {kind}, where locks may not work: close Calibre first");
        out.warn(&library.database.display().to_string(), "open", &reason);
    }
}

fn tell_of_copy(out: &Writer, library: &Library, snapshot: &Snapshot) {
    let database = library.database.display().to_string();
    out.verbose(
        &database,
        "copy",
        &format!("{:?} in {:?}", snapshot.way, snapshot.took),
    );
    if snapshot.way == Way::HotJournal {
        let reason = "a program crashed while writing; listed is what was there before";
        out.warn(&database, "read", reason);
    }
}
