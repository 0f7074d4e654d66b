//! The routes, and the layer that writes the log and plays the faults.

use std::future::poll_fn;
use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::header::{CONNECTION, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, delete, get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::failure::{Failure, as_json};
use crate::faults::{Fault, Faults, Kind};
use crate::listener::Knife;
use crate::log::About;
use crate::{App, adding, check, creating, login, reading, removing, socket, upload};

/// The REST side.
pub(crate) fn rest(app: &Arc<App>) -> Router {
    let resources = Router::new()
        .route("/api/languages", get(reading::languages))
        .route("/api/genres", get(reading::genres))
        .route("/api/ebooks", get(reading::ebooks).post(creating::create))
        .route(
            "/api/ebooks/{id}",
            get(reading::ebook).delete(removing::ebook),
        )
        .route("/api/sources/{id}", delete(removing::source))
        .route("/api/search/{words}", get(reading::search))
        .route("/api/uploads-meta/{id}", get(reading::upload_meta))
        .method_not_allowed_fallback(|| async { Failure::wrong_method() })
        .layer(map_response(as_json));
    let mut views = Router::new()
        .route("/login", post(login::login))
        .route("/api/upload", post(upload::upload))
        .route("/api/upload/check", post(check::check))
        .route("/api/download/{id}", get(reading::download))
        .route("/api/ebooks/index/{start}", get(reading::index))
        .route("/api/series/index/{start}", get(reading::series_index))
        .route("/api/ebooks/{id}/add-upload", post(adding::add_upload))
        .method_not_allowed_fallback(|| async { Failure::wrong_method() });
    if app.settings.fork {
        views = views.route("/api/upload/check-batch", post(check::batch));
    }
    resources
        .merge(views)
        .fallback(any(|| async { Failure::not_found() }))
        .layer(from_fn_with_state(Arc::clone(app), record))
        .route("/_fault", post(order).delete(forgive))
        .route("/_log", get(report))
        .layer(DefaultBodyLimit::disable())
        .with_state(Arc::clone(app))
}

/// The WebSocket side.
pub(crate) fn engine(app: &Arc<App>) -> Router {
    Router::new()
        .route("/ws", get(socket::connect))
        .fallback(any(|| async { (StatusCode::NOT_FOUND, "404: Not Found") }))
        .layer(from_fn_with_state(Arc::clone(app), record))
        .with_state(Arc::clone(app))
}

/// Serves one request in a task of its own: like Flask, what has begun is finished even when the
/// client hangs up.
async fn record(
    State(app): State<Arc<App>>,
    ConnectInfo(knife): ConnectInfo<Knife>,
    request: Request,
    next: Next,
) -> Response {
    let served = tokio::spawn(async move {
        let (method, path) = (
            request.method().to_string(),
            request.uri().path().to_owned(),
        );
        let ticket = app.log.begin(&method, &path);
        let fault = app.faults.meet(&method, &path);
        let kind = fault.as_ref().map(|fault| format!("{:?}", fault.kind));
        let (mut response, cut) = with_fault(fault, request, next).await;
        let about = response
            .extensions()
            .get::<About>()
            .cloned()
            .unwrap_or_default();
        let failure = response.extensions().get::<Failure>().cloned();
        let reason = failure.and_then(|failure| failure.reason);
        if let Some(reason) = &reason {
            // A test that fails shows it.
            let status = response.status().as_u16();
            let _ = writeln!(
                std::io::stderr(),
                "sandbox: {method} {path}: {status}: {reason}"
            );
        }
        app.log.end(ticket, |entry| {
            entry.status = Some(response.status().as_u16()).filter(|_| !cut);
            (entry.hash, entry.book, entry.fault) = (about.hash, about.book, kind);
            entry.note = reason;
        });
        if cut {
            knife.cut();
        }
        // The answer to a handshake names its own kind of connection.
        if !app.settings.keep_alive && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    });
    served
        .await
        .unwrap_or_else(|_| Failure::internal("the sandbox panicked").into_response())
}

/// The answer, and whether the connection is to be cut instead.
async fn with_fault(fault: Option<Fault>, request: Request, next: Next) -> (Response, bool) {
    let Some(fault) = fault else {
        return (route(request, next).await, false);
    };
    let wait = tokio::time::sleep(Duration::from_millis(fault.millis));
    let refusal = || {
        let mut response = Failure::of_status(fault.status).into_response();
        if fault.retry_after > 0 {
            (response.headers_mut()).insert(RETRY_AFTER, HeaderValue::from(fault.retry_after));
        }
        response
    };
    match fault.kind {
        Kind::Delay => {
            wait.await;
            (route(request, next).await, false)
        }
        Kind::DelayAnswer => {
            let response = route(request, next).await;
            wait.await;
            (response, false)
        }
        Kind::Status => (refusal(), false),
        Kind::StatusAfterCommit => {
            drop(route(request, next).await);
            (refusal(), false)
        }
        Kind::Drop => {
            swallow(&mut request.into_body(), fault.bytes).await;
            (StatusCode::OK.into_response(), true)
        }
        Kind::DropAfterCommit => (route(request, next).await, true),
        Kind::Garbage => ("<html>It works!</html>".into_response(), false),
        Kind::Hang => {
            let mut body = request.into_body();
            swallow(&mut body, fault.bytes).await;
            // Held, not dropped: the connection stays.
            let held = body;
            std::future::pending::<()>().await;
            drop(held);
            (refusal(), false)
        }
        Kind::Trickle => {
            let pause = Duration::from_millis(fault.millis);
            (
                route(slowly(request, fault.bytes, pause).await, next).await,
                false,
            )
        }
        _ => (route(request, next).await, false),
    }
}

/// A slash in a path cannot be escaped: WSGI takes the escapes out before the path is matched.
async fn route(request: Request, next: Next) -> Response {
    if request.uri().path().to_ascii_lowercase().contains("%2f") {
        return Failure::not_found().into_response();
    }
    next.run(request).await
}

/// Reads so many bytes of a body.
async fn swallow(body: &mut Body, bytes: u64) {
    let mut left = bytes;
    while left > 0 {
        let Some(data) = piece(body).await else {
            return;
        };
        left = left.saturating_sub(data.len() as u64);
    }
}

/// The request with its whole body, read at the pace of so many bytes in each step.
async fn slowly(request: Request, bytes: u64, step: Duration) -> Request {
    let (head, mut body) = request.into_parts();
    let mut whole = Vec::new();
    while let Some(data) = piece(&mut body).await {
        let steps = data.len() as f64 / bytes.max(1) as f64;
        whole.extend_from_slice(&data);
        tokio::time::sleep(step.mul_f64(steps)).await;
    }
    Request::from_parts(head, Body::from(whole))
}

/// The next bytes of a body; nothing at its end.
async fn piece(body: &mut Body) -> Option<Bytes> {
    let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
    frame?
        .ok()
        .map(|frame| frame.into_data().unwrap_or_default())
}

/// `POST /_fault`: of the sandbox only.
async fn order(State(app): State<Arc<App>>, Json(order): Json<Value>) -> Response {
    match app.order(&order) {
        Ok(()) => Json(json!({ "ok": true })).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response(),
    }
}

/// `DELETE /_fault`: no faults from now on.
async fn forgive(State(app): State<Arc<App>>) -> Json<Value> {
    app.faults.clear();
    Json(json!({ "ok": true }))
}

/// `GET /_log`: of the sandbox only.
async fn report(State(app): State<Arc<App>>) -> Json<Value> {
    Json(app.log.report())
}

impl App {
    /// Takes an order for a fault; what happens at once has happened afterwards.
    pub(crate) fn order(&self, order: &Value) -> Result<(), String> {
        let fault = Faults::read(order)?;
        match fault.kind {
            Kind::Restart => self.engine.restart(),
            Kind::DropAll => self.engine.cut_all(),
            _ => self.faults.add(fault),
        }
        Ok(())
    }
}
