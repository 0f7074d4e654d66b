//! All that is shared by those who talk to the server.
//!
//! | module | what |
//! | --- | --- |
//! | [`reach`] | where it is, and the way there |
//! | [`http`] | requests, and what the server's many kinds of answers mean |
//! | [`login`], [`rest`] | one login, its token kept alive; requests with it |
//! | [`engine`] | the WebSocket to the task engine, shared by all workers |
//! | [`catalog`] | its languages, genres and series |
//! | [`upload_check`], [`upload`], [`extract`], [`matching`], [`ebook`] | the steps of an upload |
//! | [`download`] | a stored file, read back |
//! | [`sample`] | a file that it shows, to know it by |
//! | [`has`] | whether it has what others say that it has |

pub mod catalog;
pub mod download;
pub mod ebook;
pub mod engine;
pub mod extract;
pub mod has;
pub mod http;
pub mod login;
pub mod matching;
pub mod reach;
pub mod rest;
pub mod sample;
pub mod upload;
pub mod upload_check;

use std::{
    sync::{Arc, atomic::AtomicI64},
    time::Duration,
};

use crate::{
    input::links::Links,
    locks::{Locks, concurrent::ConcurrentUploaders},
    metadata::language::Language,
    model::failure::Failure,
    resume::Journal,
    retry::{
        attempt::Policy,
        outage::{Outage, Part},
        shutdown::Shutdown,
        timeout::Limits,
    },
    steps::recent::RecentEbooks,
};
use catalog::Catalog;
use engine::Engine;
use reach::Target;
use rest::Api;
use upload_check::Batch;

/// The server as the workers see it.
#[derive(Debug)]
pub struct Server {
    /// Its REST API.
    pub api: Api,
    /// Its task engine; absent in a dry run.
    pub engine: Option<Engine>,
    /// Its languages and genres.
    pub catalog: Catalog,
    /// Whether it answers many checks at once.
    pub batch: Batch,
    /// How long and how often it is asked again.
    pub policy: Policy,
    /// How long a file may take.
    pub limits: Limits,
    /// Whether the grace is over.
    pub shutdown: Shutdown,
    /// How long it may be away.
    pub absent_for: Duration,
    /// Whether it is away.
    pub outage: Arc<Outage>,
    /// The language of books that have none.
    pub default_language: Option<Language>,
    /// Files larger than this are not sent.
    pub max_size: Option<u64>,
    /// The newest row of its table `upload` that we heard of; 0 for none.
    pub newest_upload: AtomicI64,
    /// What was done in earlier runs, and what is done in this one.
    pub journal: Journal,
    /// How it makes links in place of copies, where it is to make them.
    pub links: Option<Links>,
    /// What keeps other uploaders off the books and contents under way; with `--db` only.
    pub claims: Option<Locks>,
    /// Signs of another uploader.
    pub concurrent: ConcurrentUploaders,
    /// Where the last books went.
    pub recent: RecentEbooks,
    /// Whose the ebooks are.
    pub owners: crate::model::owners::Shared,
}

impl Server {
    /// The server as it was reached, without a journal and with nobody to keep apart from.
    pub fn new(
        target: &Target,
        catalog: Catalog,
        engine: Option<Engine>,
        outage: Arc<Outage>,
    ) -> Server {
        Server {
            api: target.api.clone(),
            engine,
            catalog,
            batch: Batch::default(),
            policy: target.policy,
            limits: target.limits,
            shutdown: target.shutdown.clone(),
            absent_for: target.outage,
            outage,
            default_language: None,
            max_size: target.max_size,
            newest_upload: 0.into(),
            journal: Journal::default(),
            links: None,
            claims: None,
            concurrent: ConcurrentUploaders::default(),
            recent: RecentEbooks::default(),
            owners: crate::model::owners::Shared::default(),
        }
    }

    /// The engine.
    ///
    /// # Errors
    /// In a dry run, in which nothing may ask for it.
    pub fn engine(&self) -> Result<&Engine, Failure> {
        let none = || Failure::Refused("the engine is not asked in a dry run".into());
        self.engine.as_ref().ok_or_else(none)
    }

    /// The address that stayed away for too long, else the API's.
    pub fn culprit(&self) -> &str {
        match (self.outage.culprit(), &self.engine) {
            (Some(Part::Engine), Some(engine)) => engine.url(),
            _ => self.api.base(),
        }
    }

    /// Is it there? Asks what needs its database, too.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub fn is_there(&self) -> Result<(), Failure> {
        self.api.look("/api/languages").map(drop)
    }
}
