//! Who we are to the server: one login, its token renewed before it expires and when refused.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use wire::secret;

use crate::{api::http::Http, model::failure::Failure};

/// A token is renewed this long before its end, or after four fifths of a short life.
const AHEAD: Duration = Duration::from_secs(300);

/// Bytes of a token; servers take headers of 8 KiB.
const LONGEST: usize = 8000;

/// One user's login.
pub struct Login {
    user: String,
    password: String,
    tokens: Mutex<Tokens>,
}

#[derive(Default)]
struct Tokens {
    access: String,
    refresh: String,
    renew_at: Option<Instant>,
    user_id: Option<i64>,
}

impl std::fmt::Debug for Login {
    /// The user alone: passwords and tokens are in no log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl Login {
    /// A user and a password; nothing is asked yet.
    pub fn new(user: &str, password: &str) -> Login {
        secret::register(password.as_bytes());
        Login {
            user: user.into(),
            password: password.into(),
            tokens: Mutex::default(),
        }
    }

    /// The token to use now.
    ///
    /// # Errors
    /// When a new one was needed and was not given; [`Failure::Denied`] when the password is wrong.
    pub fn token(&self, http: &Http) -> Result<String, Failure> {
        let mut tokens = self.lock();
        if tokens.access.is_empty() {
            self.enter(http, &mut tokens)?;
        } else if tokens.renew_at.is_some_and(|at| at <= Instant::now()) {
            self.renew(http, &mut tokens)?;
        }
        Ok(tokens.access.clone())
    }

    /// A new token in place of one that was refused. Several threads may have had the same one.
    pub fn replace(&self, http: &Http, refused: &str) -> Result<String, Failure> {
        let mut tokens = self.lock();
        if tokens.access == refused {
            self.renew(http, &mut tokens)?;
        }
        Ok(tokens.access.clone())
    }

    /// Our id on the server, once logged in, where the token tells it.
    pub fn user_id(&self) -> Option<i64> {
        self.lock().user_id
    }

    fn lock(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, http: &Http, tokens: &mut Tokens) -> Result<(), Failure> {
        let who = json!({"username": self.user, "password": self.password});
        let answer = http
            .post("/login", None, &who)
            .map_err(|failure| match failure {
                Failure::Said { error, .. } => Failure::Denied(format!("login refused: {error}")),
                Failure::Refused(why) => Failure::Denied(format!("login refused: {why}")),
                other => other,
            })?;
        tokens.take(&answer)
    }

    fn renew(&self, http: &Http, tokens: &mut Tokens) -> Result<(), Failure> {
        let ask = json!({"refresh_token": tokens.refresh});
        match http.post("/login", Some(&tokens.access), &ask) {
            Ok(answer) => tokens.take(&answer),
            // The refresh token may have ended, or the server's keys changed: start afresh.
            Err(Failure::Said { .. } | Failure::Refused(_) | Failure::Denied(_)) => {
                self.enter(http, tokens)
            }
            Err(other) => Err(other),
        }
    }
}

impl Tokens {
    fn take(&mut self, answer: &Value) -> Result<(), Failure> {
        let text = |name: &str| answer.get(name).and_then(Value::as_str);
        let access = token(text("access_token").unwrap_or_default())
            .ok_or_else(|| Failure::Server("the login answer holds no access_token".into()))?;
        let claims = claims(&access);
        self.user_id = claims.get("id").and_then(Value::as_i64);
        self.renew_at = claims
            .get("exp")
            .and_then(Value::as_u64)
            .and_then(|end| life(end, SystemTime::now()))
            // One that ends beyond all clocks is not renewed before it is refused.
            .and_then(|life| Instant::now().checked_add(life.saturating_sub(AHEAD.min(life / 5))));
        self.access = access;
        if let Some(refresh) = text("refresh_token").and_then(token) {
            self.refresh = refresh;
        }
        Ok(())
    }
}

/// A token as it fits into a header and a URL, unseen by anybody from now on.
fn token(text: &str) -> Option<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    let is_one = (1..=LONGEST).contains(&text.len()) && text.bytes().all(fits);
    is_one.then(|| {
        secret::register(text.as_bytes());
        text.into()
    })
}

/// How long a token that ends at `end` (seconds since 1970) will live; nothing when our clock says
/// that it is over already. It was given this moment, so the clock is wrong: we wait for a 401.
fn life(end: u64, now: SystemTime) -> Option<Duration> {
    let now = now.duration_since(UNIX_EPOCH).ok()?;
    Duration::from_secs(end)
        .checked_sub(now)
        .filter(|life| !life.is_zero())
}

/// What a JSON web token says; the server alone can check it. Null where it is none.
fn claims(token: &str) -> Value {
    token
        .split('.')
        .nth(1)
        .and_then(|part| URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok())
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_tells_its_end_and_its_owner() {
        let body = URL_SAFE_NO_PAD.encode(br#"{"id":7,"exp":4102444800}"#);
        let answer = json!({"access_token": format!("h.{body}.s"), "refresh_token": "r"});
        let mut tokens = Tokens::default();
        tokens.take(&answer).unwrap();
        assert_eq!(tokens.user_id, Some(7));
        assert!(tokens.renew_at.unwrap() > Instant::now() + Duration::from_secs(3600));
        tokens.take(&json!({"access_token": "no.JWT"})).unwrap();
        assert_eq!((tokens.renew_at, tokens.refresh.as_str()), (None, "r"));
        assert!(tokens.take(&json!({})).is_err());
    }

    #[test]
    fn c7_a_token_that_ends_beyond_all_clocks_is_no_panic() {
        for end in [
            "18446744073709551615",
            "9223372036854775807",
            "1e308",
            "-1",
            "253402300800",
        ] {
            let body = URL_SAFE_NO_PAD.encode(format!(r#"{{"id":7,"exp":{end}}}"#));
            let mut tokens = Tokens::default();
            let answer = json!({"access_token": format!("h.{body}.s")});
            tokens.take(&answer).unwrap();
            assert_eq!(tokens.user_id, Some(7), "{end}");
        }
    }

    #[test]
    fn c7_what_fits_no_header_is_no_token() {
        let long = "x".repeat(LONGEST + 1);
        for text in ["", "a\r\nX: y", "a b", "á", "a&b=c", &long] {
            let mut tokens = Tokens::default();
            assert!(
                tokens.take(&json!({"access_token": text})).is_err(),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_wrong_clock_does_not_make_it_renew_for_ever() {
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        assert_eq!(life(999, now), None);
        assert_eq!(life(1010, now), Some(Duration::from_secs(10)));
    }
}
