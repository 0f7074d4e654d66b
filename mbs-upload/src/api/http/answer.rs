//! What the server's many kinds of answers mean.

use std::{io::ErrorKind, time::Duration};

use serde_json::Value;
use ureq::{
    Body, Timeout,
    http::{Response, header},
};

use wire::secret::redact;

use crate::{api::ReadFile, model::failure::Failure};

/// Answers are small; more than this is none.
const LONGEST: u64 = 4 << 20;

/// What came of a request; `late` says in words what a limit means that was passed.
pub(super) fn answer(
    result: Result<Response<Body>, ureq::Error>,
    late: impl Fn(Timeout) -> String,
) -> Result<Value, Failure> {
    let broken = |error| failed(error, &late);
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
        .limit(LONGEST)
        .lossy_utf8(true)
        .read_to_string();
    match text {
        Ok(text) => understand(status, after.as_deref(), location.as_deref(), &text),
        Err(error) => Err(broken(error)),
    }
}

/// The same for a file: `read` is given its length and its bytes.
pub(super) fn file(
    result: Result<Response<Body>, ureq::Error>,
    late: impl Fn(Timeout) -> String,
    read: &mut ReadFile<'_>,
) -> Result<(), Failure> {
    match result {
        Ok(mut response) if response.status().as_u16() == 200 => {
            let length = response.body().content_length();
            let read = read(length, &mut response.body_mut().as_reader());
            read.map_err(|error| failed(ureq::Error::from(error), late))
        }
        other => answer(other, late)
            .and_then(|_| Err(Failure::Server("the answer holds no file".into()))),
    }
}

fn failed(error: ureq::Error, late: impl Fn(Timeout) -> String) -> Failure {
    match error {
        ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => broken(error),
        ureq::Error::Timeout(limit) => Failure::NoAnswer(late(limit)),
        error => broken(error),
    }
}

fn broken(error: ureq::Error) -> Failure {
    use ureq::Error;
    let text = match &error {
        Error::Io(inner) => inner.to_string(),
        Error::Other(inner) => inner.to_string(),
        other => other.to_string(),
    };
    let unreached = match &error {
        Error::HostNotFound | Error::ConnectionFailed | Error::BadUri(_) => true,
        Error::Timeout(at) => matches!(at, Timeout::Connect | Timeout::Resolve),
        Error::Io(inner) => matches!(
            inner.kind(),
            ErrorKind::ConnectionRefused
                | ErrorKind::HostUnreachable
                | ErrorKind::NetworkUnreachable
                | ErrorKind::AddrNotAvailable
        ),
        // No encrypted connection came about.
        Error::Other(_) => return Failure::Unusable(redact(&text)),
        _ => false,
    };
    if unreached {
        Failure::NotReached(redact(&text))
    } else {
        Failure::NoAnswer(format!("connection broken: {}", redact(&text)))
    }
}

/// What an answer means, by its status, its Retry-After and Location headers and its text.
///
/// # Errors
/// Everything but a JSON value without an `error` is a [`Failure`].
fn understand(
    status: u16,
    after: Option<&str>,
    location: Option<&str>,
    text: &str,
) -> Result<Value, Failure> {
    let value = serde_json::from_str::<Value>(text).ok();
    let message = || describe(status, value.as_ref(), text);
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
            redact(location.unwrap_or("nowhere"))
        ))),
        401 => Err(Failure::Denied(message())),
        404 => Err(Failure::NotFound(message())),
        408 | 429 => Err(Failure::Busy {
            after: after.and_then(|text| text.trim().parse().ok().map(Duration::from_secs)),
            message: message(),
        }),
        413 => Err(Failure::TooLarge(message())),
        500.. => Err(Failure::Down(message())),
        _ => Err(Failure::Refused(message())),
    }
}

/// The server's own words that are compared, not only shown: a password may be one of them.
const FIXED: [&str; 3] = ["file already exists", "File already exists", "file too big"];

/// A JSON value as a person reads it.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) if FIXED.contains(&text.as_str()) => text.clone(),
        Value::String(text) => redact(text),
        Value::Null => String::new(),
        other => redact(&other.to_string()),
    }
}

fn describe(status: u16, value: Option<&Value>, text: &str) -> String {
    let said = value
        .and_then(|value| value.get("message").or(value.get("error")))
        .map_or_else(|| short(text), words);
    format!("HTTP {status}: {said}")
}

/// The first words of an HTML page or another long text.
fn short(text: &str) -> String {
    let text = redact(text);
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
        assert!(failure.is_unconfirmed());
        assert!(
            understand(200, None, None, page)
                .unwrap_err()
                .is_unconfirmed()
        );
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
