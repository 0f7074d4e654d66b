//! The WebSocket: handshake, calls in, orders out.

use std::sync::Arc;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::engine::{NotTaken, call, python_json};
use crate::faults::Kind;
use crate::request::query_value;
use crate::sessions::{Key, Order, Seat};
use crate::{App, token};

/// Answers `GET /ws`. The token is looked at here and never again.
pub(crate) async fn connect(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    let token = query_value(query.as_deref(), "token").unwrap_or_default();
    let claims = token::read_access(&token, false).unwrap_or_default();
    let roles: Vec<&str> = claims["roles"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let (Some(email), true) = (claims["email"].as_str(), roles.contains(&"user")) else {
        return (StatusCode::UNAUTHORIZED, "401: Unauthorized").into_response();
    };
    // One role counts: the first of these that is held.
    let order = ["admin", "superuser", "trusted_user"];
    let role = order
        .iter()
        .find(|role| roles.contains(role))
        .copied()
        .unwrap_or("user");
    let (email, role) = (email.to_owned(), role.to_owned());
    let session_id = query_value(query.as_deref(), "session_id").filter(|id| !id.is_empty());
    match upgrade {
        Ok(upgrade) => {
            // Before the answer: of two connections the later one has the session.
            let seat = app.engine.join(&email, session_id.as_deref(), app.keep());
            let taken = Taken { app, seat };
            upgrade.on_upgrade(move |socket| async move { serve(taken, socket, &role).await })
        }
        Err(refused) => refused.into_response(),
    }
}

/// A session's place, left when this is dropped.
struct Taken {
    app: Arc<App>,
    seat: Seat,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.app.engine.leave(&self.seat);
    }
}

async fn serve(mut taken: Taken, mut socket: WebSocket, role: &str) {
    let app = Arc::clone(&taken.app);
    let seat = &mut taken.seat;
    let ticket = app.log.begin("WS", "/ws");
    if let Some(fault) = app.faults.meet("WS", "/ws")
        && fault.kind == Kind::Drop
    {
        app.log
            .end(ticket, |entry| entry.fault = Some("Drop".into()));
        return;
    }
    loop {
        tokio::select! {
            order = seat.orders.recv() => match order {
                Some(Order::Send(text)) => {
                    if socket.send(Message::text(text)).await.is_err() {
                        break;
                    }
                }
                Some(Order::Close) => {
                    let frame = CloseFrame { code: 1000, reason: "".into() };
                    let _ = socket.send(Message::Close(Some(frame))).await;
                    break;
                }
                Some(Order::Cut) | None => break,
            },
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    if let Reaction::Cut = heard(&app, &seat.key, role, &text) {
                        break;
                    }
                }
                // Binary frames get no answer; pings were answered already.
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break,
            },
        }
    }
    app.engine.leave(seat);
    app.log.end(ticket, |entry| entry.status = Some(101));
}

enum Reaction {
    None,
    Cut,
}

/// Handles one text. What is no call at all gets no answer.
fn heard(app: &Arc<App>, key: &Key, role: &str, text: &str) -> Reaction {
    let Ok(Value::Array(message)) = serde_json::from_str(text) else {
        return Reaction::None;
    };
    let Some(call_id) = message.first().cloned() else {
        return Reaction::None;
    };
    let (name, args) = match parse(&message) {
        Ok(parsed) => parsed,
        Err(error) => {
            reply(app, key, &json!(["e", call_id, error, null]));
            return Reaction::None;
        }
    };
    let fault = app.faults.meet("CALL", &name);
    let ticket = app.log.begin("CALL", &name);
    let kind = fault.as_ref().map(|fault| fault.kind);
    app.log.end(ticket, |entry| {
        entry.fault = kind.map(|kind| format!("{kind:?}"))
    });
    let taken = match kind {
        Some(Kind::Drop) => return Reaction::Cut,
        Some(Kind::QueueFull) => Err(NotTaken::Full),
        _ => {
            let silent = kind == Some(Kind::NoReply);
            call(app, key, role, (call_id.clone(), &name, args), silent)
        }
    };
    let error = match taken {
        Ok(()) => return Reaction::None,
        Err(NotTaken::Full) => "QueueFull()".to_owned(),
        Err(NotTaken::Unknown) => format!("No task with name {name}"),
    };
    let stack = "Traceback (most recent call last):\n  (none in a sandbox)\n";
    reply(app, key, &json!(["e", call_id, error, stack]));
    Reaction::None
}

fn reply(app: &App, key: &Key, message: &Value) {
    app.engine.reply(key, python_json(message), app.keep());
}

/// Name and arguments of a call, or what Python says about it.
fn parse(message: &[Value]) -> Result<(String, Vec<Value>), String> {
    let [_, name, payload] = message else {
        return Err(match message.len() {
            0..3 => format!(
                "not enough values to unpack (expected 3, got {})",
                message.len()
            ),
            _ => "too many values to unpack (expected 3)".to_owned(),
        });
    };
    let Some(payload) = payload.as_object() else {
        let kind = match payload {
            Value::Null => "NoneType",
            Value::Bool(_) => "bool",
            Value::Number(number) if number.is_f64() => "float",
            Value::Number(_) => "int",
            Value::String(_) => "str",
            _ => "list",
        };
        return Err(format!("'{kind}' object has no attribute 'get'"));
    };
    let args = match payload.get("args") {
        Some(Value::Array(args)) => args.clone(),
        None | Some(Value::Null | Value::Bool(false)) => Vec::new(),
        Some(_) => return Err("Invalid message".to_owned()),
    };
    let name = name
        .as_str()
        .map_or_else(|| name.to_string(), str::to_owned);
    Ok((name, args))
}
