//! `POST /api/upload`: takes a file into data/uploads.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::multipart::Field;
use axum::extract::{FromRequest, Multipart, Request, State};
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde_json::json;
use sha1::{Digest, Sha1};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;

use crate::access::Caller;
use crate::check::{Asked, objection};
use crate::failure::{Answer, Failure};
use crate::log::About;
use crate::{App, naming};

/// A file on its way: its bytes are in a spool file, its folder is not made yet.
struct Received {
    name: String,
    mime_type: String,
    spool: NamedTempFile,
    size: u64,
    hash: String,
}

/// Answers an upload.
pub(crate) async fn upload(_: Caller, State(app): State<Arc<App>>, request: Request) -> Answer {
    // The length decides before a byte is read; the connection is closed on the sender's body.
    let length = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok());
    let Some(length) = length.and_then(|length| length.parse::<u64>().ok()) else {
        return Err(Failure::unreadable()); // No chunked bodies.
    };
    if length > app.settings.limit() {
        return Err(Failure::too_large());
    }
    let form = Multipart::from_request(request, &()).await;
    let mut form = form.map_err(|_| Failure::unreadable())?;
    let mut received = None;
    while let Some(field) = form.next_field().await.map_err(|_| Failure::unreadable())? {
        let disposition = parameters(field.headers());
        let value = |key: &str| {
            disposition
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, value)| value.clone())
        };
        // Only `filename` makes a file of a part; `filename*` is not known here.
        match value("filename") {
            Some(name) if value("name").as_deref() == Some("file") && received.is_none() => {
                received = Some(receive(&app, name, field).await?);
            }
            _ => drop(field),
        }
    }
    let received = received.ok_or_else(Failure::unreadable)?;
    if received.name.is_empty() {
        return Ok(Json(json!({ "error": "no file" })).into_response());
    }
    let about = About {
        hash: Some(received.hash.clone()),
        book: None,
    };
    let answer = keep(&app, received).await?;
    Ok((Extension(about), Json(answer)).into_response())
}

async fn receive(app: &App, name: String, mut field: Field<'_>) -> Result<Received, Failure> {
    let mime_type = field.content_type().unwrap_or_default();
    let mime_type = mime_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_lowercase();
    let spool = NamedTempFile::new_in(app.spool())?;
    let mut file = tokio::fs::File::from_std(spool.reopen()?);
    let (mut digest, mut size) = (Sha1::new(), 0);
    while let Some(chunk) = field.chunk().await.map_err(|_| Failure::unreadable())? {
        digest.update(&chunk);
        size += chunk.len() as u64;
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    let hash = digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(Received {
        name,
        mime_type,
        spool,
        size,
        hash,
    })
}

/// Stores the file and checks it; one that is not wanted goes again, its folder stays.
async fn keep(app: &App, received: Received) -> Result<serde_json::Value, Failure> {
    let name = naming::uploaded_name(&received.name);
    let folder = new_folder(&app.uploads())?;
    let path = folder.join(&name);
    if name.is_empty() {
        return Err(Failure::internal("Is a directory"));
    }
    let kept = received
        .spool
        .persist(&path)
        .map_err(|e| Failure::internal(e.error))?;
    drop(kept);
    if received.size == 0 {
        return Err(Failure::internal("Empty file!"));
    }
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().into_owned());
    #[allow(clippy::cast_precision_loss)]
    let asked = Asked {
        mime_type: received.mime_type,
        size: received.size as f64,
        hash: Some(received.hash),
        extension: Some(extension.unwrap_or_default()),
    };
    if let Some(error) = objection(app, &asked).await? {
        std::fs::remove_file(&path)?;
        return Ok(json!({ "error": error }));
    }
    let folder = folder.file_name().unwrap_or_default().to_string_lossy();
    Ok(json!({ "result": "ok", "file": format!("{folder}/{name}") }))
}

/// A folder with a name of its own, as Python's mkdtemp makes it: `tmp` and eight characters.
fn new_folder(parent: &Path) -> Result<PathBuf, Failure> {
    let folder = tempfile::Builder::new()
        .prefix("tmp")
        .rand_bytes(8)
        .tempdir_in(parent)?;
    Ok(folder.keep())
}

/// Names and values of a part's Content-Disposition, names in lower case, quotes taken off.
fn parameters(headers: &HeaderMap) -> Vec<(String, String)> {
    let line = headers
        .get(header::CONTENT_DISPOSITION)
        .map(|value| value.as_bytes());
    let line = String::from_utf8_lossy(line.unwrap_or_default()).into_owned();
    let mut found = Vec::new();
    let mut rest = line
        .split_once(';')
        .map_or("", |(_, rest)| rest)
        .trim_start();
    while let Some((name, tail)) = rest.split_once('=') {
        let (value, tail) = match tail.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                let end = tail.find(';').unwrap_or(tail.len());
                (tail[..end].trim().to_owned(), &tail[end..])
            }
        };
        found.push((name.trim().to_lowercase(), value));
        rest = tail.trim_start().trim_start_matches(';').trim_start();
    }
    found
}

/// The text up to the closing quote, and what follows it.
fn unquote(quoted: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_quotes_blanks_and_raw_letters() {
        let mut headers = HeaderMap::new();
        let line = "form-data; name=\"file\"; filename=\"a \\\"b\\\"; č.epub\"; filename*=utf-8''x";
        let line = header::HeaderValue::from_bytes(line.as_bytes()).unwrap();
        headers.insert(header::CONTENT_DISPOSITION, line);
        let found = parameters(&headers);
        assert_eq!(found[0], ("name".into(), "file".into()));
        assert_eq!(found[1], ("filename".into(), "a \"b\"; č.epub".into()));
        assert_eq!(found[2], ("filename*".into(), "utf-8''x".into()));
    }
}
