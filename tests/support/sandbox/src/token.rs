//! JSON web tokens as the server makes them: HS256, no leeway on expiry.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde_json::{Value, json};

use crate::access::User;

const ACCESS: &[u8] = b"sandbox key of access tokens";
const REFRESH: &[u8] = b"sandbox key of refresh tokens";
/// A refresh token is good for a year.
const REFRESH_SECONDS: u64 = 8760 * 3600;

/// An access token for this user, good for so many seconds.
pub(crate) fn access(user: &User, seconds: u64) -> String {
    let claims = json!({
        "id": user.id,
        "user_name": user.user_name,
        "email": user.email,
        "roles": user.roles,
        "exp": now() + seconds,
    });
    sign(&claims, ACCESS)
}

/// A refresh token for this user.
pub(crate) fn refresh(user: &User) -> String {
    sign(
        &json!({ "id": user.id, "exp": now() + REFRESH_SECONDS }),
        REFRESH,
    )
}

/// The claims of an access token; nothing when it is forged or, unless `expired_too`, too old.
pub(crate) fn read_access(token: &str, expired_too: bool) -> Option<Value> {
    read(token, ACCESS, expired_too)
}

/// The claims of a refresh token that is still good.
pub(crate) fn read_refresh(token: &str) -> Option<Value> {
    read(token, REFRESH, false)
}

fn sign(claims: &Value, key: &[u8]) -> String {
    let signed = encode(
        &Header::new(Algorithm::HS256),
        claims,
        &EncodingKey::from_secret(key),
    );
    signed.unwrap_or_default()
}

fn read(token: &str, key: &[u8], expired_too: bool) -> Option<Value> {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.leeway = 0;
    validation.validate_exp = !expired_too;
    let claims = decode::<Value>(token, &DecodingKey::from_secret(key), &validation);
    claims.ok().map(|data| data.claims)
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
