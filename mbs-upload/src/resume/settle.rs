//! Interrupted uploads, reconciled with the server. The last request of a killed run may still be at
//! work there when the next run starts, so nothing is decided before that has had its time.
//!
//! An ebook that was made and not filled is found and filled by the upload that goes on.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use wire::{Exit, Fatal};

use crate::{
    known::Content,
    model::{
        failure::Failure,
        outcome::{Kind, Outcome},
    },
    resume::{Journal, interrupted::Interrupted, server::Server},
};

/// Finds out which files have arrived that earlier runs were about to add; gives the others, which
/// are still to be gone on with. A request of a run before may take `pause` to come to its end.
///
/// # Errors
/// The server does not answer, or the journal cannot be written.
pub(super) fn settle(
    journal: &mut Journal,
    interrupted: HashMap<Content, Interrupted>,
    server: &dyn Server,
    pause: Duration,
) -> Result<HashMap<Content, Interrupted>, Fatal> {
    let open = interrupted.values().filter(|one| one.is_open());
    if let Some(last) = open.filter_map(|one| one.at).max() {
        let since = Timestamp::now().duration_since(last);
        let pause = pause.saturating_sub(since.try_into().unwrap_or_default());
        let _waiting = wire::waiting::announce("what a former run sent may still arrive", pause);
        wire::stop::sleep(pause);
    }
    let gave_up = |failure: Failure| {
        let message = format!("{}: settle the last run: {failure}", server.address());
        Fatal::new(Exit::GaveUp, message)
    };
    let unwritten = |why| Fatal::new(Exit::GaveUp, format!("{why}"));
    let mut left = HashMap::new();
    for (content, mut one) in interrupted {
        if let Some((ebook, made)) = one.adding
            && let Some(source) = (server.file_in(ebook, &content, &one.format)).map_err(gave_up)?
        {
            let outcome = Outcome {
                ebook: Some(ebook),
                source: Some(source),
                notes: one.notes,
                ..Outcome::new(Kind::Uploaded)
            };
            journal.arrived(&content, &outcome).map_err(unwritten)?;
            journal.owners.put(ebook, one.owner, made);
            continue;
        }
        if one.is_open() {
            journal.cleared(&content).map_err(unwritten)?;
            one.close();
        }
        left.insert(content, one);
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers every question for a file in this way.
    struct Fake(Result<Option<i64>, Failure>);

    impl Server for Fake {
        fn address(&self) -> &str {
            "http://fake"
        }
        fn user_id(&self) -> Option<i64> {
            None
        }
        fn has(&self, _: &Content, _: Option<(i64, i64)>) -> Result<bool, Failure> {
            Ok(false)
        }
        fn refuses(&self, _: u64, _: &str) -> Result<bool, Failure> {
            Ok(false)
        }
        fn some_ebooks(&self, _: usize) -> Result<Vec<i64>, Failure> {
            Ok(Vec::new())
        }
        fn created(&self, _: i64) -> Result<Option<String>, Failure> {
            Ok(None)
        }
        fn file_in(&self, _: i64, _: &Content, _: &str) -> Result<Option<i64>, Failure> {
            self.0.clone()
        }
    }

    #[test]
    fn only_a_file_that_the_server_shows_has_arrived() {
        let content = Content::new(&"a".repeat(40), 9).unwrap();
        let adding = Interrupted {
            adding: Some((5, true)),
            ..Interrupted::default()
        };
        let making = Interrupted {
            making: true,
            ..Interrupted::default()
        };
        let settled = |one: &Interrupted, found| {
            let interrupted = HashMap::from([(content, one.clone())]);
            let mut journal = Journal::default();
            settle(&mut journal, interrupted, &Fake(found), Duration::ZERO)
        };
        assert!(settled(&adding, Ok(Some(7))).unwrap().is_empty());
        for (one, found) in [(&adding, Ok(None)), (&making, Ok(Some(7)))] {
            let left = settled(one, found).unwrap();
            assert!(!left[&content].is_open(), "{one:?}");
        }
        // Unknown is neither.
        let unknown = settled(&adding, Err(Failure::NoAnswer("broken".into())));
        assert_eq!(unknown.unwrap_err().exit, Exit::GaveUp);
    }
}
