//! Requests to the server, and what its many kinds of answers mean.

mod answer;
mod tcp;

use std::{io::Read, time::Duration};

use mbs_hashes::https::Https;
use serde_json::Value;
use ureq::{
    Agent, SendBody, Timeout,
    config::AutoHeaderValue,
    http::header,
    unversioned::{resolver::DefaultResolver, transport::Connector},
};

use crate::{
    api::ReadFile,
    model::failure::Failure,
    retry::{
        shutdown::Shutdown,
        timeout::{Limits, spell},
    },
};
use answer::{answer, file};

/// Nobody waits longer for a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(20);
/// Nor for the answer to a question that only finds out whether the server is there. Long enough for
/// one whose connections to the database are all in use: it waits 30 s for one and then answers 500.
const SIGN_WITHIN: Duration = Duration::from_secs(60);

/// The server's REST API without the knowledge of who asks.
#[derive(Debug)]
pub struct Http {
    agent: Agent,
    base: String,
    /// An answer that does not come within this never will.
    answer_within: Duration,
    limits: Limits,
}

/// A request body that is streamed.
pub struct Stream<'a> {
    /// Its Content-Type.
    pub kind: &'a str,
    /// Its exact length in bytes; the server takes no chunked bodies.
    pub length: u64,
    /// Wait for the server's consent (100 Continue) before sending it.
    pub ask_first: bool,
    /// The time that it may take in all.
    pub within: Duration,
    /// Where its bytes come from.
    pub bytes: &'a mut dyn Read,
}

impl Http {
    /// For requests to paths below `base`, a URL with http or https and without a slash at its end.
    /// Whatever stands still for longer than `limits` say is given up, and all when `shutdown` is requested.
    pub fn new(base: &str, limits: Limits, shutdown: &Shutdown) -> Http {
        let answer_within = limits.stall.min(limits.max_time);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("mbs-upload/", env!("CARGO_PKG_VERSION")))
            .accept_encoding(AutoHeaderValue::None)
            .timeout_connect(Some(CONNECT_WITHIN.min(answer_within)));
        let connector = ().chain(tcp::Tcp(shutdown.clone())).chain(Https);
        Http {
            agent: Agent::with_parts(config.build(), connector, DefaultResolver::default()),
            base: base.into(),
            answer_within,
            limits,
        }
    }

    /// An answer that does not come within this never will.
    pub fn answer_within(&self) -> Duration {
        self.answer_within
    }

    /// The address that it asks.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// GET.
    ///
    /// # Errors
    /// As the answer or the connection has it.
    pub fn get(&self, path: &str, token: &str) -> Result<Value, Failure> {
        self.get_within(self.answer_within, path, token)
    }

    /// GET for a sign of life.
    pub fn ping(&self, path: &str, token: &str) -> Result<Value, Failure> {
        self.get_within(self.answer_within.min(SIGN_WITHIN), path, token)
    }

    fn get_within(&self, time: Duration, path: &str, token: &str) -> Result<Value, Failure> {
        let request = self
            .agent
            .get(self.url(path))
            .header(header::AUTHORIZATION, bearer(token))
            .config()
            .timeout_global(Some(time))
            .build();
        answer(request.call(), |_| no_answer(time, "GET", path))
    }

    /// GET of a file, which may be as slow as it likes while it moves.
    pub fn download(
        &self,
        path: &str,
        token: &str,
        read: &mut ReadFile<'_>,
    ) -> Result<(), Failure> {
        let Limits { stall, max_time } = self.limits;
        let request = self
            .agent
            .get(self.url(path))
            .header(header::AUTHORIZATION, bearer(token))
            .config()
            .timeout_global(Some(max_time))
            .timeout_per_read(Some(stall))
            .build();
        let late = |limit| match limit {
            Timeout::PerRead => no_answer(stall, "GET", path),
            _ => no_answer(max_time, "GET", path),
        };
        file(request.call(), late, read)
    }

    /// DELETE.
    pub fn delete(&self, path: &str, token: &str) -> Result<Value, Failure> {
        let request = self
            .agent
            .delete(self.url(path))
            .header(header::AUTHORIZATION, bearer(token))
            .config()
            .timeout_global(Some(self.answer_within))
            .build();
        answer(request.call(), |_| {
            no_answer(self.answer_within, "DELETE", path)
        })
    }

    /// POST of a JSON body; without a token for the login.
    pub fn post(&self, path: &str, token: Option<&str>, body: &Value) -> Result<Value, Failure> {
        let mut request = self.agent.post(self.url(path));
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, bearer(token));
        }
        let request = request
            .header(header::CONTENT_TYPE, "application/json")
            .config()
            .timeout_global(Some(self.answer_within))
            .build();
        answer(request.send(body.to_string()), |_| {
            no_answer(self.answer_within, "POST", path)
        })
    }

    /// POST of a stream of known length, which may be as slow as it likes while it moves.
    ///
    /// # Errors
    /// As [`Http::get`]; an error of the stream itself is its own to remember.
    pub fn send(&self, path: &str, token: &str, stream: Stream<'_>) -> Result<Value, Failure> {
        let mut request = self
            .agent
            .post(self.url(path))
            .header(header::AUTHORIZATION, bearer(token))
            .header(header::CONTENT_TYPE, stream.kind)
            .header(header::CONTENT_LENGTH, stream.length.to_string());
        if stream.ask_first {
            request = request.header(header::EXPECT, "100-continue");
        }
        let Limits { stall, max_time } = self.limits;
        let request = request
            .config()
            .timeout_global(Some(stream.within))
            .timeout_per_write(Some(stall))
            .timeout_per_read(Some(stall))
            .build();
        answer(
            request.send(SendBody::from_reader(stream.bytes)),
            |limit| match limit {
                Timeout::PerWrite => {
                    let time = spell(stall);
                    format!("stalled while sending: the server took no byte for {time}")
                }
                Timeout::PerRead => {
                    let time = spell(stall);
                    format!("stalled: all was sent, but no answer came for {time}")
                }
                _ => format!("not sent within --max-time {}", spell(max_time)),
            },
        )
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn no_answer(time: Duration, method: &str, path: &str) -> String {
    format!("stalled: no answer to {method} {path} for {}", spell(time))
}
