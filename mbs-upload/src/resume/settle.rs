//! What a killed run has left on the server. Its last request may still be at work there when the
//! next run starts, so nothing is decided before that has had its time.

use std::collections::HashMap;

use jiff::Timestamp;
use wire::{Exit, Fatal};

use crate::{
    api::{
        Server, ebook, extract, matching,
        upload_check::{self, CheckAnswer, Question},
    },
    known::Content,
    locks::{Turn, claim},
    metadata::wanted::Wanted,
    model::{
        failure::Failure,
        outcome::{Kind, Outcome},
    },
    resume::{Journal, clock::Clock, interrupted::Interrupted, unconfirmed::Unconfirmed},
    retry::attempt::with_retries,
};

/// Finds out what became of the ebooks that earlier runs were about to make or to add to: a file
/// that arrived is done; an ebook that was made and stayed empty is removed. Gives what is still to
/// be gone on with.
///
/// # Errors
/// The server does not answer, or the journal cannot be written.
pub fn settle(
    journal: &mut Journal,
    interrupted: HashMap<Content, Interrupted>,
    server: &Server,
) -> Result<HashMap<Content, Interrupted>, Fatal> {
    let open = interrupted
        .values()
        .filter(|interrupted| interrupted.is_open());
    let unconfirmed = journal.lock_unconfirmed();
    let doubted = unconfirmed
        .values()
        .flatten()
        .map(|unconfirmed| unconfirmed.at);
    let last = open
        .filter_map(|interrupted| interrupted.at)
        .chain(doubted)
        .max();
    drop(unconfirmed);
    if let Some(last) = last {
        let since = Timestamp::now().duration_since(last);
        let since = since.try_into().unwrap_or_default();
        let pause = server.policy.wait.saturating_sub(since);
        let _waiting = wire::waiting::announce("what a former run sent may still arrive", pause);
        wire::stop::sleep(pause);
        journal.clock = clock(&interrupted, server);
    }
    look_again(journal, server, Time::Start);
    let mut left = HashMap::new();
    for (content, mut interrupted) in interrupted {
        if interrupted.is_open() {
            let gave_up = |failure: Failure| {
                let message = format!("{}: settle the last run: {failure}", server.api.base());
                Fatal::new(Exit::GaveUp, message)
            };
            let unwritten = |why: String| Fatal::new(Exit::GaveUp, why);
            let found = with_retries(server.policy, || {
                look(&content, &interrupted, journal.clock, server)
            });
            match found.map_err(gave_up)? {
                Found::File(outcome) => {
                    journal.arrived(&content, &outcome).map_err(unwritten)?;
                    if let Some((ebook, made)) = interrupted.adding {
                        server.owners.put(ebook, interrupted.owner, made);
                    }
                    continue;
                }
                Found::Ebook => journal.cleared(&content).map_err(unwritten)?,
                Found::Nothing => {
                    if let Some((wanted, at)) = interrupted.ebook().zip(interrupted.at) {
                        let wanted = wanted.clone();
                        let unconfirmed = Unconfirmed { wanted, at };
                        journal
                            .note_unconfirmed(&content, unconfirmed)
                            .map_err(unwritten)?;
                        journal.cleared(&content).map_err(unwritten)?;
                    }
                }
            }
            interrupted.close();
        }
        left.insert(content, interrupted);
    }
    Ok(left)
}

/// By the newest upload of the killed run whose row is still there. Without one, what is not known stays
/// so: there is nothing to fail for.
fn clock(interrupted: &HashMap<Content, Interrupted>, server: &Server) -> Clock {
    let rows = interrupted
        .values()
        .filter_map(|interrupted| interrupted.upload.zip(interrupted.heard));
    let Some((row, heard)) = rows.max() else {
        return Clock::default();
    };
    let made = extract::read(server, row).ok();
    let made = made.as_ref().and_then(|row| row.get("created")?.as_str());
    let made = made.and_then(|made| made.parse().ok());
    made.map_or(Clock::default(), |made| Clock::by(made, heard))
}

/// At the end of a run, looks once more for the ebooks that were about to be made and had not been
/// found: a request may have waited on the server for longer than we did.
pub fn look_back(journal: &Journal, server: &Server) {
    look_again(journal, server, Time::End);
}

/// When it is looked for what is in unconfirmed.
#[derive(Clone, Copy, PartialEq)]
enum Time {
    /// A request may still be at work.
    Start,
    /// Whatever was to come has come.
    End,
}

