//! What a killed run has left on the server. Its last request may still be at work there when the
//! next run starts, so nothing is decided before that has had its time.

use std::collections::HashMap;

use jiff::Timestamp;
use wire::{Exit, Fatal, records::JournalStep};

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
            let arrived = patiently(server.policy, || look(&content, &half, server));
            if let Some(outcome) = arrived.map_err(gave_up)? {
                journal.arrived(&content, &outcome).map_err(unwritten)?;
                continue;
            }
            let cleared = JournalStep {
                step: "cleared".into(),
                ..JournalStep::default()
            };
            journal.step(&content, cleared).map_err(unwritten)?;
            (half.making, half.adding) = (None, None);
        }
        left.insert(content, half);
    }
    Ok(left)
}

/// The outcome of a file that did arrive; of one that did not, the ebook that was made for it is
/// removed.
fn look(content: &Content, half: &Half, server: &Server) -> Result<Option<Outcome>, Failure> {
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
            return Ok(Some(Outcome {
                ebook: Some(id),
                source: Some(source),
                ..Outcome::new(Kind::Uploaded)
            }));
        }
        if made {
            ebook::remove_if_empty(api, id)?;
        }
    }
    if let Some(wanted) = &half.making {
        // There was none like it before, so an empty one of ours is what was made.
        for id in matching::twins(api, wanted)? {
            let ours = |e: &ebook::Ebook| e.created_by.is_some() && e.created_by == api.user_id();
            if ebook::get(api, id)?.is_some_and(|ebook| ours(&ebook)) {
                ebook::remove_if_empty(api, id)?;
            }
        }
    }
    Ok(None)
}
