//! A look ahead, `--check`: is the server all there, what does it take, and which files of the input
//! can never get there? Nothing is sent, and nothing on the server is changed.

mod engine;
mod inputs;
mod limits;
mod report;
mod space;

use std::{io::BufRead, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Error;
use mbs_hashes::Settings;
use wire::{Exit, Fatal, Writer, records::Summary};

use crate::{
    claims::{self, Claims, Same, rivals::Rivals},
    journal::Journal,
    known::{Content, Known},
    metadata::language,
    patience::{
        attempt::{Policy, chance},
        halt::Halt,
        outage::Outage,
        stall::Limits,
    },
    run::patiently,
    server::{
        Server,
        api::Api,
        check::{Batch, Question},
        engine::Engine,
        failure::Failure,
        offer::Offer,
        placed::Placed,
        shown,
    },
};
use engine::Knows;
use inputs::Inputs;
use report::{Finding, Report};

/// What to look at.
#[derive(Debug)]
pub struct Target {
    /// The REST API.
    pub api: Api,
    /// How long a file may take; none is sent.
    pub limits: Limits,
    /// The end of all patience.
    pub halt: Halt,
    /// The engine's address.
    pub ws: String,
    /// How often it is asked again.
    pub policy: Policy,
    /// The database, where one is named.
    pub database: Option<Settings>,
    /// The server's data folder, where this machine sees it.
    pub store: Option<PathBuf>,
    /// The code of the language of books that have none.
    pub default_language: Option<String>,
    /// What we were told to send at most.
    pub max_size: Option<u64>,
}

/// Extensions that libraries have, whether servers know them or not.
const EXTENSIONS: [&str; 28] = [
    "azw", "azw3", "azw4", "cbr", "cbz", "chm", "djvu", "doc", "docm", "docx", "epub", "fb2",
    "fbz", "htm", "html", "kepub", "kfx", "lit", "lrf", "mobi", "odt", "pdb", "pdf", "prc", "rar",
    "rtf", "txt", "zip",
];

/// Looks at the server, then at each record of `input`.
///
/// # Errors
/// The server is out of reach or refuses us, which the records before tell, too; stdout or stdin
/// fails.
pub fn run(target: Target, known: &Known, input: impl BufRead, out: Writer) -> Result<Exit, Error> {
    let report = Report::new(&out);
    match look(target, known, input, &report)? {
        Ok(summary) => Ok(out.finish(summary)?),
        Err(gone) => {
            let summary = Summary::default();
            out.finish(summary)?;
            Err(Fatal::new(Exit::GaveUp, gone).into())
        }
    }
}

/// The input's summary, or why nothing more can be known.
type Looked = Result<Summary, String>;

fn look(
    target: Target,
    known: &Known,
    input: impl BufRead,
    report: &Report<'_>,
) -> Result<Looked, Error> {
    let Target {
        api, ws, policy, ..
    } = &target;
    let base = api.base().to_string();
    if let Err(failure) = patiently(*policy, || api.token().map(drop)) {
        let message = failure.to_string();
        report.say(&Finding::failed("login", &base, &message))?;
        return Ok(Err(format!("{base}: log in: {failure}")));
    }
    report.say(&Finding::ok("login", &base))?;
    let offer = match patiently(*policy, || Offer::ask(api)) {
        Ok(offer) => offer,
        Err(failure) => {
            report.say(&Finding::failed("languages", &base, &failure.to_string()))?;
            return Ok(Err(format!(
                "{base}: ask for languages and genres: {failure}"
            )));
        }
    };
    let mut gone = None;
    // Nobody is waited for here.
    let outage = Arc::new(Outage::new(Duration::ZERO, *policy, &target.halt, |_| ()));
    let engine = match patiently(*policy, || Engine::open(ws, api, &outage, &target.halt)) {
        Ok(engine) => {
            report.say(&Finding::ok("websocket", ws))?;
            Some(engine)
        }
        Err(failure) => {
            report.say(&Finding::failed("websocket", ws, &failure.to_string()))?;
            gone = Some(format!("{ws}: connect: {failure}"));
            None
        }
    };
    let default_language = target
        .default_language
        .as_deref()
        .and_then(|code| language::find(code, &offer.languages).cloned());
    let server = Server {
        api: target.api.clone(),
        engine,
        offer,
        batch: Batch::default(),
        links: None,
        limits: target.limits,
        halt: target.halt.clone(),
        absent_for: Duration::ZERO,
        policy: *policy,
        outage,
        default_language,
        max_size: target.max_size,
        newest_upload: 0.into(),
        journal: Journal::default(),
        claims: None,
        rivals: Rivals::default(),
        placed: Placed::default(),
    };
    let seen = look_at(&server, &target, report, &mut gone);
    let limit = match seen {
        Ok(limit) => limit,
        Err(Trouble::Output(error)) => return Err(error),
        Err(Trouble::Server(failure)) => return Ok(Err(format!("{base}: {failure}"))),
    };
    let mut inputs = Inputs::new(&server, known, limit);
    let read = match inputs.judge_all(input, report) {
        Ok(summary) => summary,
        Err(Trouble::Output(error)) => return Err(error),
        Err(Trouble::Server(failure)) => return Ok(Err(format!("{base}: {failure}"))),
    };
    if let Some(store) = &target.store {
        report.say(&space::look(store, inputs.needed))?;
    }
    Ok(match gone {
        Some(why) => Err(why),
        None => Ok(read),
    })
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

/// All about the server but its reach; gives its limit for a request's body.
fn look_at(
    server: &Server,
    target: &Target,
    report: &Report<'_>,
    gone: &mut Option<String>,
) -> Result<u64, Trouble> {
    let (api, policy) = (&server.api, server.policy);
    if server.engine.is_some() {
        report.say(&one_server(server, &target.ws)?)?;
    }
    let limit = patiently(policy, || limits::checked(api, &unknown("epub")))?;
    let passed = patiently(policy, || limits::passed(api, limit))?;
    let mut finding = Finding::ok("limit", api.base());
    finding.max_size = Some(passed);
    if passed < limit {
        finding.message = Some(format!(
            "a proxy takes less than the server itself: {limit}"
        ));
    }
    report.say(&finding)?;
    report.say(&languages(server, target))?;
    report.say(&formats(server)?)?;
    if let Some(settings) = &target.database {
        match Claims::open(
            settings.clone(),
            Duration::ZERO,
            &target.halt,
            report.voice(),
        ) {
            Ok(claims) => {
                report.say(&same_database(api, &claims)?)?;
                report.say(&index(&claims)?)?;
            }
            Err(failure) => {
                let object = settings.to_string();
                report.say(&Finding::failed("database", &object, &failure.to_string()))?;
                gone.get_or_insert_with(|| format!("{object}: connect: {failure}"));
            }
        }
    }
    Ok(passed)
}

/// A file that no server has.
fn unknown(extension: &str) -> Question {
    let sha1 = format!("{:016x}{:016x}{:08x}", chance(), chance(), chance() as u32);
    Question {
        content: Content::new(&sha1, 1).unwrap_or_else(|| unreachable!("40 digits")),
        extension: extension.into(),
    }
}

fn one_server(server: &Server, ws: &str) -> Result<Finding, Trouble> {
    const CHECK: &str = "one_server";
    let base = server.api.base();
    let shown = patiently(server.policy, || shown::newest(&server.api))?;
    let Some(file) = shown else {
        let why = format!("{base} has no file yet to compare by");
        return Ok(Finding::warning(CHECK, ws, &why));
    };
    let about = format!("file {} of {base}", file.source);
    Ok(match engine::knows(server, file.source, &file.format) {
        Ok(Knows::Yes) => Finding::ok(CHECK, ws),
        Ok(Knows::No) => Finding::failed(
            CHECK,
            ws,
            &format!("does not know {about}: another server?"),
        ),
        Ok(Knows::Unclear(said)) => {
            Finding::warning(CHECK, ws, &format!("asked for {about}: {said}"))
        }
        Err(failure) => Finding::failed(CHECK, ws, &format!("asked for {about}: {failure}")),
    })
}

fn languages(server: &Server, target: &Target) -> Finding {
    let codes = server.offer.languages.iter().map(|l| l.code.clone());
    let mut finding = match (&target.default_language, &server.default_language) {
        (Some(code), None) => {
            let why = format!("--default-language {code}: the server does not have it");
            Finding::failed("languages", server.api.base(), &why)
        }
        _ => Finding::ok("languages", server.api.base()),
    };
    finding.languages = Some(codes.collect());
    finding
}

fn formats(server: &Server) -> Result<Finding, Trouble> {
    let mut takes = Vec::new();
    for extension in EXTENSIONS {
        if patiently(server.policy, || {
            limits::takes(&server.api, &unknown(extension))
        })? {
            takes.push(extension.to_string());
        }
    }
    let office = server.engine.is_some()
        && takes.iter().any(|extension| extension == "doc")
        && engine::lacks_office(server).unwrap_or(false);
    let mut finding = match office {
        true => Finding::warning(
            "formats",
            server.api.base(),
            "no doc: the engine lacks LibreOffice",
        ),
        false => Finding::ok("formats", server.api.base()),
    };
    takes.retain(|extension| !office || extension != "doc");
    finding.formats = Some(takes);
    Ok(finding)
}

fn same_database(api: &Api, claims: &Claims) -> Result<Finding, Trouble> {
    Ok(match claims::same(api, claims)? {
        Same::Yes => Finding::ok("database", claims.database()),
        Same::No(why) => {
            let why = format!("not the database of {}: {why}", api.base());
            Finding::failed("database", claims.database(), &why)
        }
        Same::Unknown(why) => Finding::warning("database", claims.database(), why),
    })
}

fn index(claims: &Claims) -> Result<Finding, Trouble> {
    if claims.indexed()? {
        return Ok(Finding::ok("index", claims.database()));
    }
    let mut finding = Finding::warning("index", claims.database(), claims::SLOW);
    finding.statement = Some(claims::INDEX.into());
    Ok(finding)
}