fn look_again(journal: &Journal, server: &Server, time: Time) {
    let unconfirmed = journal.lock_unconfirmed().clone();
    for (content, unconfirmed) in unconfirmed {
        let mut sure = true;
        for unconfirmed in &unconfirmed {
            let look = || match turn(&content, Some(&unconfirmed.wanted), server)? {
                Turn::Ours(_guard) => {
                    remove_empty(unconfirmed, journal.clock, server, None).map(Some)
                }
                Turn::Theirs => Ok(None),
            };
            match with_retries(server.policy, look) {
                Ok(Some(found)) => sure &= found || time == Time::End,
                Ok(None) => sure = false,
                // Nor will it answer to the rest; the next run looks again.
                Err(_) => return,
            }
        }
        if sure {
            // A journal that is broken has ended the run; the next one looks again.
            let _ = journal.settled(&content);
        }
    }
}

/// What is left of a file's way.
enum Found {
    /// It did arrive.
    File(Outcome),
    /// An ebook, removed by now if it was made for this file alone.
    Ebook,
    /// No ebook yet, or one that another uploader may be filling.
    Nothing,
}

fn look(
    content: &Content,
    interrupted: &Interrupted,
    clock: Clock,
    server: &Server,
) -> Result<Found, Failure> {
    let api = &server.api;
    if let Some((id, _)) = interrupted.adding {
        let question = Question {
            content: *content,
            extension: interrupted.format.clone(),
        };
        if let Some(ebook) = ebook::get(api, id)?
            && let Some(source) = ebook.source_like(content, &interrupted.format)
            && upload_check::one(api, &question)? == CheckAnswer::Exists
        {
            return Ok(Found::File(Outcome {
                ebook: Some(id),
                source: Some(source),
                notes: interrupted.notes.clone(),
                ..Outcome::new(Kind::Uploaded)
            }));
        }
    }
    if !interrupted.has_made() {
        return Ok(Found::Ebook);
    }
    let Turn::Ours(_guard) = turn(content, interrupted.ebook(), server)? else {
        return Ok(Found::Nothing);
    };
    if let (Some((id, true)), Some(at)) = (interrupted.adding, interrupted.at)
        // A server that was set back may have given its id to somebody else's.
        && ebook::get(api, id)?.is_some_and(|ebook| may_be_ours(&ebook, at, clock, server))
    {
        ebook::remove_if_empty(api, id)?;
    }
    let Some((wanted, at)) = interrupted.making.as_deref().zip(interrupted.at) else {
        return Ok(Found::Ebook);
    };
    let wanted = wanted.clone();
    Ok(
        match remove_empty(&Unconfirmed { wanted, at }, clock, server, None)? {
            true => Found::Ebook,
            false => Found::Nothing,
        },
    )
}

/// Keeps other uploaders off an ebook while it is removed: one who is at work on its book may just be
/// giving it a file, which would go with it.
fn turn<'a>(
    content: &Content,
    wanted: Option<&Wanted>,
    server: &'a Server,
) -> Result<Turn<'a>, Failure> {
    let Some(claims) = &server.claims else {
        return Ok(Turn::Ours(None));
    };
    // Who knows which book it is?
    let Some(wanted) = wanted else {
        return Ok(Turn::Theirs);
    };
    let mut all = wanted.claims();
    all.push(claim::content(content));
    Ok(match claims.take(&all)? {
        Some(guard) => Turn::Ours(Some(guard)),
        None => Turn::Theirs,
    })
}

/// May it be one that we made at this time? Nobody has changed it since.
fn may_be_ours(ebook: &ebook::Ebook, at: Timestamp, clock: Clock, server: &Server) -> bool {
    ebook.created_by.is_some()
        && ebook.created_by == server.api.user_id()
        && !ebook.changed
        && clock.may_be_of(at, ebook.created)
}

/// Removes what was made of this book and stayed empty, but for `kept`: there was none like it before,
/// so an empty one of ours and of that time, which nobody has changed since, is that. Says whether there
/// was one.
///
/// # Errors
/// As [`ebook::remove_if_empty`].
pub fn remove_empty(
    unconfirmed: &Unconfirmed,
    clock: Clock,
    server: &Server,
    kept: Option<i64>,
) -> Result<bool, Failure> {
    let api = &server.api;
    let mut found = false;
    for id in matching::twins(api, &unconfirmed.wanted)? {
        let ours = |ebook: ebook::Ebook| may_be_ours(&ebook, unconfirmed.at, clock, server);
        if Some(id) != kept && ebook::get(api, id)?.is_some_and(ours) {
            found |= ebook::remove_if_empty(api, id)?;
        }
    }
    Ok(found)
}
