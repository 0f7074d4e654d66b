//! The server's REST API and its task engine, behind one trait.
//!
//! | module | what |
//! | --- | --- |
//! | [`client`] | the real server |
//! | [`http`], [`login`], [`rest`] | requests, the login, requests with its token |
//! | [`engine`] | the WebSocket to the task engine, shared by all workers |
//! | [`catalog`] | its languages, genres and series |
//! | [`upload_check`], [`upload`], [`extract`], [`matching`], [`ebook`] | the requests of an upload |
//! | [`download`] | a stored file, read back |
//! | [`sample`] | a file that it shows, to know it by |
//! | [`has`] | whether it has what others say that it has |

pub mod catalog;
pub mod client;
pub mod download;
pub mod ebook;
pub mod engine;
pub mod extract;
#[cfg(test)]
mod fake;
pub mod has;
pub mod http;
pub mod login;
pub mod matching;
pub mod rest;
pub mod sample;
pub mod upload;
pub mod upload_check;

use std::{
    fmt,
    io::{self, Read},
};

use serde_json::Value;

use crate::model::failure::Failure;
use engine::Call;
use http::Stream;

type Answer = Result<Value, Failure>;

/// Sends a body by the function that it is given; called again with a new token when one is refused.
pub type SendBody<'a> = dyn FnMut(&mut dyn FnMut(Stream<'_>) -> Answer) -> Answer + 'a;

/// Takes a file, given its length where the server tells it, and its bytes.
pub type ReadFile<'a> = dyn FnMut(Option<u64>, &mut dyn Read) -> io::Result<()> + 'a;

/// A MyBookshelf2 server as one user sees it; paths are encoded already.
pub trait Api: fmt::Debug + Send + Sync {
    /// Its address, for messages.
    fn address(&self) -> &str;
    /// Our user's id, once logged in.
    fn user_id(&self) -> Option<i64>;
    /// Is it there?
    fn ping(&self) -> Result<(), Failure>;
    /// GET.
    fn get(&self, path: &str) -> Answer;
    /// POST of a JSON body.
    fn post(&self, path: &str, body: &Value) -> Answer;
    /// DELETE.
    fn delete(&self, path: &str) -> Answer;
    /// POST of a body that is streamed.
    fn stream(&self, path: &str, send: &mut SendBody<'_>) -> Answer;
    /// GET of a file.
    fn download(&self, path: &str, read: &mut ReadFile<'_>) -> Result<(), Failure>;
    /// Starts a task of the engine.
    fn call(&self, task: &str, args: &Value) -> Result<Call<'_>, Failure>;
}
