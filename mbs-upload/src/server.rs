//! All that is shared by those who talk to the server.

use std::{
    sync::{Arc, atomic::AtomicI64},
    time::Duration,
};

use crate::{
    api::Api, attempt::Policy, check::Batch, claims::Claims, engine::Engine, failure::Failure,
    halt::Halt, journal::Journal, language::Language, links::Links, offer::Offer, outage::Outage,
    placed::Placed, rivals::Rivals, stall::Limits,
};

/// The server as the workers see it.
#[derive(Debug)]
pub struct Server {
    /// Its REST API.
    pub api: Api,
    /// Its task engine; absent in a dry run.
    pub engine: Option<Engine>,
    /// Its languages and genres.
    pub offer: Offer,
    /// Whether it answers many checks at once.
    pub batch: Batch,
    /// How long and how often it is asked again.
    pub policy: Policy,
    /// How long a file may take.
    pub limits: Limits,
    /// Whether the grace is over.
    pub halt: Halt,
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
    pub claims: Option<Claims>,
    /// Signs of another uploader.
    pub rivals: Rivals,
    /// Where the last books went.
    pub placed: Placed,
}

impl Server {
    /// The engine.
    ///
    /// # Errors
    /// In a dry run, in which nothing may ask for it.
    pub fn engine(&self) -> Result<&Engine, Failure> {
        let none = || Failure::Refused("the engine is not asked in a dry run".into());
        self.engine.as_ref().ok_or_else(none)
    }

    /// Is it there? Asks what needs its database, too.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub fn is_there(&self) -> Result<(), Failure> {
        self.api.look("/api/languages").map(drop)
    }
}
