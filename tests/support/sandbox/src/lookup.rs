//! What the metadata task knows already: authors, genres, languages, series and their synonyms.

use serde_json::{Map, Value, json};
use tokio_postgres::Client;

/// Replaces what the database knows by its row, with id. An error is a Python one.
pub(crate) async fn look_up(client: &Client, meta: &mut Map<String, Value>) -> Result<(), String> {
    if let Some(authors) = meta.get_mut("authors") {
        for author in list(authors)? {
            if let Some(found) = find_author(client, author).await? {
                *author = found;
            }
        }
    }
    if let Some(genres) = meta.get_mut("genres") {
        for genre in list(genres)? {
            if let Some(found) = find_genre(client, text(genre, "name")?).await? {
                *genre = found;
            }
        }
    }
    if let Some(language) = meta.get_mut("language")
        && let Some(found) = find_language(client, language).await?
    {
        *language = found;
    }
    if let Some(series) = meta.get_mut("series") {
        let sql = "select id, title from series where lower(title) = $1 limit 1";
        let title = text(series, "title")?.to_lowercase();
        if let Some(row) = one(client, sql, &title).await? {
            *series = json!({ "id": row.0, "title": row.1 });
        }
    }
    Ok(())
}

async fn find_author(client: &Client, author: &Value) -> Result<Option<Value>, String> {
    let last = text(author, "last_name")?;
    let first = author
        .get("first_name")
        .and_then(Value::as_str)
        .filter(|name| !name.is_empty());
    let sql = "select id, last_name, first_name from author
        where last_name = $1 and first_name is not distinct from $2 limit 1";
    let row = client.query_opt(sql, &[&last, &first]).await;
    let row = row.map_err(|e| crate::database::as_psycopg(&e))?;
    Ok(row.map(|row| {
        let mut found = json!({ "id": row.get::<_, i64>(0), "last_name": row.get::<_, String>(1) });
        if let Some(first) = row
            .get::<_, Option<String>>(2)
            .filter(|first| !first.is_empty())
        {
            found["first_name"] = first.into();
        }
        found
    }))
}

async fn find_genre(client: &Client, name: &str) -> Result<Option<Value>, String> {
    let sql = "select id, name from genre where lower(name) = $1 limit 1";
    let mut found = one(client, sql, &name.to_lowercase()).await?;
    if found.is_none()
        && let Some(ours) = synonym(client, name, "GNR").await?
    {
        found = one(client, sql, &ours.to_lowercase()).await?;
    }
    Ok(found.map(|(id, name)| json!({ "id": id, "name": name })))
}

async fn find_language(client: &Client, language: &Value) -> Result<Option<Value>, String> {
    let Some(given) = language.as_object() else {
        return Err(no_get(language));
    };
    let value = |key: &str| {
        given
            .get(key)
            .and_then(Value::as_str)
            .filter(|v| !v.is_empty())
    };
    let by_code = "select id, code from language where code = $1";
    let by_name = "select id, code from language where lower(name) = $1";
    let mut found = None;
    if let Some(code) = value("code") {
        found = one(client, by_code, code).await?;
        if found.is_none()
            && let Some(ours) = synonym(client, code, "LNG").await?
        {
            found = one(client, by_code, &ours).await?;
        }
    }
    if let (None, Some(name)) = (&found, value("name")) {
        found = one(client, by_name, &name.to_lowercase()).await?;
    }
    let Some((id, code)) = found else {
        return Ok(None);
    };
    let name = one(
        client,
        "select id, name from language where code = $1",
        &code,
    )
    .await?;
    Ok(name.map(|(_, name)| json!({ "id": id, "code": code, "name": name })))
}

async fn synonym(client: &Client, name: &str, category: &str) -> Result<Option<String>, String> {
    let sql = "select our_name from synonym where lower(other_name) = $1 and category = $2 limit 1";
    let row = client
        .query_opt(sql, &[&name.to_lowercase(), &category])
        .await;
    let row = row.map_err(|e| crate::database::as_psycopg(&e))?;
    Ok(row.map(|row| row.get(0)))
}

/// Id and text of the first row.
async fn one(client: &Client, sql: &str, value: &str) -> Result<Option<(i64, String)>, String> {
    let row = client.query_opt(sql, &[&value]).await;
    let row = row.map_err(|e| crate::database::as_psycopg(&e))?;
    Ok(row.map(|row| (row.get(0), row.get(1))))
}

fn list(value: &mut Value) -> Result<&mut Vec<Value>, String> {
    match value {
        Value::Array(list) => Ok(list),
        Value::Null => Err("'NoneType' object is not iterable".to_owned()),
        _ => Err("string indices must be integers".to_owned()),
    }
}

fn text<'a>(entity: &'a Value, key: &str) -> Result<&'a str, String> {
    match entity {
        Value::Object(object) => object
            .get(key)
            .and_then(Value::as_str)
            .ok_or_else(|| format!("'{key}'")),
        Value::Null => Err("'NoneType' object is not subscriptable".to_owned()),
        _ => Err("string indices must be integers".to_owned()),
    }
}

fn no_get(value: &Value) -> String {
    let kind = match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    };
    format!("'{kind}' object has no attribute 'get'")
}
