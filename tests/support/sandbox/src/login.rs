//! `POST /login`: the only door, and the renewal of its key.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse};
use serde_json::{Value, json};

use crate::access::User;
use crate::failure::{Answer, Failure};
use crate::{App, request, token};

/// Answers a login. A refused one is HTTP 200 with an error inside.
pub(crate) async fn login(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Answer {
    match request::json(&headers, &body)? {
        Some(Value::Object(given)) if !given.is_empty() => with_json(&app, &headers, &given).await,
        Some(Value::Array(list)) if !list.is_empty() => Err(Failure::internal("not an object")),
        Some(_) => Err(Failure::bad("Provide credentials")),
        None => with_form(&app, &headers, &body).await,
    }
}

type Given = serde_json::Map<String, Value>;

async fn with_json(app: &App, headers: &HeaderMap, given: &Given) -> Answer {
    let text = |key: &str| {
        given
            .get(key)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let named = text("username").is_some() || text("email").is_some();
    if let (true, Some(password)) = (named, text("password")) {
        let (column, name) = match given.get("username") {
            Some(name) => ("user_name", name.as_str()),
            None => ("email", text("email")),
        };
        let Some(user) = find(app, column, name.unwrap_or_default()).await? else {
            return Ok(invalid());
        };
        if !user.active || !matches(password, &user.password).await {
            return Ok(invalid());
        }
        let access = token::access(&user, app.settings.token_seconds);
        let refresh = token::refresh(&user);
        return Ok(
            Json(json!({ "access_token": access, "refresh_token": refresh })).into_response(),
        );
    }
    match text("refresh_token") {
        Some(refresh) => renew(app, headers, refresh).await,
        None => Err(Failure::bad("Provide credentials")),
    }
}

/// A new access token for the bearer of an old one, which may have expired.
async fn renew(app: &App, headers: &HeaderMap, refresh: &str) -> Answer {
    let header = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let header =
        header.ok_or_else(|| Failure::bad("Need authorization header to refresh token"))?;
    let old = match header.split_once(char::is_whitespace) {
        Some((scheme, old)) if scheme.eq_ignore_ascii_case("bearer") => old.trim(),
        _ => return Err(Failure::bad("Invalid authorization header")),
    };
    let claims = token::read_access(old, true).ok_or_else(|| Failure::bad("Invalid token"))?;
    let proof = token::read_refresh(refresh);
    let proof = proof.ok_or_else(|| Failure::bad("Invalid refresh token"))?;
    if claims["id"] != proof["id"] {
        return Err(Failure::bad("Inconsistent tokens"));
    }
    let id = claims["id"].as_i64().unwrap_or_default();
    let Some(user) = User::by_id(&*app.database.get().await?, id).await? else {
        return Ok(invalid());
    };
    let access = token::access(&user, app.settings.token_seconds);
    Ok(Json(json!({ "access_token": access })).into_response())
}

/// The form in the browser: a redirect, or the page once more.
async fn with_form(app: &App, headers: &HeaderMap, body: &[u8]) -> Answer {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let body = String::from_utf8_lossy(body).into_owned();
    let form = kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    let field = |key| request::query_value(form.then_some(body.as_str()), key);
    let (Some(name), Some(password)) = (field("username"), field("password")) else {
        return Err(Failure::unreadable(
            "neither JSON nor a form with both fields",
        ));
    };
    let mut user = find(app, "user_name", &name).await?;
    if user.is_none() {
        user = find(app, "email", &name).await?;
    }
    match user {
        Some(user) if matches(&password, &user.password).await => {
            Ok((StatusCode::FOUND, [("location", "/")]).into_response())
        }
        _ => Ok(Html("<h1>Please Login</h1>").into_response()),
    }
}

async fn find(app: &App, column: &str, value: &str) -> Result<Option<User>, Failure> {
    let sql = format!("{}{column} = $1", User::SELECT);
    let row = app.database.get().await?.query_opt(&sql, &[&value]).await?;
    Ok(row.as_ref().map(User::from_row))
}

async fn matches(password: &str, hash: &str) -> bool {
    let (password, hash) = (password.to_owned(), hash.to_owned());
    let checked = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash));
    matches!(checked.await, Ok(Ok(true)))
}

fn invalid() -> axum::response::Response {
    Json(json!({ "error": "Invalid Login" })).into_response()
}
