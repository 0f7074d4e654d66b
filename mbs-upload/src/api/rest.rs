//! The REST API as a user who is logged in: each request with a token that holds.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use crate::{
    api::{ReadFile, SendBody, http::Http, login::Login},
    model::failure::Failure,
    retry::{shutdown::Shutdown, timeout::Limits},
};

/// The server for one user; may be shared by all threads.
#[derive(Clone, Debug)]
pub struct Rest {
    http: Arc<Http>,
    login: Arc<Login>,
}

impl Rest {
    /// This server for this user; nothing is asked yet.
    pub fn new(base: &str, login: Login, limits: Limits, shutdown: &Shutdown) -> Rest {
        Rest {
            http: Arc::new(Http::new(base, limits, shutdown)),
            login: Arc::new(login),
        }
    }

    /// The server's address.
    pub fn base(&self) -> &str {
        self.http.base()
    }

    /// An answer that does not come within this never will.
    pub fn answer_within(&self) -> Duration {
        self.http.answer_within()
    }

    /// Our user's id on the server, once logged in.
    pub fn user_id(&self) -> Option<i64> {
        self.login.user_id()
    }

    /// The token to use now.
    pub fn token(&self) -> Result<String, Failure> {
        self.login.token(&self.http)
    }

    /// A new token in place of one that was refused.
    pub fn replace_token(&self, refused: &str) -> Result<String, Failure> {
        self.login.replace(&self.http, refused)
    }

    /// GET of a path that is encoded already.
    pub fn get(&self, path: &str) -> Result<Value, Failure> {
        self.with_token(|token| self.http.get(path, token))
    }

    /// GET for a sign of life.
    pub fn ping(&self, path: &str) -> Result<Value, Failure> {
        self.with_token(|token| self.http.ping(path, token))
    }

    /// POST of a JSON body.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.with_token(|token| self.http.post(path, Some(token), body))
    }

    /// DELETE.
    pub fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.with_token(|token| self.http.delete(path, token))
    }

    /// POST of a body that is streamed by `send`, which may be called twice.
    pub fn stream(&self, path: &str, send: &mut SendBody<'_>) -> Result<Value, Failure> {
        self.with_token(|token| send(&mut |stream| self.http.send(path, token, stream)))
    }

    /// GET of a file: `read` is given the length that the server tells, and the bytes.
    pub fn download(&self, path: &str, read: &mut ReadFile<'_>) -> Result<(), Failure> {
        self.with_token(|token| self.http.download(path, token, read))
    }

    /// A refused token is replaced once; it may have ended before its time.
    fn with_token<T>(&self, mut ask: impl FnMut(&str) -> Result<T, Failure>) -> Result<T, Failure> {
        let token = self.token()?;
        match ask(&token) {
            Err(Failure::Denied(_)) => ask(&self.replace_token(&token)?),
            other => other,
        }
    }
}

/// A text as one segment of a path, blanks as `%20`: the server takes a plus sign for itself.
pub fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_blank_is_never_a_plus() {
        assert_eq!(super::segment("C One+/é"), "C%20One%2B%2F%C3%A9");
    }
}
