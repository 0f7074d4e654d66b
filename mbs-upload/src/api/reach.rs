//! The way to the server: logged in, its offer learnt, its engine connected to.

use std::{path::PathBuf, sync::Arc, time::Duration};

use mbs_hashes::Settings;
use wire::{Exit, Fatal, OrFatal, Writer};

use crate::{
    api::{Server, catalog::Catalog, engine::Engine, rest::Api},
    input::links::Links,
    locks,
    metadata::language::{self, Language},
    retry::{
        attempt::{Policy, with_retries},
        outage::{Outage, Part},
        shutdown::Shutdown,
        timeout::Limits,
    },
};

/// Where the server is, and how it is to be dealt with.
#[derive(Debug)]
pub struct Target {
    /// Its REST API.
    pub api: Api,
    /// Its engine's address.
    pub ws: String,
    /// Whom we log in as, for messages.
    pub user: String,
    /// How long a file may take.
    pub limits: Limits,
    /// How often it is asked again.
    pub policy: Policy,
    /// How long it may be away.
    pub outage: Duration,
    /// The end of all patience.
    pub shutdown: Shutdown,
    /// How links are to be made in place of copies, if they are.
    pub links: Option<Links>,
    /// Its database, where one is named.
    pub database: Option<Settings>,
    /// Its data folder, where this machine sees it.
    pub store: Option<PathBuf>,
    /// The code of the language of books that have none.
    pub default_language: Option<String>,
    /// What we were told to send at most.
    pub max_size: Option<u64>,
    /// Nothing is to be changed.
    pub dry_run: bool,
}

/// Logs in, learns what the server offers and connects to its engine and its database.
///
/// # Errors
/// Gave up when one of them is out of reach or refuses us; refused when they are not of one server,
/// or copies would be made in place of links; usage when it lacks the language that we are to assume.
pub fn reach(mut target: Target, out: &Writer) -> Result<Server, Fatal> {
    let (api, policy, shutdown) = (&target.api, target.policy, &target.shutdown);
    let base = api.base();
    let (diagnostics, addresses) = (out.diagnostics(), [base.to_string(), target.ws.clone()]);
    let outage = Outage::new(target.outage, policy, shutdown, move |part, text| {
        diagnostics.warn(&addresses[part as usize], "away", text);
    });
    let outage = Arc::new(outage);
    let first = Part::Api;
    (outage.first(first, policy, || api.token().map(drop))).or_fatal(
        Exit::GaveUp,
        format_args!("{base}: log in as {}", target.user),
    )?;
    let catalog = (outage.first(first, policy, || Catalog::ask(api))).or_fatal(
        Exit::GaveUp,
        format_args!("{base}: ask for languages and genres"),
    )?;
    let default_language = default_language(&target, &catalog)?;
    let database = target.database.take().filter(|_| !target.dry_run);
    let claims = database
        .map(|settings| locks::connect(settings, api, policy, (target.outage, shutdown), out))
        .transpose()?;
    let engine = match target.dry_run {
        true => None,
        false => Some(
            outage
                .first(Part::Engine, policy, || {
                    Engine::open(&target.ws, api, &outage, shutdown)
                })
                .or_fatal(Exit::GaveUp, format_args!("{}: connect", target.ws))?,
        ),
    };
    let links = target.links.take();
    let server = Server {
        links,
        claims,
        default_language,
        ..Server::new(&target, catalog, engine, outage)
    };
    if server.links.as_ref().is_some_and(|links| !links.sees()) {
        makes_links(&server, out)?;
    }
    Ok(server)
}

fn default_language(target: &Target, catalog: &Catalog) -> Result<Option<Language>, Fatal> {
    let Some(code) = &target.default_language else {
        return Ok(None);
    };
    match language::find(code, &catalog.languages) {
        Some(language) => Ok(Some(language.clone())),
        None => Err(Fatal::new(
            Exit::Usage,
            format!("--default-language {code}: the server does not have it"),
        )),
    }
}

/// Where nobody looks at the links, the server must at least be one that knows of them.
fn makes_links(server: &Server, out: &Writer) -> Result<(), Fatal> {
    let base = server.api.base();
    let known_to_link = with_retries(server.policy, || server.batch.is_there(&server.api))
        .or_fatal(
            Exit::GaveUp,
            format_args!("{base}: ask whether it makes links"),
        )?;
    if !known_to_link {
        return Err(Links::unlikely());
    }
    out.warn(base, "link", "nobody looks whether it does: --store");
    Ok(())
}
