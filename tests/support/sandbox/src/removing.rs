//! `DELETE` of sources and ebooks. Folders stay, as on the real server.

use std::fs;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use serde_json::json;

use crate::App;
use crate::access::Caller;
use crate::failure::{Answer, Failure};
use crate::reading::number;

/// `DELETE /api/sources/<id>`: the row and its file.
pub(crate) async fn source(
    Caller { user, .. }: Caller,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Answer {
    let id = number(&id)?;
    let mut client = app.database.get().await?;
    let sql = "select location, created_by_id from source where id = $1";
    let row = client
        .query_opt(sql, &[&id])
        .await?
        .ok_or_else(Failure::not_found)?;
    user.may_change(row.get(1))?;
    let work = client.transaction().await?;
    work.execute("delete from conversion where source_id = $1", &[&id])
        .await?;
    work.execute("delete from source where id = $1", &[&id])
        .await?;
    work.commit().await?;
    let _ = fs::remove_file(app.books().join(row.get::<_, String>(0)));
    Ok(Json(json!({ "id": id, "success": true })).into_response())
}

/// `DELETE /api/ebooks/<id>`: the row, its sources, their files, cover and thumbnail.
pub(crate) async fn ebook(
    Caller { user, .. }: Caller,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Answer {
    let id = number(&id)?;
    let mut client = app.database.get().await?;
    let sql = "select cover, created_by_id from ebook where id = $1";
    let row = client
        .query_opt(sql, &[&id])
        .await?
        .ok_or_else(Failure::not_found)?;
    user.may_change(row.get(1))?;
    let sources = "select location from source where ebook_id = $1";
    let mut files: Vec<String> = client
        .query(sources, &[&id])
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect();
    files.extend(
        row.get::<_, Option<String>>(0)
            .filter(|cover| !cover.is_empty()),
    );
    let work = client.transaction().await?;
    let conversions = "delete from conversion where source_id in
        (select id from source where ebook_id = $1)";
    work.execute(conversions, &[&id]).await?;
    work.execute("delete from source where ebook_id = $1", &[&id])
        .await?;
    work.execute("delete from ebook where id = $1", &[&id])
        .await?;
    work.commit().await?;
    for file in files {
        let _ = fs::remove_file(app.books().join(file));
    }
    let _ = fs::remove_file(app.thumbs().join(format!("{id}.jpg")));
    Ok(Json(json!({ "id": id, "success": true })).into_response())
}
