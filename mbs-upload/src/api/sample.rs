//! A file that the server shows, to tell by it whether others are of the same server.

use serde_json::Value;

use crate::{
    api::Api,
    model::{failure::Failure, sample::SampleFile},
};

/// Ebooks that are looked at for one with a file.
const LOOKED_AT: u32 = 10;

/// One file of the newest ebooks, if there is any.
pub fn newest(api: &dyn Api) -> Result<Option<SampleFile>, Failure> {
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
        let text = |source: &Value, name: &str| Some(source.get(name)?.as_str()?.to_string());
        let sources = whole.get("sources").and_then(Value::as_array);
        let shown = sources.into_iter().flatten().find_map(|source| {
            Some(SampleFile {
                source: number(source, "id")?,
                ebook,
                size: number(source, "size")?,
                format: text(source, "format")?,
                location: text(source, "location").unwrap_or_default(),
            })
        });
        if shown.is_some() {
            return Ok(shown);
        }
    }
    Ok(None)
}
