//! Reading requests the way Flask does.

use axum::http::{HeaderMap, Uri, header};
use serde_json::Value;

use crate::failure::Failure;

/// The body as JSON; nothing when the content type is another one.
pub(crate) fn json(headers: &HeaderMap, body: &[u8]) -> Result<Option<Value>, Failure> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let kind = kind
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    if kind != "application/json" && !(kind.starts_with("application/") && kind.ends_with("+json"))
    {
        return Ok(None);
    }
    serde_json::from_slice(body)
        .map(Some)
        .map_err(Failure::unreadable)
}

/// The first value of a key in a query string, decoded.
pub(crate) fn query_value(query: Option<&str>, key: &str) -> Option<String> {
    query?.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name == key).then(|| decode(&value.replace('+', " ")))
    })
}

/// The last segment of a path, decoded; bytes that are no UTF-8 are replaced, as Werkzeug does.
pub(crate) fn last_segment(uri: &Uri) -> String {
    decode(uri.path().rsplit('/').next().unwrap_or_default())
}

/// Takes the percent signs out.
pub(crate) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let pair = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match pair.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A page of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    /// From 1.
    pub(crate) number: i64,
    /// Items on it.
    pub(crate) size: i64,
}

impl Page {
    /// Page and page_size of a query string.
    pub(crate) fn of(query: Option<&str>) -> Result<Self, Failure> {
        let size = positive(query, "page_size")?.unwrap_or(10);
        if size > 100 {
            return Err(Failure::bad("Page size bigger then maximum"));
        }
        Ok(Self {
            number: positive(query, "page")?.unwrap_or(1),
            size,
        })
    }

    /// Items before this page.
    pub(crate) fn offset(self) -> i64 {
        self.number.saturating_sub(1).saturating_mul(self.size)
    }
}

fn positive(query: Option<&str>, key: &str) -> Result<Option<i64>, Failure> {
    let Some(text) = query_value(query, key).filter(|text| text != " ") else {
        return Ok(None);
    };
    match text.trim().parse::<i64>() {
        Ok(number) if number > 0 => Ok(Some(number)),
        Ok(_) => Err(Failure::bad(&format!("Not positive number {key}"))),
        Err(_) => Err(Failure::bad(&format!("Invalid number for {key}"))),
    }
}
