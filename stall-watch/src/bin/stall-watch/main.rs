//! `stall-watch`: lets a command live while it makes progress.

mod args;
mod attempt;
mod code;
mod notify;
mod run;
mod streams;

use std::process::ExitCode;

use args::Args;
use code::{Code, OWN_FAILURE};
use wire::crash;

fn main() -> ExitCode {
    // What it cannot go on after ends it with one line. Where that cannot be arranged, nothing is lost yet.
    let _ = crash::exit_with("stall-watch", OWN_FAILURE);
    let args = match Args::read() {
        Ok(args) => args,
        Err(code) => return code.end(),
    };
    match watch(&args) {
        Ok(code) => code.end(),
        Err(error) => {
            args.complain(format_args!("{error:#}"));
            Code::OWN_FAILURE.end()
        }
    }
}

fn watch(args: &Args) -> anyhow::Result<Code> {
    if let Some(form) = args.schema {
        return args::print_schema(form);
    }
    run::run(args)
}
