//! `POST /api/upload`: takes a file into data/uploads.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde_json::json;
use sha1::{Digest, Sha1};

use crate::access::Caller;
use crate::check::{Asked, objection};
use crate::failure::{Answer, Failure};
use crate::form::{self, Part};
use crate::log::About;
use crate::{App, naming};

/// Answers an upload.
pub(crate) async fn upload(_: Caller, State(app): State<Arc<App>>, request: Request) -> Answer {
    // The length decides before a byte is read; the connection is closed on the sender's body.
    let length = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok());
    let Some(length) = length.and_then(|length| length.parse::<u64>().ok()) else {
        return Err(Failure::unreadable("no Content-Length"));
    };
    if length > app.settings.limit() {
        return Err(Failure::too_large());
    }
    // Only `filename` makes a file of a part; `filename*` is not known here.
    let is_file = |part: &Part| {
        part.parameter("name") == Some("file") && part.parameter("filename").is_some()
    };
    let file = form::read(request).await?.into_iter().find(is_file);
    let file = file.ok_or_else(|| Failure::unreadable("the form holds no file"))?;
    if file.parameter("filename") == Some("") {
        return Ok(Json(json!({ "error": "no file" })).into_response());
    }
    let digest = Sha1::digest(&file.bytes);
    let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let about = About {
        hash: Some(hash.clone()),
        book: None,
    };
    let answer = keep(&app, file, hash).await?;
    Ok((Extension(about), Json(answer)).into_response())
}

/// Stores the file and checks it; one that is not wanted goes again, its folder stays.
async fn keep(app: &App, file: Part, hash: String) -> Result<serde_json::Value, Failure> {
    let name = naming::uploaded_name(file.parameter("filename").unwrap_or_default());
    let folder = new_folder(&app.uploads())?;
    let path = folder.join(&name);
    if name.is_empty() {
        return Err(Failure::internal("Is a directory"));
    }
    std::fs::write(&path, &file.bytes)?;
    if file.bytes.is_empty() {
        return Err(Failure::internal("Empty file!"));
    }
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().into_owned());
    #[allow(clippy::cast_precision_loss)]
    let asked = Asked {
        mime_type: file.mime_type,
        size: file.bytes.len() as f64,
        hash: Some(hash),
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
