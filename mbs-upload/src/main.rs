//! Uploads e-book files with their metadata into MyBookshelf2, each once.

use std::{io::BufReader, process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use mbs_hashes::Settings;
use mbs_upload::{
    args::Args,
    claims::{self, Claims, Same, rivals::Rivals},
    input::links::Links,
    journal::{self, Journal},
    known,
    metadata::language,
    pace::Pace,
    patience::{attempt::Policy, halt::Halt, outage::Outage},
    preflight::{self, Target},
    run,
    server::{
        Server, api::Api, check::Batch, engine::Engine, failure::Failure, login::Login,
        offer::Offer, placed::Placed,
    },
};
use wire::{
    Exit, Fatal, OrFatal, Writer,
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
    if args.check {
        return look_ahead(args, out);
    }
    let known = known::read(&args.known, &out)?;
    let opened = args.journal.as_deref();
    let opened = opened
        .map(|file| journal::open(file, args.dry_run))
        .transpose()?;
    let jobs = args.jobs()?;
    let pace = Pace::new(args.slow, args.metrics.as_deref(), jobs)?;
    let halt = Halt::new()?;
    halt.after_signal(args.grace)?;
    let mut server = reach(args, &out, &halt)?;
    if let Some(opened) = opened {
        server.journal = journal::begin(opened, args.new_server, &server, &out)?;
    }
    let manner = run::Manner {
        jobs: jobs.most(),
        dry_run: args.dry_run,
    };
    let end = run::run(
        &server,
        known,
        manner,
        &pace,
        BufReader::new(wire::stop::stdin()),
        out,
    );
    if end.is_ok() {
        journal::settle::look_back(&server.journal, &server);
    }
    end
}

/// Looks whether all is ready, and sends nothing.
fn look_ahead(args: &Args, out: Writer) -> Result<Exit, anyhow::Error> {
    let (base, ws) = args.addresses()?;
    let (user, password) = args.credentials()?;
    let halt = Halt::new()?;
    halt.after_signal(args.grace)?;
    let limits = args.limits();
    let target = Target {
        api: Api::new(&base, Login::new(&user, &password), limits, &halt),
        limits,
        halt,
        ws,
        policy: args.policy(),
        database: args.claims()?,
        store: args.store.clone(),
        default_language: args.default_language.clone(),
        max_size: args.max_size,
    };
    let known = known::read(&args.known, &out)?;
    preflight::run(target, &known, BufReader::new(wire::stop::stdin()), out)
}

/// Logs in, learns what the server offers and connects to its engine.
fn reach(args: &Args, out: &Writer, halt: &Halt) -> Result<Server, Fatal> {
    let (base, ws) = args.addresses()?;
    let (user, password) = args.credentials()?;
    let links = args.links()?;
    let database = args.claims()?.filter(|_| !args.dry_run);
    let policy = args.policy();
    let limits = args.limits();
    let api = Api::new(&base, Login::new(&user, &password), limits, halt);
    let gave_up = |what: &str, result: Result<_, Failure>| result.or_fatal(Exit::GaveUp, what);
    gave_up(
        &format!("{base}: log in as {user}"),
        run::patiently(policy, || api.token().map(drop)),
    )?;
    let offer = run::patiently(policy, || Offer::ask(&api)).or_fatal(
        Exit::GaveUp,
        format_args!("{base}: ask for languages and genres"),
    )?;
    let default_language =
        match &args.default_language {
            Some(code) => Some(language::find(code, &offer.languages).cloned().ok_or_else(
                || {
                    Fatal::new(
                        Exit::Usage,
                        format!("--default-language {code}: the server does not have it"),
                    )
                },
            )?),
            None => None,
        };
    let (voice, shown) = (out.voice(), base.clone());
    let outage = Outage::new(args.outage, policy, halt, move |text| {
        voice.warn(&shown, "away", text);
    });
    let outage = Arc::new(outage);
    let claims = database
        .map(|settings| claim(settings, &api, policy, (args.outage, halt), out))
        .transpose()?;
    let engine = match args.dry_run {
        true => None,
        false => Some(
            run::patiently(policy, || Engine::open(&ws, &api, &outage, halt))
                .or_fatal(Exit::GaveUp, format_args!("{ws}: connect"))?,
        ),
    };
    let batch = Batch::default();
    if links.as_ref().is_some_and(|links| !links.sees()) {
        let known_to_link = run::patiently(policy, || batch.is_there(&api)).or_fatal(
            Exit::GaveUp,
            format_args!("{base}: ask whether it makes links"),
        )?;
        if !known_to_link {
            return Err(Links::unlikely());
        }
        out.warn(&base, "link", "nobody looks whether it does: --store");
    }
    Ok(Server {
        api,
        engine,
        offer,
        batch,
        links,
        policy,
        limits,
        halt: halt.clone(),
        absent_for: args.outage,
        outage,
        default_language,
        max_size: args.max_size,
        newest_upload: 0.into(),
        journal: Journal::default(),
        claims,
        rivals: Rivals::default(),
        placed: Placed::default(),
    })
}

/// Connects to the database that keeps uploaders apart, and makes sure that it is this server's.
fn claim(
    settings: Settings,
    api: &Api,
    policy: Policy,
    (outage, halt): (Duration, &Halt),
    out: &Writer,
) -> Result<Claims, Fatal> {
    let object = settings.to_string();
    if let Some(oddity) = &settings.oddity {
        out.warn("password file", "read", oddity);
    }
    let claims = Claims::open(settings, outage, halt, out.voice())
        .map_err(|failure| failure.fatal(&object, "connect"))?;
    match run::patiently(policy, || claims::same(api, &claims)) {
        Ok(Same::Yes | Same::Unknown(_)) => {
            // Who may not know does not keep us from working.
            if let Ok(false) = run::patiently(policy, || claims.indexed()) {
                let advice = format!("{}: {}", claims::SLOW, claims::INDEX);
                out.warn(&object, "index", &advice);
            }
            Ok(claims)
        }
        Ok(Same::No(why)) => Err(Fatal::new(
            Exit::Refused,
            format!(
                "{object}: compare: not the database of {}: {why}",
                api.base()
            ),
        )),
        Err(failure) => Err(Fatal::new(
            Exit::GaveUp,
            format!("{object}: compare with {}: {failure}", api.base()),
        )),
    }
}
