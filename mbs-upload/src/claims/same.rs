//! Is this database the server's own? Claims in another one would keep nobody apart, and what it
//! has would be left out here as if the server had it.

use serde_json::Value;

use super::Claims;
use crate::{api::Api, failure::Failure};

/// Ebooks that are looked at for one with a file.
const LOOKED_AT: u32 = 10;

/// Whether API and database are of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Same {
    /// A file that the API shows is there, too.
    Yes,
    /// What they show differs.
    No(String),
    /// There is nothing to compare.
    Unknown(&'static str),
}

/// A file as both show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shown {
    source: i64,
    ebook: i64,
    size: i64,
}

/// Compares one of the newest files that the API shows with the database.
///
/// # Errors
/// As [`Api::get`] and [`Claims::take`].
pub fn same(api: &Api, claims: &Claims) -> Result<Same, Failure> {
    let mut verdict = compare(api, claims)?;
    if matches!(verdict, Same::No(_)) {
        // Just then it may have been removed.
        verdict = compare(api, claims)?;
    }
    Ok(verdict)
}

fn compare(api: &Api, claims: &Claims) -> Result<Same, Failure> {
    let rows = |sql: &str| claims.ask(|line| line.query(sql)).map(|(rows, _)| rows);
    let Some(shown) = newest(api)? else {
        return Ok(match rows("SELECT 1 FROM source LIMIT 1")?.is_empty() {
            true => Same::Unknown("the server has no files to compare by"),
            false => Same::No("the API shows no files, and the database has some".into()),
        });
    };
    let Shown {
        source,
        ebook,
        size,
    } = shown;
    let there = rows(&format!(
        "SELECT 1 FROM source WHERE id = {source} AND ebook_id = {ebook} AND size = {size}"
    ))?;
    Ok(match there.is_empty() {
        false => Same::Yes,
        true => Same::No(format!(
            "file {source} of ebook {ebook}, {size} bytes, is in the API and not in the database"
        )),
    })
}

/// One file of the newest ebooks.
fn newest(api: &Api) -> Result<Option<Shown>, Failure> {
    let list = api.get(&format!(
        "/api/ebooks?page=1&page_size={LOOKED_AT}&sort=-created"
    ))?;
    let items = list.get("items").and_then(Value::as_array);
    for ebook in items
        .into_iter()
        .flatten()
        .filter_map(|item| item.get("id")?.as_i64())
    {
        let whole = match api.get(&format!("/api/ebooks/{ebook}")) {
            Ok(whole) => whole,
            Err(Failure::NotFound(_)) => continue,
            Err(other) => return Err(other),
        };
        let number = |source: &Value, name: &str| source.get(name).and_then(Value::as_i64);
        let sources = whole.get("sources").and_then(Value::as_array);
        let shown = sources.into_iter().flatten().find_map(|source| {
            Some(Shown {
                source: number(source, "id")?,
                ebook,
                size: number(source, "size")?,
            })
        });
        if shown.is_some() {
            return Ok(shown);
        }
    }
    Ok(None)
}
