//! A stored file, read back from the server to know it by its bytes.

use crate::{
    api::rest::Api,
    input::{
        links::Leads,
        origin::{other_bytes, sha1_of},
    },
    known::Content,
    model::failure::Failure,
};

/// Where the server's file `source` leads, as the server itself reads it.
///
/// # Errors
/// As [`Api::get`].
pub fn leads(api: &Api, source: i64, content: &Content) -> Result<Leads, Failure> {
    let path = format!("/api/download/{source}");
    let size = content.size();
    let read = api.download(&path, |length, body| match length {
        Some(length) if length != size => Ok(Leads::Elsewhere(format!(
            "a file of {length} bytes, not {size}"
        ))),
        _ => Ok(match other_bytes(&sha1_of(body, size)?, content) {
            None => Leads::Here,
            Some(what) => Leads::Elsewhere(what),
        }),
    });
    match read {
        Err(Failure::NotFound(_)) => Ok(Leads::Nowhere),
        other => other,
    }
}
