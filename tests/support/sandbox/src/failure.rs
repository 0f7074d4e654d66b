//! Answers that are errors: HTML pages for plain views, JSON for flask-restful's resources.

use std::fmt::Display;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::json;

/// A request that ends with an HTTP error.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    message: String,
    /// Why, for the log and stderr of the sandbox only.
    pub(crate) reason: Option<String>,
    /// An HTML page even below flask-restful: no route matched.
    page: bool,
}

/// What a handler gives.
pub(crate) type Answer = Result<Response, Failure>;

impl Failure {
    fn new(status: StatusCode, message: &str) -> Self {
        Self {
            status,
            message: message.to_owned(),
            reason: None,
            page: false,
        }
    }

    /// 400 with a message of the application.
    pub(crate) fn bad(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 400 as Werkzeug words it when a request cannot be read; `reason` is for the log alone.
    pub(crate) fn unreadable(reason: impl Display) -> Self {
        let message =
            "The browser (or proxy) sent a request that this server could not understand.";
        Self {
            reason: Some(reason.to_string()),
            ..Self::bad(message)
        }
    }

    /// 401.
    pub(crate) fn denied() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Access denied")
    }

    /// 403.
    pub(crate) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "Access denied")
    }

    /// 404.
    pub(crate) fn not_found() -> Self {
        let message = "The requested URL was not found on the server.  If you entered the URL \
                       manually please check your spelling and try again.";
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 404 for a row whose file cannot be opened.
    pub(crate) fn no_file() -> Self {
        Self::new(StatusCode::NOT_FOUND, "File not found")
    }

    /// 404 of the router, before any resource is asked.
    pub(crate) fn no_route() -> Self {
        Self {
            page: true,
            ..Self::not_found()
        }
    }

    /// 405.
    pub(crate) fn wrong_method() -> Self {
        let message = "The method is not allowed for the requested URL.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, message)
    }

    /// 413.
    pub(crate) fn too_large() -> Self {
        let message = "The data value transmitted exceeds the capacity limit.";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// 500: an exception that nobody caught.
    pub(crate) fn internal(reason: impl Display) -> Self {
        let message = "The server encountered an internal error and was unable to complete your \
                       request.  Either the server is overloaded or there is an error in the \
                       application.";
        let failure = Self::new(StatusCode::INTERNAL_SERVER_ERROR, message);
        Self {
            reason: Some(reason.to_string()),
            ..failure
        }
    }

    /// Any status, for faults on request.
    pub(crate) fn of_status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(status, "Fault on request")
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let name = self.status.canonical_reason().unwrap_or("Error");
        let page = format!(
            "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 3.2 Final//EN\">\n<title>{code} {name}\
             </title>\n<h1>{name}</h1>\n<p>{message}</p>\n",
            code = self.status.as_u16(),
            message = self.message,
        );
        let mut response = (self.status, Html(page)).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, TEXT_HTML);
        response.extensions_mut().insert(self);
        response
    }
}

const TEXT_HTML: header::HeaderValue = header::HeaderValue::from_static("text/html");

/// Turns a failure into flask-restful's form; other answers pass.
pub(crate) async fn as_json(response: Response) -> Response {
    let failure = response
        .extensions()
        .get::<Failure>()
        .filter(|failure| !failure.page)
        .cloned();
    let Some(failure) = failure else {
        return response;
    };
    let message = match failure.status {
        StatusCode::INTERNAL_SERVER_ERROR => "Internal Server Error",
        _ => &failure.message,
    };
    let mut answer = (failure.status, Json(json!({ "message": message }))).into_response();
    answer.extensions_mut().insert(failure);
    answer
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        let detail = error.as_db_error().map(ToString::to_string);
        Self::internal(detail.unwrap_or_else(|| error.to_string()))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::internal(error)
    }
}
