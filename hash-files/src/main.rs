//! `hash-files`: the SHA-1 of the files that arguments, names or records point to.

mod ahead;
mod archives;
mod args;
mod feed;
mod order;
mod permits;
mod pool;
mod source;
mod task;

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use hash_files::{Cache, cache::OpenError};
use wire::{
    Exit, Fatal, Tool, Writer,
    records::{BOOK_FILE, ERROR, FILE_HASH, SUMMARY},
};

use args::Args;
use pool::Pool;

const TOOL: Tool = Tool {
    name: "hash-files",
    emits: &[&FILE_HASH, &BOOK_FILE, &ERROR, &SUMMARY],
    acts: false,
};

fn main() -> ExitCode {
    let args = Args::parse();
    TOOL.run(&args.output.clone(), |out| hash(args, out))
}

fn hash(args: Args, out: Writer) -> anyhow::Result<Exit> {
    let still = Duration::from_secs(args.cache_still);
    let cache = match args.cache.as_deref().map(|file| Cache::open(file, still)) {
        None => None,
        Some(Ok(cache)) => Some(cache),
        Some(Err(wrong @ OpenError::Wrong { .. })) => {
            return Err(Fatal::new(Exit::Usage, wrong).into());
        }
        Some(Err(OpenError::Unusable { path, why })) => {
            let reason = format!("{why}; going on without it");
            out.warn(&path.to_string_lossy(), "open the hash cache", &reason);
            None
        }
    };
    let pool = Pool::new(&out, cache.as_ref(), &args.pool())?;
    let source = args.source()?;
    let summary = pool.run(|feed| source.read(&out, feed))?;
    Ok(out.finish(summary)?)
}
