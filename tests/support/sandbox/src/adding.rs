//! `POST /api/ebooks/<id>/add-upload`: an uploaded file becomes a source of an ebook.
//!
//! Check and insertion are not atomic, here as there: two clients can add the same content.

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, io};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde_json::{Value, json};
use tokio_postgres::{Client, Row};

use crate::access::Caller;
use crate::failure::{Answer, Failure};
use crate::log::About;
use crate::naming::{Book, next_name};
use crate::reading::number;
use crate::{App, request};

/// Who stores a file in a folder holds this lock file there.
const LOCK: &str = ".lock_this_dir";

/// Answers a request to add.
pub(crate) async fn add_upload(
    Caller { user, .. }: Caller,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let id = number(&id)?;
    let asked = request::json(&headers, &body)?;
    let Some(Value::Object(asked)) = asked else {
        return Err(Failure::internal("not an object"));
    };
    let upload_id = match asked.get("upload_id") {
        None | Some(Value::Null | Value::Bool(false)) => {
            return Err(Failure::bad("Invalid request"));
        }
        Some(given) if given == 0 || given == "" => return Err(Failure::bad("Invalid request")),
        Some(given) => whole(given)?,
    };
    let mut client = app.database.get().await?;
    let (book, ebook) = book(&client, id).await?.ok_or_else(Failure::not_found)?;
    let sql = "select file, cover, load_source, format_id, format.extension, size, hash, meta
        from upload join format on format.id = format_id where upload.id = $1";
    let upload = client
        .query_opt(sql, &[&upload_id])
        .await?
        .ok_or_else(Failure::not_found)?;
    let quality = asked
        .get("quality")
        .filter(|given| !given.is_null())
        .map(decimal)
        .transpose()?;
    let hash: String = upload.get(6);
    let about = Extension(About {
        hash: Some(hash.clone()),
        book: Some(format!("#{id}")),
    });
    let same = "select source.id, ebook.title, ebook.id
        from source join ebook on ebook.id = ebook_id where hash = $1 and size = $2";
    let same = client
        .query(same, &[&hash, &upload.get::<_, i32>(5)])
        .await?;
    if let Some(row) = same.first() {
        let (source, title, ebook) = (row.get::<_, i64>(0), row.get::<_, String>(1), row.get(2));
        let ebook: i64 = ebook;
        let details = format!("Existing source {source} in ebook {title}({ebook})");
        let answer = json!({ "error": "File already exists", "error_details": details });
        return Ok((about, Json(answer)).into_response());
    }

    let base_dir: String = ebook.get(0);
    let uploaded = app.uploads().join(upload.get::<_, String>(0));
    let file_name = book.file_name(&upload.get::<_, String>(4));
    let content = match symlink_target(&app, &asked, &upload) {
        Some(target) if app.settings.links_must_lead && !FilePath::new(&target).exists() => {
            return Err(Failure::internal(format!(
                "[Errno 2] No such file or directory: {target}"
            )));
        }
        Some(target) => Content::Link(target),
        None => Content::Copy(uploaded.clone()),
    };
    let (store, dir) = (app.books(), base_dir.clone());
    let patience = Duration::from_millis(app.settings.lock_millis);
    let stored =
        tokio::task::spawn_blocking(move || place(&store, &dir, &file_name, &content, patience));
    let location = stored.await.map_err(Failure::internal)??;

    let work = client.transaction().await?;
    let insert = "insert into source (version_id, created, modified, ebook_id, location,
            load_source, format_id, size, hash, quality, created_by_id, modified_by_id)
        select 1, now(), now(), $1, $2, load_source, format_id, size, hash, $3, $4, $4
        from upload where id = $5 returning id";
    let row = work
        .query_opt(insert, &[&id, &location, &quality, &user.id, &upload_id])
        .await?;
    let row = row.ok_or_else(|| Failure::internal("the upload is gone"))?;
    let cover = upload
        .get::<_, Option<String>>(1)
        .filter(|cover| !cover.is_empty());
    let has_cover = ebook
        .get::<_, Option<String>>(1)
        .is_some_and(|cover| !cover.is_empty());
    if let Some(cover) = cover.filter(|_| !has_cover) {
        let kept = copy_cover(&app, &cover, &base_dir, id)?;
        let update = "update ebook set cover = $2, modified = now(), version_id = version_id + 1
            where id = $1 and version_id = $3";
        let changed = work
            .execute(update, &[&id, &kept, &ebook.get::<_, i32>(2)])
            .await?;
        if changed == 0 {
            return Err(Failure::internal("stale ebook"));
        }
    }
    if let Some(folder) = uploaded.parent().filter(|folder| *folder != app.uploads()) {
        let _ = fs::remove_dir_all(folder);
    }
    if work
        .execute("delete from upload where id = $1", &[&upload_id])
        .await?
        == 0
    {
        return Err(Failure::internal("stale upload"));
    }
    work.commit().await?;
    Ok((about, Json(json!({ "id": row.get::<_, i64>(0) }))).into_response())
}

