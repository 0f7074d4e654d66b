//! `make-library DIR --kind demo|ugly|large`: a Calibre library where there was none.

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
    /// How many books, for --kind large
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    books: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// About 40 small real e-books that show every outcome of a migration
    Demo,
    /// 500 books in which everything is wrong that can be
    Ugly,
    /// A database of many books without their files, to measure with
    Large,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    match args.kind {
        Kind::Demo => library::demo::make(&args.folder),
        Kind::Ugly => library::ugly::make(&args.folder),
        Kind::Large => library::large::make(&args.folder, args.books),
    }
}
