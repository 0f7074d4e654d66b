//! Uploads e-book files with their metadata into MyBookshelf2, each once.

use std::{io::BufReader, process::ExitCode};

use clap::Parser;
use mbs_upload::{
    api::{
        has,
        login::Login,
        reach::{Target, reach},
        rest::Api,
    },
    args::Args,
    check, known,
    rate::Monitor,
    resume,
    retry::shutdown::Shutdown,
    run,
};
use wire::{
    Exit, Writer,
    records::{ERROR, JOURNAL, JOURNAL_END, JOURNAL_STEP, PREFLIGHT, SUMMARY, UPLOAD},
};

const TOOL: wire::Tool = wire::Tool {
    name: "mbs-upload",
    emits: &[
        &UPLOAD,
        &PREFLIGHT,
        &ERROR,
        &SUMMARY,
        &JOURNAL,
        &JOURNAL_STEP,
        &JOURNAL_END,
    ],
    acts: true,
};

fn main() -> ExitCode {
    let args = Args::parse();
    TOOL.run(&args.output.clone(), |out| upload(&args, out))
}

fn upload(args: &Args, out: Writer) -> Result<Exit, anyhow::Error> {
    let shutdown = Shutdown::new()?;
    let target = target(args, &shutdown)?;
    let jobs = args.jobs()?;
    let heard = known::read(&args.known, &out)?;
    let input = BufReader::new(wire::stop::stdin());
    let file = args.journal.as_deref();
    let opened = file.map(|file| resume::open(file, args.dry_run || args.check));
    let opened = opened.transpose()?;
    if args.check {
        shutdown.after_signal(args.grace)?;
        let known = heard.believe(&[], &out)?;
        let journal = opened.map(|opened| (opened, args.new_server));
        return check::run(target, journal, &known, input, out);
    }
    let monitor = Monitor::new(args.slow, args.metrics.as_deref(), jobs)?;
    shutdown.after_signal(args.grace)?;
    let mut server = reach(target, &out)?;
    if let Some(opened) = opened {
        server.journal = resume::begin(opened, args.new_server, &server, &out)?;
    }
    let known = has::believe(heard, &server, &out)?;
    let manner = run::Mode {
        jobs: jobs.most(),
        dry_run: args.dry_run,
        separate: args.separate,
    };
    let end = run::run(&server, known, manner, &monitor, input, out);
    if end.is_ok() {
        resume::settle::look_back(&server.journal, &server);
    }
    end
}

/// The server as the command line has it.
fn target(args: &Args, shutdown: &Shutdown) -> Result<Target, anyhow::Error> {
    let (base, ws) = args.addresses()?;
    let (user, password) = args.credentials()?;
    let limits = args.limits();
    Ok(Target {
        api: Api::new(&base, Login::new(&user, &password), limits, shutdown),
        ws,
        user,
        limits,
        policy: args.policy(),
        outage: args.outage,
        shutdown: shutdown.clone(),
        links: args.links()?,
        database: args.claims()?,
        store: args.store.clone(),
        default_language: args.default_language.clone(),
        max_size: args.max_size,
        dry_run: args.dry_run,
    })
}
