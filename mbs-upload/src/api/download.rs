//! A stored file, read back from the server to know it by its bytes.

use crate::{
    api::Api,
    input::{
        bytes::{other_bytes, sha1_of},
        links::Leads,
    },
    known::Content,
    model::failure::Failure,
};

/// Where the server's file `source` leads, as the server itself reads it.
pub fn leads(api: &dyn Api, source: i64, content: &Content) -> Result<Leads, Failure> {
    let path = format!("/api/download/{source}");
    let (size, mut leads) = (content.size(), Leads::Nowhere);
    let read = api.download(&path, &mut |length, body| {
        leads = match length {
            Some(length) if length != size => {
                Leads::Elsewhere(format!("a file of {length} bytes, not {size}"))
            }
            _ => match other_bytes(&sha1_of(body, size)?, content) {
                None => Leads::Here,
                Some(what) => Leads::Elsewhere(what),
            },
        };
        Ok(())
    });
    match read {
        Ok(()) => Ok(leads),
        Err(Failure::NotFound(_)) => Ok(Leads::Nowhere),
        Err(other) => Err(other),
    }
}
