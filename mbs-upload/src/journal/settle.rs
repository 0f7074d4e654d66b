//! What a killed run has left on the server. Its last request may still be at work there when the
//! next run starts, so nothing is decided before that has had its time.

use std::collections::HashMap;

use jiff::Timestamp;
use wire::{Exit, Fatal};

use super::{Journal, past::Half};
use crate::{
    check::{self, Question, Verdict},
    ebook,
    failure::Failure,
    known::Content,
    matching,
    outcome::{Kind, Outcome},
    run::patiently,
    server::Server,
    wanted::Wanted,
};

/// Finds out what became of the ebooks that earlier runs were about to make or to add to: a file
/// that arrived is done; an ebook that was made and stayed empty is removed. Gives what is still to
/// be gone on with.
///
/// # Errors
/// The server does not answer, or the journal cannot be written.
pub fn settle(
    journal: &mut Journal,
    halves: HashMap<Content, Half>,
    server: &Server,
) -> Result<HashMap<Content, Half>, Fatal> {
    let open = || halves.values().filter(|half| half.is_open());
    if let Some(last) = open().filter_map(|half| half.at).max() {
        let since = Timestamp::now().duration_since(last);
        let since = since.try_into().unwrap_or_default();
        wire::stop::sleep(server.policy.wait.saturating_sub(since));
    }
    let mut left = HashMap::new();
    for (content, mut half) in halves {
        if half.is_open() {
            let gave_up = |failure: Failure| {
                let message = format!("{}: settle the last run: {failure}", server.api.base());
                Fatal::new(Exit::GaveUp, message)
            };
            let unwritten = |why: String| Fatal::new(Exit::GaveUp, why);
            let found = patiently(server.policy, || look(&content, &half, server));
            match found.map_err(gave_up)? {
                Found::File(outcome) => {
                    journal.arrived(&content, &outcome).map_err(unwritten)?;
                    continue;
                }
                Found::Ebook => journal.cleared(&content).map_err(unwritten)?,
                Found::Nothing => {
                    let wanted = half.making.take().map(|wanted| (content, *wanted));
                    journal.doubtful.extend(wanted);
                }
            }
            (half.making, half.adding) = (None, None);
        }
        left.insert(content, half);
    }
    Ok(left)
}

/// At the end of a run, looks once more for the ebooks that were about to be made and had not been
/// found: a request may have waited on the server for longer than we did.
pub fn look_back(journal: &Journal, server: &Server) {
    for (content, wanted) in &journal.doubtful {
        if patiently(server.policy, || remove_empty(wanted, server)).is_ok() {
            // A journal that is broken has ended the run; the next one looks again.
            let _ = journal.cleared(content);
        }
    }
}

/// What is left of a file's way.
enum Found {
    /// It did arrive.
    File(Outcome),
    /// An ebook, removed by now if it was made for this file alone.
    Ebook,
    /// No ebook yet.
    Nothing,
}

fn look(content: &Content, half: &Half, server: &Server) -> Result<Found, Failure> {
    let api = &server.api;
    if let Some((id, made)) = half.adding {
        let question = Question {
            content: *content,
            extension: half.format.clone(),
        };
        if let Some(ebook) = ebook::get(api, id)?
            && let Some(source) = ebook.source_like(content, &half.format)
            && check::one(api, &question)? == Verdict::Exists
        {
            return Ok(Found::File(Outcome {
                ebook: Some(id),
                source: Some(source),
                ..Outcome::new(Kind::Uploaded)
            }));
        }
        if made {
            ebook::remove_if_empty(api, id)?;
        }
    }
    match &half.making {
        Some(wanted) if !remove_empty(wanted, server)? => Ok(Found::Nothing),
        _ => Ok(Found::Ebook),
    }
}

/// Removes what was made of this book and stayed empty: there was none like it before, so an empty one
/// of ours is that. Says whether there was one.
fn remove_empty(wanted: &Wanted, server: &Server) -> Result<bool, Failure> {
    let api = &server.api;
    let mut found = false;
    for id in matching::twins(api, wanted)? {
        let ours = |e: &ebook::Ebook| e.created_by.is_some() && e.created_by == api.user_id();
        if ebook::get(api, id)?.is_some_and(|ebook| ours(&ebook)) {
            found |= ebook::remove_if_empty(api, id)?;
        }
    }
    Ok(found)
}
