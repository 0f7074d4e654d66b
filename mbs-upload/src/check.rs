//! A look ahead, `--check`: is the server all there, what does it take, and which files of the input
//! can never get there? Nothing is sent, and nothing on the server is changed.

mod asked;
mod engine;
mod inputs;
mod limits;
mod report;
mod space;
mod store;

use std::{io::BufRead, sync::Arc, time::Duration};

use anyhow::Error;
use wire::{Exit, Fatal, Writer, records::Summary};

use crate::{
    api::{Api, catalog::Catalog, client::Client, engine::Engine, has::Retrying},
    input::links::Links,
    known::Known,
    metadata::language,
    model::failure::Failure,
    resume::{self, Journal, Opened},
    retry::{
        attempt::{Policy, with_retries},
        outage::{Gone, Outage},
    },
    run::session::Target,
};
use asked::look_at;
use inputs::Inputs;
use report::{Finding, Report};

/// A journal that is only read, and whether it is about another server.
type Past = Option<(Opened, bool)>;

/// Looks at the server, then at each record of `input`.
///
/// # Errors
/// The server is out of reach or refuses us, which the records before tell, too; stdout or stdin
/// fails.
pub fn run(
    target: Target,
    journal: Past,
    known: &Known,
    input: impl BufRead,
    out: Writer,
) -> Result<Exit, Error> {
    let report = Report::new(&out);
    match look(target, journal, known, input, &report)? {
        Ok(summary) => Ok(out.finish(summary)?),
        Err(Gone(gone)) => {
            let summary = Summary::default();
            out.finish(summary)?;
            Err(Fatal::new(Exit::GaveUp, gone).into())
        }
    }
}

/// The input's summary, or why nothing more can be known.
type Looked = Result<Summary, Gone>;

fn look(
    mut target: Target,
    journal: Past,
    known: &Known,
    input: impl BufRead,
    report: &Report<'_>,
) -> Result<Looked, Error> {
    let links = target.links.take();
    let Target {
        rest, ws, policy, ..
    } = &target;
    let (base, policy) = (rest.base().to_string(), *policy);
    if let Err(failure) = with_retries(policy, || rest.token().map(drop)) {
        let message = failure.to_string();
        report.say(&Finding::failed("login", &base, &message))?;
        return Ok(Err(Gone(format!("{base}: log in: {failure}"))));
    }
    report.say(&Finding::ok("login", &base))?;
    let mut api = Client {
        rest: rest.clone(),
        engine: None,
    };
    let mut catalog = match with_retries(policy, || Catalog::ask(&api)) {
        Ok(catalog) => catalog,
        Err(failure) => {
            report.say(&Finding::failed("languages", &base, &failure.to_string()))?;
            return Ok(Err(Gone(format!(
                "{base}: ask for languages and genres: {failure}"
            ))));
        }
    };
    let mut gone = None;
    // A preflight waits for no server.
    let outage = Outage::new(Duration::ZERO, policy, &target.shutdown, |_, _| ());
    let outage = Arc::new(outage);
    match with_retries(policy, || Engine::open(ws, rest, &outage, &target.shutdown)) {
        Ok(engine) => {
            report.say(&Finding::ok("websocket", ws))?;
            api.engine = Some(engine);
        }
        Err(failure) => {
            report.say(&Finding::failed("websocket", ws, &failure.to_string()))?;
            gone = Some(format!("{ws}: connect: {failure}"));
        }
    }
    let code = target.default_language.as_deref();
    catalog.languages.default =
        code.and_then(|code| language::find(code, &catalog.languages.offered).cloned());
    let subject = Subject {
        api: &api,
        has_engine: api.engine.is_some(),
        policy,
        catalog: &catalog,
        links: links.as_ref(),
        max_size: target.max_size,
    };
    let seen = match look_at(subject, &target, report, &mut gone) {
        Ok(seen) => seen,
        Err(Trouble::Output(error)) => return Err(error),
        Err(Trouble::Server(failure)) => return Ok(Err(Gone(format!("{base}: {failure}")))),
    };
    let mut past = Journal::default();
    if let Some((opened, new_server)) = journal {
        let file = opened.shown.clone();
        let server = Retrying { api: &api, policy };
        match resume::begin(opened, new_server, &server, policy.wait, report.out()) {
            Ok(journal) => {
                past = journal;
                report.say(&Finding::ok("journal", file))?;
            }
            Err(fatal) => {
                let why = fatal.message.strip_prefix(&format!("{file}: "));
                let why = why.unwrap_or(&fatal.message);
                report.say(&Finding::failed("journal", file, why))?;
                if fatal.exit == Exit::GaveUp {
                    gone.get_or_insert(fatal.message);
                }
            }
        }
    }
    let mut inputs = Inputs::new(subject, &past, known, &seen);
    let read = match inputs.judge_all(input, report) {
        Ok(summary) => summary,
        Err(Trouble::Output(error)) => return Err(error),
        Err(Trouble::Server(failure)) => return Ok(Err(Gone(format!("{base}: {failure}")))),
    };
    if inputs.docs > 0 {
        let why = format!(
            "{} doc files of the input need LibreOffice where the engine runs; nothing shows before \
             they are sent that it is there",
            inputs.docs
        );
        report.say(&Finding::warning("converter", ws, &why))?;
    }
    if let Some(store) = &target.store {
        report.say(&space::look(store, inputs.needed))?;
    }
    Ok(match gone {
        Some(why) => Err(Gone(why)),
        None => Ok(read),
    })
}

/// The server that is looked at.
#[derive(Clone, Copy, Debug)]
struct Subject<'a> {
    api: &'a dyn Api,
    has_engine: bool,
    policy: Policy,
    catalog: &'a Catalog,
    links: Option<&'a Links>,
    max_size: Option<u64>,
}

/// What ends the looking.
#[derive(Debug)]
enum Trouble {
    /// Our own output or input.
    Output(Error),
    /// The server, out of reach in the middle of it.
    Server(Failure),
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Trouble {
        Trouble::Output(error.into())
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Trouble {
        Trouble::Server(failure)
    }
}
