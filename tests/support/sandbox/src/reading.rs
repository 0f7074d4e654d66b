//! What can be read: languages, genres, ebooks, search and the results of the metadata task.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use crate::App;
use crate::access::Caller;
use crate::failure::{Answer, Failure};
use crate::request::{Page, last_segment, query_value};

/// The most that an index lists.
const INDEX: i64 = 100;

/// An ebook in a list. Keys without a value are left out, also further down.
const ITEM: &str = "json_strip_nulls(json_build_object(
    'id', ebook.id, 'title', ebook.title,
    'authors', (
        select coalesce(json_agg(json_build_object('id', author.id,
            'first_name', author.first_name, 'last_name', author.last_name) order by author.id),
            '[]')
        from ebook_authors join author on author.id = author_id where ebook_id = ebook.id),
    'series', (select json_build_object('id', id, 'title', title)
        from series where id = ebook.series_id),
    'series_index', ebook.series_index,
    'language', (select json_build_object('id', id, 'code', code, 'name', name)
        from language where id = ebook.language_id),
    'cover', coalesce(ebook.cover, '') <> '',
    'rating', ebook.rating, 'rating_count', ebook.rating_count))";

/// An ebook by itself; $1 is its id, $2 the reader's.
const ENTITY: &str = "select json_strip_nulls(json_build_object(
    'id', ebook.id, 'version_id', ebook.version_id, 'title', ebook.title,
    'description', ebook.description,
    'created', to_char(ebook.created, 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"'),
    'modified', to_char(ebook.modified, 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"'),
    'created_by', ebook.created_by_id, 'modified_by', ebook.modified_by_id,
    'downloads', ebook.downloads, 'rating', ebook.rating, 'rating_count', ebook.rating_count,
    'my_rating', (select rating from ebook_rating
        where ebook_id = ebook.id and created_by_id = $2),
    'authors', (
        select coalesce(json_agg(json_build_object('id', author.id,
            'first_name', author.first_name, 'last_name', author.last_name) order by author.id),
            '[]')
        from ebook_authors join author on author.id = author_id where ebook_id = ebook.id),
    'genres', (
        select coalesce(json_agg(json_build_object('id', genre.id, 'name', genre.name)), '[]')
        from ebook_genres join genre on genre.id = genre_id where ebook_id = ebook.id),
    'sources', (
        select coalesce(json_agg(json_build_object('id', source.id, 'format', format.extension,
            'location', location, 'quality', quality, 'size', size,
            'created_by', created_by_id,
            'modified', to_char(modified, 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"'))), '[]')
        from source join format on format.id = format_id where ebook_id = ebook.id),
    'series', (select json_build_object('id', id, 'title', title)
        from series where id = ebook.series_id),
    'series_index', ebook.series_index,
    'language', (select json_build_object('id', id, 'code', code, 'name', name)
        from language where id = ebook.language_id),
    'cover', coalesce(ebook.cover, '') <> ''))
    from ebook where id = $1";

/// `GET /api/languages`, by name.
pub(crate) async fn languages(_: Caller, State(app): State<Arc<App>>) -> Answer {
    let sql = "select coalesce(json_agg(json_build_object('id', id, 'code', code, 'name', name)
        order by name), '[]') from language";
    let row = app.database.get().await?.query_one(sql, &[]).await?;
    Ok(Json(row.get::<_, Value>(0)).into_response())
}

/// `GET /api/genres`, by name.
pub(crate) async fn genres(_: Caller, State(app): State<Arc<App>>) -> Answer {
    let sql = "select coalesce(json_agg(json_build_object('id', id, 'name', name)
        order by name), '[]') from genre";
    let row = app.database.get().await?.query_one(sql, &[]).await?;
    Ok(Json(row.get::<_, Value>(0)).into_response())
}

