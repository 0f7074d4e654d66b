//! `make-library DIR --kind demo`: a Calibre library where there was none.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Makes a Calibre library: the same one every time, without needing Calibre
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Folder of the new library; it must not hold one yet
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// What kind of library
    #[arg(long, value_enum, default_value_t = Kind::Demo)]
    kind: Kind,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// About 40 small real e-books that show every outcome of a migration
    Demo,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    match args.kind {
        Kind::Demo => library::demo::make(&args.folder),
    }
}
