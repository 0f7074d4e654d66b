//! Requests to the server, and what its many kinds of answers mean.

mod tcp;

use std::{
    io::{ErrorKind, Read},
    sync::Arc,
    time::Duration,
};

use serde_json::Value;
use ureq::{
    Agent, Body, SendBody, Timeout,
    config::AutoHeaderValue,
    http::{Response, header},
    tls::{Certificate, RootCerts, TlsConfig},
    unversioned::{
        resolver::DefaultResolver,
        transport::{ConnectProxyConnector, Connector, RustlsConnector},
    },
};

use crate::{
    patience::{
        halt::Halt,
        stall::{Limits, spell},
    },
    server::failure::Failure,
};

/// Nobody waits longer for a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(20);
/// Nor for the answer to a question that only finds out whether the server is there. Long enough for
/// one whose connections to the database are all in use: it waits 30 s for one and then answers 500.
const SIGN_WITHIN: Duration = Duration::from_secs(60);
/// Answers are small; more than this is none.
const LONGEST_ANSWER: u64 = 16 << 20;

/// The server's REST API without the knowledge of who asks.
#[derive(Debug)]
pub struct Http {
    agent: Agent,
    base: String,
    /// An answer that does not come within this never will.
    patience: Duration,
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
    /// Whatever stands still for longer than `limits` say is given up, and all when `halt` is pulled.
    pub fn new(base: &str, limits: Limits, halt: &Halt) -> Http {
        let patience = limits.stall.min(limits.max_time);
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("mbs-upload/", env!("CARGO_PKG_VERSION")))
            .accept_encoding(AutoHeaderValue::None)
            .timeout_connect(Some(CONNECT_WITHIN.min(patience)));
        if base.starts_with("https:") {
            config = config.tls_config(TlsConfig::builder().root_certs(roots()).build());
        }
        let connector =
            ().chain(ConnectProxyConnector::default())
                .chain(tcp::Tcp(halt.clone()))
                .chain(RustlsConnector::default());
        Http {
            agent: Agent::with_parts(config.build(), connector, DefaultResolver::default()),
            base: base.into(),
            patience,
            limits,
        }
    }

    /// The address that it asks.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// GET.
    ///
    /// # Errors
    /// As [`understand`] and the connection have it.
    pub fn get(&self, path: &str, token: &str) -> Result<Value, Failure> {
        self.get_within(self.patience, path, token)
    }

    /// GET for a sign of life.
    ///
    /// # Errors
    /// As [`Http::get`].
    pub fn look(&self, path: &str, token: &str) -> Result<Value, Failure> {
        self.get_within(self.patience.min(SIGN_WITHIN), path, token)
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

    /// DELETE.
    ///
    /// # Errors
    /// As [`Http::get`].
    pub fn delete(&self, path: &str, token: &str) -> Result<Value, Failure> {
        let request = self
            .agent
            .delete(self.url(path))
            .header(header::AUTHORIZATION, bearer(token))
            .config()
            .timeout_global(Some(self.patience))
            .build();
        answer(request.call(), |_| no_answer(self.patience, "DELETE", path))
    }

    /// POST of a JSON body; without a token for the login.
    ///
    /// # Errors
    /// As [`Http::get`].
    pub fn post(&self, path: &str, token: Option<&str>, body: &Value) -> Result<Value, Failure> {
        let mut request = self.agent.post(self.url(path));
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, bearer(token));
        }
        let request = request
            .header(header::CONTENT_TYPE, "application/json")
            .config()
            .timeout_global(Some(self.patience))
            .build();
        answer(request.send(body.to_string()), |_| {
            no_answer(self.patience, "POST", path)
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

fn roots() -> RootCerts {
    let found = rustls_native_certs::load_native_certs().certs;
    let certs = found
        .iter()
        .map(|der| Certificate::from_der(der).to_owned());
    RootCerts::Specific(Arc::new(certs.collect()))
}

fn no_answer(time: Duration, method: &str, path: &str) -> String {
    format!("stalled: no answer to {method} {path} for {}", spell(time))
}

/// What came of a request; `late` says in words what a limit means that was passed.
fn answer(
    result: Result<Response<Body>, ureq::Error>,
    late: impl Fn(Timeout) -> String,
) -> Result<Value, Failure> {
    let broken = |error| match error {
        ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => broken(error),
        ureq::Error::Timeout(limit) => Failure::NoAnswer(late(limit)),
        error => broken(error),
    };
    let mut response = result.map_err(broken)?;
    let status = response.status().as_u16();
    let header = |name| {
        response
            .headers()
            .get(name)
            .and_then(|v| v.to_str().ok().map(String::from))
    };
    let (after, location) = (header(header::RETRY_AFTER), header(header::LOCATION));
    let text = response
        .body_mut()
        .with_config()
        .limit(LONGEST_ANSWER)
        .lossy_utf8(true)
        .read_to_string();
    match text {
        Ok(text) => understand(status, after.as_deref(), location.as_deref(), &text),
        Err(error) => Err(broken(error)),
    }
}

fn broken(error: ureq::Error) -> Failure {
    use ureq::Error;
    let text = match &error {
        Error::Io(inner) => inner.to_string(),
        other => other.to_string(),
    };
    let unreached = match &error {
        Error::HostNotFound | Error::ConnectionFailed | Error::BadUri(_) => true,
        Error::Tls(_) | Error::TlsRequired => true,
        Error::Timeout(at) => matches!(at, Timeout::Connect | Timeout::Resolve),
        Error::Io(inner) => matches!(
            inner.kind(),
            ErrorKind::ConnectionRefused
                | ErrorKind::HostUnreachable
                | ErrorKind::NetworkUnreachable
                | ErrorKind::AddrNotAvailable
        ),
        Error::Rustls(_) => true,
        _ => false,
    };
    if unreached {
        Failure::NotReached(text)
    } else {
        Failure::NoAnswer(format!("connection broken: {text}"))
    }
}

/// What an answer means, by its status, its Retry-After and Location headers and its text.
///
/// # Errors
/// Everything but a JSON value without an `error` is a [`Failure`].
pub fn understand(
    status: u16,
    after: Option<&str>,
    location: Option<&str>,
    text: &str,
) -> Result<Value, Failure> {
    let value = serde_json::from_str::<Value>(text).ok();
    let message = || told(status, value.as_ref(), text);
    match status {
        200..=299 => match value {
            Some(value) => match value.get("error") {
                None => Ok(value),
                Some(error) => Err(Failure::Said {
                    error: words(error),
                    details: value.get("error_details").map(words).unwrap_or_default(),
                }),
            },
            None => Err(Failure::Server(format!(
                "HTTP {status}, but no JSON: {}",
                short(text)
            ))),
        },
        300..=399 => Err(Failure::Refused(format!(
            "HTTP {status}: redirects to {}; use that address",
            location.unwrap_or("nowhere")
        ))),
        401 => Err(Failure::Denied(message())),
        404 => Err(Failure::NotFound(message())),
        408 | 429 => Err(Failure::Busy {
            after: after.and_then(|text| text.trim().parse().ok().map(Duration::from_secs)),
            message: message(),
        }),
        413 => Err(Failure::TooLarge(message())),
        500.. => Err(Failure::Server(message())),
        _ => Err(Failure::Refused(message())),
    }
}

/// A JSON value as a person reads it.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn told(status: u16, value: Option<&Value>, text: &str) -> String {
    let said = value
        .and_then(|value| value.get("message").or(value.get("error")))
        .map_or_else(|| short(text), words);
    format!("HTTP {status}: {said}")
}

/// The first words of an HTML page or another long text.
fn short(text: &str) -> String {
    let mut shown = String::new();
    let mut in_tag = false;
    for c in text.chars() {
        match c {
            '<' => in_tag = true,
            '>' => {
                in_tag = false;
                shown.push(' ');
            }
            _ if in_tag => {}
            c => shown.push(c),
        }
    }
    let words: Vec<&str> = shown.split_whitespace().collect();
    let line: String = words.join(" ").chars().take(120).collect();
    match line.is_empty() {
        true => "no text".into(),
        false => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn errors_that_come_as_success_are_told_apart() {
        let said = understand(200, None, None, r#"{"error":"file too big"}"#).unwrap_err();
        assert_eq!(
            said,
            Failure::Said {
                error: "file too big".into(),
                details: String::new()
            }
        );
        let said = understand(
            200,
            None,
            None,
            r#"{"error":"Invalid data","error_details":{"title":["x"]}}"#,
        );
        assert_eq!(
            said.unwrap_err().to_string(),
            r#"Invalid data: {"title":["x"]}"#
        );
        assert_eq!(
            understand(200, None, None, r#"{"result":"ok"}"#).unwrap(),
            json!({"result":"ok"})
        );
    }

    #[test]
    fn html_is_shown_as_its_words() {
        let page = "<!DOCTYPE HTML><title>500 Internal Server Error</title>\n<h1>Oops</h1>";
        let failure = understand(500, None, None, page).unwrap_err();
        assert_eq!(
            failure.to_string(),
            "HTTP 500: 500 Internal Server Error Oops"
        );
        assert!(failure.in_doubt());
        assert!(understand(200, None, None, page).unwrap_err().in_doubt());
    }

    #[test]
    fn waiting_is_as_long_as_asked() {
        let busy = understand(429, Some("7"), None, "{\"message\":\"slow down\"}").unwrap_err();
        assert_eq!(
            busy,
            Failure::Busy {
                after: Some(Duration::from_secs(7)),
                message: "HTTP 429: slow down".into()
            }
        );
        assert!(matches!(
            understand(413, None, None, ""),
            Err(Failure::TooLarge(_))
        ));
        assert!(matches!(
            understand(302, None, Some("/x"), ""),
            Err(Failure::Refused(_))
        ));
        assert!(matches!(
            understand(401, None, None, "<p>Access denied"),
            Err(Failure::Denied(_))
        ));
    }
}
