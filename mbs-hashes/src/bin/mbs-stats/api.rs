//! What the server's API tells: the number of ebooks, no more. One login, one request.

use std::time::Duration;

use mbs_hashes::https::Https;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use ureq::{
    Agent, Body,
    http::Response,
    unversioned::{
        resolver::DefaultResolver,
        transport::{Connector, TcpConnector},
    },
};
use wire::{
    secret::{self, redact},
    value::Secret,
};

/// Bytes of an answer.
const LONGEST: u64 = 1 << 20;

/// How to ask it.
pub(crate) struct Api {
    /// Its address without a slash at the end.
    pub(crate) url: String,
    pub(crate) user: String,
    pub(crate) password: Secret,
    /// For both requests together.
    pub(crate) timeout: Duration,
}

#[derive(Deserialize)]
struct Login {
    access_token: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    total: u64,
}

impl Api {
    /// The number of ebooks.
    ///
    /// # Errors
    /// `act: reason`, one line.
    pub(crate) fn ebooks(&self) -> Result<u64, String> {
        let start = std::time::Instant::now();
        let login = self
            .agent(self.timeout)
            .post(format!("{}/login", self.url))
            .send_json(json!({
                "username": self.user,
                "password": String::from_utf8_lossy(self.password.expose()),
            }));
        let login: Login = answer(login).map_err(|reason| format!("log in: {reason}"))?;
        let Some(token) = login.access_token else {
            let reason = login
                .error
                .unwrap_or_else(|| "no token in the answer".into());
            return Err(format!("log in as {}: {}", self.user, redact(&reason)));
        };
        secret::register(token.as_bytes());
        let left = self.timeout.saturating_sub(start.elapsed());
        let page = self
            .agent(left)
            .get(format!("{}/api/ebooks?page=1&page_size=1", self.url))
            .header("Authorization", format!("Bearer {token}"))
            .call();
        let page: Page = answer(page).map_err(|reason| format!("count ebooks: {reason}"))?;
        Ok(page.total)
    }

    fn agent(&self, timeout: Duration) -> Agent {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(timeout))
            // Neither password nor token go to another address.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .build();
        let connector = ().chain(TcpConnector::default()).chain(Https);
        Agent::with_parts(config, connector, DefaultResolver::default())
    }
}

fn answer<T: DeserializeOwned>(got: Result<Response<Body>, ureq::Error>) -> Result<T, String> {
    let mut response = got.map_err(|error| match error {
        ureq::Error::Other(why) => redact(&why.to_string()),
        other => redact(&other.to_string()),
    })?;
    if !response.status().is_success() {
        return Err(format!("the server answers {}", response.status()));
    }
    let body = response.body_mut();
    let read = body.with_config().limit(LONGEST).read_json();
    read.map_err(|error| match error {
        ureq::Error::Json(_) => "the answer is not MyBookshelf2's".into(),
        other => redact(&other.to_string()),
    })
}
