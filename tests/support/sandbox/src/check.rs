//! `POST /api/upload/check`: does the server want this file?

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde_json::{Value, json};

use crate::access::Caller;
use crate::failure::{Answer, Failure};
use crate::log::About;
use crate::{App, request};

/// The most objects that check-batch takes.
const BATCH: usize = 200;

/// What a check is asked about.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) mime_type: String,
    pub(crate) size: f64,
    pub(crate) hash: Option<String>,
    pub(crate) extension: Option<String>,
}

/// Answers one question.
pub(crate) async fn check(
    _: Caller,
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let asked = request::json(&headers, &body)?;
    let asked = asked.ok_or_else(|| Failure::internal("no JSON"))?;
    let asked = read(&asked)?;
    let about = About {
        hash: asked.hash.clone(),
        book: None,
    };
    let answer = objection(&app, &asked).await?;
    let answer = answer.map_or(json!({ "result": "ok" }), |error| json!({ "error": error }));
    Ok((Extension(about), Json(answer)).into_response())
}

/// The fork's many at once. Without a hash it compares the size alone.
pub(crate) async fn batch(
    _: Caller,
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let asked = request::json(&headers, &body)?;
    let Some(Value::Array(list)) = asked else {
        return Err(Failure::bad("Invalid schema"));
    };
    if list.len() > BATCH {
        return Err(Failure::bad("Too many files"));
    }
    let mut results = Vec::new();
    for asked in &list {
        let asked = read(&with_hash(asked))?;
        let answer = objection(&app, &asked).await?;
        results.push(answer.map_or(json!({ "result": "ok" }), |error| json!({ "error": error })));
    }
    Ok(Json(json!({ "results": results })).into_response())
}

fn with_hash(asked: &Value) -> Value {
    let mut asked = asked.clone();
    if let Some(object) = asked.as_object_mut() {
        object.entry("hash").or_insert(Value::Null);
    }
    asked
}

/// Validation as its schema does it, then the call with the keys as arguments: an unknown or a
/// missing one is a Python error, not a polite refusal.
fn read(asked: &Value) -> Result<Asked, Failure> {
    let invalid = || Failure::bad("Invalid schema");
    let object = asked.as_object().ok_or_else(invalid)?;
    let mime_type = object
        .get("mime_type")
        .and_then(Value::as_str)
        .ok_or_else(invalid)?;
    if mime_type.chars().count() > 255 {
        return Err(invalid());
    }
    let size = match object.get("size") {
        Some(Value::Number(number)) => number.as_f64().unwrap_or_default(),
        Some(Value::String(text)) if text.trim().parse::<i64>().is_ok_and(|size| size >= 1) => {
            return Err(Failure::internal("size is a string"));
        }
        _ => return Err(invalid()),
    };
    if size < 1.0 {
        return Err(invalid());
    }
    let known = ["mime_type", "size", "hash", "extension"];
    if let Some(key) = object.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(Failure::internal(format!(
            "unexpected keyword argument '{key}'"
        )));
    }
    let text = |key: &str| match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.contains('\0') => Ok(Some(text.clone())),
        Some(_) => Err(Failure::internal(format!("{key} is not a usable string"))),
    };
    if !object.contains_key("hash") {
        return Err(Failure::internal("missing argument 'hash'"));
    }
    let (hash, extension) = (text("hash")?, text("extension")?);
    Ok(Asked {
        mime_type: mime_type.to_owned(),
        size,
        hash,
        extension,
    })
}

/// Why the server does not want the file; nothing when it does. Size, then type, then content.
pub(crate) async fn objection(app: &App, asked: &Asked) -> Result<Option<String>, Failure> {
    #[allow(clippy::cast_precision_loss)] // Limits are far below 2^53.
    if asked.size > app.settings.limit() as f64 {
        return Ok(Some("file too big".to_owned()));
    }
    let extension = asked.extension.as_deref().unwrap_or_default();
    let mut mime_type = asked.mime_type.as_str();
    if mime_type.is_empty() {
        mime_type = guess(extension).unwrap_or_default();
    }
    let client = app.database.get().await?;
    let known = "select exists (select from format where mime_type = $1 or extension = $2)";
    let known = client
        .query_one(known, &[&mime_type.to_lowercase(), &extension])
        .await?;
    if !known.get::<_, bool>(0) {
        let extension = asked.extension.as_deref().unwrap_or("None");
        let error = format!("unsupported file type {mime_type}, extension {extension}");
        return Ok(Some(error));
    }
    let found = match &asked.hash {
        Some(hash) => {
            let same = "select exists (select from source where size = $1::float8 and hash = $2)";
            client.query_one(same, &[&asked.size, hash]).await?
        }
        // Upstream's comparison with NULL finds nothing, the fork's leaves the hash out.
        None => {
            let same = "select exists (select from source where size = $1::float8 and $2)";
            client
                .query_one(same, &[&asked.size, &app.settings.fork])
                .await?
        }
    };
    Ok(found
        .get::<_, bool>(0)
        .then(|| "file already exists".to_owned()))
}

/// What Python guesses from an extension, in any case of letters. Debian's list of types makes it
/// know e-books; types that no format has are here because they appear in the refusal.
fn guess(extension: &str) -> Option<&'static str> {
    Some(match extension.to_ascii_lowercase().as_str() {
        "pdf" => "application/pdf",
        "txt" | "text" | "asc" => "text/plain",
        "pdb" => "chemical/x-pdb",
        "rtf" => "application/rtf",
        "doc" | "dot" => "application/msword",
        "prc" => "model/prc",
        "chm" => "chemical/x-chemdraw",
        "azw3" => "application/vnd.amazon.mobi8-ebook",
        "xps" => "application/vnd.ms-xpsdocument",
        "epub" => "application/epub+zip",
        "odt" => "application/vnd.oasis.opendocument.text",
        "djvu" | "djv" => "image/vnd.djvu",
        "html" | "htm" => "text/html",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "docm" => "application/vnd.ms-word.document.macroEnabled.12",
        "cbz" => "application/vnd.comicbook+zip",
        "cbr" => "application/vnd.comicbook-rar",
        "zip" => "application/zip",
        "rar" => "application/vnd.rar",
        "exe" => "application/x-msdos-program",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        _ => return None,
    })
}
