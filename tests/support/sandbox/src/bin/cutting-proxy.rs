//! `cutting-proxy`: what a network does to a client, before any server.

use std::{io::Write, process::ExitCode, time::SystemTime};

use anyhow::{Context, Result};
use clap::Parser;
use sandbox::Cutter;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

/// Passes TCP connections on, and cuts one of so many at a random byte.
///
/// Prints the address that it listens on, and tells of each cut on standard error. Ends with SIGINT or
/// SIGTERM.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Where to listen; port 0: a free one
    #[arg(value_name = "HOST:PORT")]
    listen: String,
    /// Where connections go
    #[arg(value_name = "HOST:PORT")]
    target: String,
    /// Of how many connections one is cut
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
    /// The same cuts again [default: the time]
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            tell(&format!("{reason:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("signals")?;
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let seed = args.seed.unwrap_or(now.as_micros() as u64);
    let cutter = Cutter::start(&args.listen, &args.target, (args.every, seed), tell)
        .with_context(|| format!("{}: listen", args.listen))?;
    tell(&format!("--seed {seed}"));
    writeln!(std::io::stdout(), "{}", cutter.address()).context("stdout")?;
    signals.forever().next();
    tell(&format!("{} connections were cut", cutter.cuts()));
    Ok(())
}

fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "cutting-proxy: {text}");
}