/// What names are made of, and the row: base_dir, cover, version_id. Authors come by their ids,
/// whatever their order was when the ebook was made.
async fn book(client: &Client, id: i64) -> Result<Option<(Book, Row)>, Failure> {
    let sql = "select base_dir, cover, ebook.version_id, ebook.title, code, series.title,
            coalesce(series_index, 0)
        from ebook join language on language.id = language_id
        left join series on series.id = series_id where ebook.id = $1";
    let Some(row) = client.query_opt(sql, &[&id]).await? else {
        return Ok(None);
    };
    let authors = "select last_name, first_name from author join ebook_authors on author_id = id
        where ebook_id = $1 order by id";
    let authors = client.query(authors, &[&id]).await?;
    let series = row.get::<_, Option<String>>(5);
    let book = Book {
        authors: authors.iter().map(|row| (row.get(0), row.get(1))).collect(),
        title: row.get(3),
        language: row.get(4),
        series: series.map(|title| (title, row.get(6))),
    };
    Ok(Some((book, row)))
}

/// How the bytes come into the store.
enum Content {
    Copy(PathBuf),
    Link(String),
}

/// The fork: a link to the server-side path, asked for here or in the proposed metadata.
fn symlink_target(
    app: &App,
    asked: &serde_json::Map<String, Value>,
    upload: &Row,
) -> Option<String> {
    let meta = upload.get::<_, Option<Value>>(7).unwrap_or_default();
    let value = |key: &str| asked.get(key).cloned().unwrap_or_else(|| meta[key].clone());
    let wanted = app.settings.fork && value("use_symlink") == true;
    value("original_file_path")
        .as_str()
        .filter(|_| wanted)
        .map(str::to_owned)
}

/// Puts the file under the first free name and gives its location below the store.
fn place(
    store: &FilePath,
    dir: &str,
    name: &str,
    content: &Content,
    patience: Duration,
) -> io::Result<String> {
    let folder = store.join(dir);
    fs::create_dir_all(&folder)?;
    let _lock = Lock::take(&folder, patience)?;
    let mut location = if dir.is_empty() {
        name.to_owned()
    } else {
        format!("{dir}/{name}")
    };
    let mut round = 1;
    while store.join(&location).exists() {
        location = next_name(&location, round);
        round += 1;
    }
    match content {
        Content::Copy(from) => {
            fs::copy(from, store.join(&location))?;
        }
        Content::Link(target) => std::os::unix::fs::symlink(target, store.join(&location))?,
    }
    Ok(location)
}

/// The lock file of a folder; dropped, it is removed.
struct Lock(PathBuf);

impl Lock {
    fn take(folder: &FilePath, patience: Duration) -> io::Result<Self> {
        let path = folder.join(LOCK);
        let deadline = Instant::now() + patience;
        loop {
            match fs::File::create_new(&path) {
                Ok(_) => return Ok(Self(path)),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(e) => return Err(e),
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Copies cover and thumbnail. Ebooks that share a folder share, and overwrite, one cover.
fn copy_cover(app: &App, cover: &str, base_dir: &str, id: i64) -> io::Result<String> {
    let from = app.uploads().join(cover);
    let name = from
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let kept = format!("{base_dir}/{name}");
    fs::create_dir_all(app.books().join(base_dir))?;
    fs::copy(&from, app.books().join(&kept))?;
    let thumbnail = from.with_file_name("thumbnail.jpg");
    if thumbnail.exists() {
        fs::copy(thumbnail, app.thumbs().join(format!("{id}.jpg")))?;
    }
    Ok(kept)
}

/// Python's `int()`.
fn whole(given: &Value) -> Result<i64, Failure> {
    let number = match given {
        Value::Number(number) =>
        {
            #[allow(clippy::cast_possible_truncation)]
            number
                .as_i64()
                .or_else(|| number.as_f64().map(|number| number as i64))
        }
        Value::String(text) => text.trim().parse().ok(),
        Value::Bool(yes) => Some(i64::from(*yes)),
        _ => None,
    };
    number.ok_or_else(|| Failure::internal(format!("invalid literal for int(): {given}")))
}

/// Python's `float()`.
fn decimal(given: &Value) -> Result<f64, Failure> {
    let number = match given {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Bool(yes) => Some(f64::from(u8::from(*yes))),
        _ => None,
    };
    number.ok_or_else(|| Failure::internal(format!("could not convert to float: {given}")))
}
