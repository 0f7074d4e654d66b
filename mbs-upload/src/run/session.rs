//! The way to the server: logged in, its catalog learnt, its engine and its database connected to.

use std::{path::PathBuf, sync::Arc, time::Duration};

use mbs_hashes::Settings;
use wire::{Exit, Fatal, OrFatal, Writer};

use crate::{
    api::{
        Api, catalog::Catalog, client::Client, engine::Engine, has::Retrying, rest::Rest, sample,
        upload_check::Batch,
    },
    input::links::Links,
    locks::{self, Locks},
    metadata::language,
    retry::{
        Retry,
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
    pub rest: Rest,
    /// Its engine's address.
    pub ws: String,
    /// The user to log in as, for messages.
    pub user: String,
    /// How long a file may take.
    pub limits: Limits,
    /// How often it is asked again.
    pub policy: Policy,
    /// How long it may be away.
    pub outage: Duration,
    /// The end of all waiting.
    pub shutdown: Shutdown,
    /// How links are to be made in place of copies, if they are.
    pub links: Option<Links>,
    /// Its database, where one is named.
    pub database: Option<Settings>,
    /// Its data folder, where this machine sees it.
    pub store: Option<PathBuf>,
    /// The code of the language of books that have none.
    pub default_language: Option<String>,
    /// No larger file is sent.
    pub max_size: Option<u64>,
    /// Nothing is to be changed.
    pub dry_run: bool,
}

/// A server that was reached.
#[derive(Debug)]
pub struct Session {
    /// The server.
    pub api: Client,
    /// Its engine's address.
    pub ws: String,
    /// What it has.
    pub catalog: Catalog,
    /// How failures are dealt with.
    pub retry: Retry,
    /// How links are made in place of copies, if they are.
    pub links: Option<Links>,
    /// What keeps other uploaders off, if they are kept off.
    pub locks: Option<Locks>,
}

impl Session {
    /// The server, each question asked again while that may help.
    pub fn asked(&self) -> Retrying<'_> {
        Retrying {
            api: &self.api,
            policy: self.retry.policy,
        }
    }

    /// The address of what stayed away for too long.
    pub fn culprit(&self) -> &str {
        match self.retry.outage.culprit() {
            Some(Part::Engine) => &self.ws,
            _ => self.api.address(),
        }
    }
}

/// Logs in, learns what the server has and connects to its engine and its database.
///
/// # Errors
/// Gave up when one of them is out of reach or refuses us; refused when they are not of one server,
/// or copies would be made in place of links; usage when it lacks the default language.
pub fn reach(target: Target, out: &Writer) -> Result<Session, Fatal> {
    let (rest, policy, shutdown) = (&target.rest, target.policy, &target.shutdown);
    let base = rest.base();
    let (diagnostics, addresses) = (out.diagnostics(), [base.to_string(), target.ws.clone()]);
    let outage = Outage::new(target.outage, policy, shutdown, move |part, text| {
        diagnostics.warn(&addresses[part as usize], "away", text);
    });
    let outage = Arc::new(outage);
    let first = Part::Api;
    (outage.first(first, policy, || rest.token().map(drop))).or_fatal(
        Exit::GaveUp,
        format_args!("{base}: log in as {}", target.user),
    )?;
    let mut api = Client {
        rest: rest.clone(),
        engine: None,
    };
    let mut catalog = (outage.first(first, policy, || Catalog::ask(&api))).or_fatal(
        Exit::GaveUp,
        format_args!("{base}: ask for languages and genres"),
    )?;
    if let Some(code) = &target.default_language {
        let Some(language) = language::find(code, &catalog.languages.offered) else {
            let why = format!("--default-language {code}: the server does not have it");
            return Err(Fatal::new(Exit::Usage, why));
        };
        catalog.languages.default = Some(language.clone());
    }
    let database = target.database.filter(|_| !target.dry_run);
    let sample = || sample::newest(&api);
    let locks = database.map(|settings| {
        let outage = (target.outage, shutdown);
        locks::connect(settings, (base, &sample), policy, outage, out)
    });
    let locks = locks.transpose()?;
    if !target.dry_run {
        let open = || Engine::open(&target.ws, rest, &outage, shutdown);
        let engine = outage.first(Part::Engine, policy, open);
        api.engine = Some(engine.or_fatal(Exit::GaveUp, format_args!("{}: connect", target.ws))?);
    }
    if target.links.as_ref().is_some_and(|links| !links.sees()) {
        makes_links(&api, policy, out)?;
    }
    Ok(Session {
        api,
        ws: target.ws,
        catalog,
        retry: Retry {
            policy,
            limits: target.limits,
            longest_outage: target.outage,
            outage,
            shutdown: target.shutdown,
        },
        links: target.links,
        locks,
    })
}

/// Where nobody looks at the links, the server must at least be one that knows of them.
fn makes_links(api: &dyn Api, policy: Policy, out: &Writer) -> Result<(), Fatal> {
    let base = api.address();
    let known_to_link = with_retries(policy, || Batch::default().is_there(api)).or_fatal(
        Exit::GaveUp,
        format_args!("{base}: ask whether it makes links"),
    )?;
    if !known_to_link {
        return Err(Links::unlikely());
    }
    out.warn(base, "link", "nobody looks whether it does: --store");
    Ok(())
}
