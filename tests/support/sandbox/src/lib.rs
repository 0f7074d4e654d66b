//! A stand-in for MyBookshelf2, for tests and for `make demo`: the same REST and WebSocket
//! protocol, quirks included, on a real PostgreSQL and a real folder of files.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `api`, `listener` | routes; connections that can be cut |
//! | `login`, `access`, `token` | who may |
//! | `check`, `upload`, `form` | files on their way in |
//! | `engine`, `sessions`, `socket` | the task engine and its WebSocket |
//! | `metadata`, `lookup`, `cover` | the one task |
//! | `convert` | how another one refuses |
//! | `draft`, `creating`, `adding`, `naming` | ebooks, their sources and names on disk |
//! | `reading`, `removing` | search, lists; deletion |
//! | `faults`, `log` | what goes wrong on request; what was served |
//! | `setup`, `database` | tables and connections |
//! | `cutter` | a proxy that cuts connections, before this server or any other |
//! | `sandbox` | all of it running, for tests |
//!
//! # Faults
//!
//! [`Sandbox::fault`] and `POST /_fault` take `{"on": …, "kind": …}`, with `nth` (the first event
//! that is hit, 1) and `times` (how many in a row, 1; 0: all). `DELETE /_fault` ends them.
//! `GET /_log` tells what was served, and the most that was in flight together.
//!
//! | `on` | `kind` |
//! | --- | --- |
//! | `POST /api/ebooks/*/add-upload` and other requests, `api` for all of them, `GET /ws` | `delay` and `delay_answer` (`millis`), `status` and `status_after_commit` (`status`; a number for a kind is short for `status`), `drop` and `hang` (after `bytes` of the body), `trickle` (`bytes` in each `millis`), `drop_after_commit`, `garbage` |
//! | `WS /ws` | `drop`: after the handshake |
//! | `CALL metadata` | `queue_full`, `no_reply`, `drop` |
//! | `TASK metadata` | `delay`, `error` (`message`), `hang`, `no_started`, `lost`, `drop_ws`, `lost_result` |
//! | `engine` | `restart`, `drop_all`: at once |

mod access;
mod adding;
mod api;
mod check;
mod convert;
mod cover;
mod creating;
mod cutter;
mod database;
mod draft;
mod engine;
mod failure;
mod faults;
mod form;
mod listener;
mod log;
mod login;
mod lookup;
mod metadata;
/// Names on disk, as pure functions.
pub mod naming;
mod reading;
mod removing;
mod request;
mod sandbox;
mod sessions;
mod settings;
mod setup;
mod socket;
mod token;
mod upload;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

pub use cutter::Cutter;
pub use log::Entry;
pub use sandbox::{Ports, Sandbox, Store};
pub use settings::Settings;

/// What all handlers share.
#[derive(Debug)]
pub(crate) struct App {
    settings: Settings,
    data: PathBuf,
    database: database::Database,
    engine: engine::Engine,
    faults: faults::Faults,
    log: log::Log,
    /// Requests that passed the door: SQLAlchemy's pool of 5 connections and 10 more.
    pool: Arc<Semaphore>,
}

impl App {
    fn books(&self) -> PathBuf {
        self.data.join("books")
    }

    fn uploads(&self) -> PathBuf {
        self.data.join("uploads")
    }

    fn thumbs(&self) -> PathBuf {
        self.data.join("thumbs")
    }

    fn keep(&self) -> Duration {
        Duration::from_millis(self.settings.unsent_millis)
    }
}