/// `GET /api/uploads-meta/<id>`.
pub(crate) async fn upload_meta(
    _: Caller,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Answer {
    let sql = "select json_strip_nulls(json_build_object('id', id, 'file', file,
            'load_source', load_source, 'format', format_id, 'size', size, 'hash', hash,
            'cover', coalesce(cover, '') <> '',
            'created', to_char(created, 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"'),
            'modified', to_char(modified, 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"'),
            'created_by', created_by_id, 'modified_by', modified_by_id)),
        meta::text from upload where id = $1";
    let row = app
        .database
        .get()
        .await?
        .query_opt(sql, &[&number(&id)?])
        .await?;
    let row = row.ok_or_else(Failure::not_found)?;
    let mut answer = row.get::<_, Value>(0);
    // Not by json_build_object: that chokes on a NUL inside the metadata.
    if let Some(meta) = row.get::<_, Option<String>>(1) {
        answer["meta"] = serde_json::from_str(&meta).map_err(Failure::internal)?;
    }
    Ok(Json(answer).into_response())
}

/// `GET /api/ebooks/<id>`.
pub(crate) async fn ebook(
    Caller { user, .. }: Caller,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Answer {
    let row = app
        .database
        .get()
        .await?
        .query_opt(ENTITY, &[&number(&id)?, &user.id])
        .await?;
    let row = row.ok_or_else(Failure::not_found)?;
    Ok(Json(row.get::<_, Value>(0)).into_response())
}

/// `GET /api/download/<id>`: a stored file, links followed; 404 also when it cannot be opened.
pub(crate) async fn download(
    _: Caller,
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Answer {
    let sql = "select location from source where id = $1";
    let client = app.database.get().await?;
    let row = client.query_opt(sql, &[&number(&id)?]).await?;
    // `query.get` gives None there, and None has no location.
    let row = row.ok_or_else(|| Failure::internal("'NoneType' object has no attribute"))?;
    let file = app.books().join(row.get::<_, String>(0));
    let bytes = tokio::fs::read(file)
        .await
        .map_err(|_| Failure::no_file())?;
    Ok(bytes.into_response())
}

/// `GET /api/ebooks`: all, by pages.
pub(crate) async fn ebooks(
    _: Caller,
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Answer {
    let page = Page::of(query.as_deref())?;
    let sort = query_value(query.as_deref(), "sort").filter(|sort| !sort.is_empty());
    let order = match sort.as_deref() {
        None => "id",
        Some("title") => "title, id",
        Some("-title") => "title desc, id desc",
        Some("created") => "created, id",
        Some("-created") => "created desc, id desc",
        Some("rating") => "rating nulls last, rating_count, id",
        Some("-rating") => "rating desc nulls last, rating_count desc, id desc",
        Some(other) => return Err(Failure::bad(&format!("Invalid sort key {other}"))),
    };
    paged(&*app.database.get().await?, page, "true", order, &[]).await
}

/// `GET /api/search/<words>`.
pub(crate) async fn search(_: Caller, State(app): State<Arc<App>>, uri: Uri) -> Answer {
    let page = Page::of(uri.query())?;
    if query_value(uri.query(), "sort").is_some_and(|sort| !sort.is_empty()) {
        return Err(Failure::bad("Sorting not supported"));
    }
    let asked = ts_query(&last_segment(&uri));
    let matching = "full_text @@ to_tsquery('custom', unaccent($1))";
    let order = "ts_rank_cd(full_text, to_tsquery('custom', unaccent($1))) desc";
    paged(
        &*app.database.get().await?,
        page,
        matching,
        order,
        &[&asked],
    )
    .await
}

/// `GET /api/ebooks/index/<start>`: titles that begin so; `%` and `_` are wildcards.
pub(crate) async fn index(_: Caller, State(app): State<Arc<App>>, uri: Uri) -> Answer {
    let start = last_segment(&uri);
    let client = app.database.get().await?;
    let matching = "unaccent(title) ilike unaccent($1 || '%')";
    let total = format!("select count(*) from ebook where {matching}");
    let total = client.query_one(&total, &[&start]).await?.get::<_, i64>(0);
    let items = format!("select {ITEM} from ebook where {matching} order by title limit {INDEX}");
    let items = client.query(&items, &[&start]).await?;
    let items = items.iter().map(|row| row.get(0)).collect::<Vec<Value>>();
    Ok(Json(json!({ "total": total, "items": items })).into_response())
}

/// `GET /api/series/index/<start>`, in the same way.
pub(crate) async fn series_index(_: Caller, State(app): State<Arc<App>>, uri: Uri) -> Answer {
    let start = last_segment(&uri);
    let client = app.database.get().await?;
    let matching = "unaccent(title) ilike unaccent($1 || '%')";
    let total = format!("select count(*) from series where {matching}");
    let total = client.query_one(&total, &[&start]).await?.get::<_, i64>(0);
    let items = format!(
        "select json_build_object('id', id, 'title', title) from series where {matching}
         order by title limit {INDEX}"
    );
    let items = client.query(&items, &[&start]).await?;
    let items = items.iter().map(|row| row.get(0)).collect::<Vec<Value>>();
    Ok(Json(json!({ "total": total, "items": items })).into_response())
}

/// One page of the matching ebooks. A page beyond the end is not found, unless it is the first.
async fn paged(
    client: &Client,
    page: Page,
    matching: &str,
    order: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Answer {
    let total = format!("select count(*) from ebook where {matching}");
    let total = client.query_one(&total, parameters).await?.get::<_, i64>(0);
    let items = format!(
        "select {ITEM} from ebook where {matching} order by {order} limit {} offset {}",
        page.size,
        page.offset()
    );
    let items = client.query(&items, parameters).await?;
    if items.is_empty() && page.number > 1 {
        return Err(Failure::not_found());
    }
    let items = items.iter().map(|row| row.get(0)).collect::<Vec<Value>>();
    Ok(listing(page, total, &items))
}

fn listing(page: Page, total: i64, items: &[Value]) -> Response {
    let answer =
        json!({ "page": page.number, "page_size": page.size, "total": total, "items": items });
    Json(answer).into_response()
}

/// All words as prefixes. Only the first 32 characters that are no word characters are taken out:
/// the server gives a flag where re.sub expects a count, and what is left breaks the query.
fn ts_query(words: &str) -> String {
    let mut taken = 0;
    let plain = |c: char| {
        let word = c == '_' || c.is_alphanumeric() && !is_mark(c);
        if word || taken >= 32 {
            return c;
        }
        taken += 1;
        ' '
    };
    let words: String = words.chars().map(plain).collect();
    words
        .split_whitespace()
        .map(|word| format!("{word}:*"))
        .collect::<Vec<_>>()
        .join(" & ")
}

fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

/// The number in a path; anything else has no such page.
pub(crate) fn number(text: &str) -> Result<i64, Failure> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|_| digits)
        .ok_or_else(Failure::no_route)
}

#[cfg(test)]
mod tests {
    use super::ts_query;

    #[test]
    fn only_32_other_characters_leave_a_query() {
        assert_eq!(
            ts_query("Novák: škola (hrou)"),
            "Novák:* & škola:* & hrou:*"
        );
        let broken = format!("{}(", "a ".repeat(32));
        assert!(ts_query(&broken).ends_with("& (:*"));
        assert_eq!(ts_query("e\u{301}a"), "e:* & a:*");
    }
}
