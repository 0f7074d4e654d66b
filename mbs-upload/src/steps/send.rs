//! The bytes are sent.

use std::time::Duration;

use crate::{
    model::{
        failure::Failure,
        job::Job,
        outcome::{Kind, Outcome},
    },
    steps::{Tools, check::form},
};

/// What became of the bytes.
pub(super) enum Sent {
    /// The server stored them under this name.
    Stored(String),
    /// It did not take them.
    Ended(Outcome),
}

/// Sends a file within this time, asking first where an earlier try may have broken on a refusal;
/// `sent` is called with the bytes as they go.
pub(super) fn send(
    with: &Tools<'_>,
    job: &Job,
    (ask_first, within): (bool, Duration),
    sent: &dyn Fn(u64),
) -> Result<Sent, Failure> {
    let how = (ask_first, within);
    match form(job).send(with.api, &job.origin, &job.content, how, sent) {
        Ok(file) => Ok(Sent::Stored(file)),
        Err(Failure::Said { error, .. }) => Ok(Sent::Ended(match error.as_str() {
            "file already exists" => Outcome::duplicate("upload"),
            "file too big" => Outcome::because(Kind::TooBig, error),
            other if other.starts_with("unsupported") => Outcome::because(Kind::Unsupported, other),
            other => return Err(Failure::Refused(other.into())),
        })),
        Err(Failure::TooLarge(why)) => Ok(Sent::Ended(Outcome::because(Kind::TooBig, why))),
        Err(other) => Err(other),
    }
}
