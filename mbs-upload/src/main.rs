//! Uploads e-book files with their metadata into MyBookshelf2, each once.

use std::{io::BufReader, process::ExitCode};

use clap::Parser;
use mbs_upload::{
    api::has,
    args::{Args, TOOL},
    check, known,
    rate::Monitor,
    resume::{self, Journal},
    retry::shutdown::Shutdown,
    run::{self, session::reach},
};
use wire::{Exit, Writer};

fn main() -> ExitCode {
    let args = Args::parse();
    TOOL.run(&args.output.clone(), |out| upload(&args, out))
}

fn upload(args: &Args, out: Writer) -> Result<Exit, anyhow::Error> {
    let shutdown = Shutdown::new()?;
    let (target, mode, jobs) = (args.target(&shutdown)?, args.mode()?, args.jobs()?);
    let heard = known::read(&args.known, &out)?;
    let input = BufReader::new(wire::stop::stdin());
    let file = args.journal.as_deref();
    let opened = file
        .map(|file| resume::open(file, args.dry_run || args.check))
        .transpose()?;
    if args.check {
        shutdown.after_signal(args.grace)?;
        let known = heard.believe(&[], &out)?;
        let journal = opened.map(|opened| (opened, args.new_server));
        return check::run(target, journal, &known, input, out);
    }
    let monitor = Monitor::new(args.slow, args.metrics.as_deref(), jobs)?;
    shutdown.after_signal(args.grace)?;
    let session = reach(target, &out)?;
    let journal = match opened {
        Some(opened) => resume::begin(
            opened,
            args.new_server,
            &session.asked(),
            args.retry_wait,
            &out,
        )?,
        None => Journal::default(),
    };
    let known = has::believe(heard, &session.asked(), &out)?;
    run::run(&session, &journal, known, mode, &monitor, input, out)
}
