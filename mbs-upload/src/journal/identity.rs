//! Is this the server that the journal is about? It has no name of its own, and its address may
//! change. What it cannot lose is what we gave it: the newest files that the journal says it has
//! are rows of its ebooks, by ids that another server, or an emptied one, gave to other files.

use serde_json::Value;
use wire::{Exit, Fatal, Line, records::Journal};

use super::{
    now,
    past::{Part, Past},
};
use crate::{
    patience::attempt::patiently,
    server::{
        Server,
        check::{self, Question, Verdict},
        ebook,
        failure::Failure,
    },
};

/// Ebooks of the server that a header names: for journals of runs that had nothing to send.
const NAMED: usize = 3;

/// Why a journal cannot be used with this server.
#[derive(Debug)]
pub enum Mismatch {
    /// It is another one, or was emptied; the reason.
    Other(String),
    /// Nobody knows: it did not answer.
    Unknown(Failure),
}

impl Mismatch {
    /// The end of the run, for a journal of this name.
    pub fn fatal(self, journal: &str) -> Fatal {
        match self {
            Mismatch::Other(why) => Fatal::new(
                Exit::Refused,
                format!(
                    "{journal}: compare with the server: {why}; it is another server, or has been \
                     emptied or set back: if so, --new-server sends it everything"
                ),
            ),
            Mismatch::Unknown(failure) => Fatal::new(
                Exit::GaveUp,
                format!("{journal}: compare with the server: {failure}"),
            ),
        }
    }
}

impl From<Failure> for Mismatch {
    fn from(failure: Failure) -> Mismatch {
        Mismatch::Unknown(failure)
    }
}

/// Asks the server for what it must have.
///
/// # Errors
/// It has not, or did not answer.
pub fn verify(past: &Past, server: &Server) -> Result<(), Mismatch> {
    past.parts.iter().try_for_each(|part| know(part, server))
}

fn know(part: &Part, server: &Server) -> Result<(), Mismatch> {
    if !part.sent.is_empty() {
        let newest_first = part.sent.iter().rev();
        let there = newest_first.map(|sent| {
            let ebook = patiently(server.policy, || ebook::get(&server.api, sent.ebook))?;
            let is_it = |s: &ebook::Source| s.id == sent.source && s.size == sent.content.size();
            Ok(ebook.is_some_and(|ebook| ebook.sources.iter().any(is_it)))
        });
        return mostly(there, "the last files that were sent");
    }
    if !part.anchors.is_empty() {
        let there = part.anchors.iter().map(|named| {
            let id = named.split(' ').next().unwrap_or_default();
            Ok(name(server, id)?.as_ref() == Some(named))
        });
        some(there, "the ebooks that it had at first")?;
    }
    let newest_first = part.had.iter().rev();
    let there = newest_first.map(|content| {
        let question = Question {
            content: *content,
            extension: "epub".into(),
        };
        let verdict = patiently(server.policy, || check::one(&server.api, &question))?;
        Ok(verdict == Verdict::Exists)
    });
    mostly(there, "the last files that it had")
}

/// The first is there, or at least half of all: people remove single ebooks. A server that was set
/// back to a backup lacks just the newest.
fn mostly(
    there: impl ExactSizeIterator<Item = Result<bool, Failure>>,
    what: &str,
) -> Result<(), Mismatch> {
    let (all, mut found) = (there.len(), 0);
    if all == 0 {
        return Ok(());
    }
    for (i, there) in there.enumerate() {
        found += usize::from(there?);
        if found > i / 2 || found * 2 >= all {
            return Ok(());
        }
    }
    let why = format!("of {what}, {} of {all} are not there", all - found);
    Err(Mismatch::Other(why))
}

fn some(
    there: impl ExactSizeIterator<Item = Result<bool, Failure>>,
    what: &str,
) -> Result<(), Mismatch> {
    let all = there.len();
    for there in there {
        if there? {
            return Ok(());
        }
    }
    Err(Mismatch::Other(format!(
        "of {what}, none of {all} is there"
    )))
}

/// The header for this server. `again`: what stands before it is about another one.
///
/// # Errors
/// The server does not answer.
pub fn head(server: &Server, again: bool) -> Result<Line, Mismatch> {
    let path = format!("/api/ebooks?page=1&page_size={NAMED}");
    let list = patiently(server.policy, || server.api.get(&path))?;
    let items = list.get("items").and_then(Value::as_array);
    let mut anchors = Vec::new();
    for item in items.into_iter().flatten() {
        if let Some(id) = item.get("id").and_then(Value::as_i64) {
            anchors.extend(name(server, &id.to_string())?);
        }
    }
    Ok(Line::of(&Journal {
        tool: env!("CARGO_PKG_NAME").into(),
        version: env!("CARGO_PKG_VERSION").into(),
        at: now(),
        api: server.api.base().into(),
        user_id: server.api.user_id(),
        anchors,
        new_server: again.then_some(true),
    }))
}

/// An ebook with the time of its making, which an ebook of the same id elsewhere does not share.
fn name(server: &Server, id: &str) -> Result<Option<String>, Failure> {
    let answer = patiently(server.policy, || {
        match server.api.get(&format!("/api/ebooks/{id}")) {
            Err(Failure::NotFound(_)) => Ok(Value::Null),
            other => other,
        }
    })?;
    let created = answer.get("created").and_then(Value::as_str);
    Ok(created.map(|created| format!("{id} {created}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(there: &[bool]) -> bool {
        mostly(there.iter().map(|&there| Ok(there)), "x").is_ok()
    }

    #[test]
    fn single_ebooks_may_be_removed_but_not_all_of_the_newest() {
        assert!(told(&[]) && told(&[true]));
        assert!(!told(&[false]));
        assert!(told(&[true, false, false]));
        assert!(told(&[false, true]) && told(&[false, true, true]));
        assert!(!told(&[false, false, true]));
        assert!(!told(&[false; 16]));
    }
}
