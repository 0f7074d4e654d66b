//! How large a file the server takes, found out without sending one.

use std::{
    io::{self, Read},
    time::Duration,
};

use crate::{
    api::{Api, http::Stream, upload_check},
    model::{
        check::{CheckAnswer, Question},
        failure::Failure,
    },
};

/// The limits that servers usually have: the official one's and the fork's.
const USUAL: [u64; 2] = [100 << 20, 500 << 20];
/// An announcement is answered, or consented to, at once.
const WITHIN: Duration = Duration::from_secs(60);
/// The server's column for sizes takes no more.
const MOST: u64 = i32::MAX as u64;

/// The largest size that the server's check takes, in bytes.
pub(super) fn checked(api: &dyn Api, question: &Question) -> Result<u64, Failure> {
    largest(|size| upload_check::body_fits(api, question, size))
}

/// The largest request body that a proxy before the server lets through, at most `most`: it answers
/// 413 to the announcement alone. The connection is closed before the body.
pub(super) fn passed(api: &dyn Api, most: u64) -> Result<u64, Failure> {
    let fits = |length| match announce(api, length) {
        Ok(()) => Ok(true),
        Err(Failure::TooLarge(_)) => Ok(false),
        Err(other) => Err(other),
    };
    match fits(most)? {
        true => Ok(most),
        false => between(0, most, fits),
    }
}

/// Whether the server would take this extension in lower case.
pub(super) fn takes(api: &dyn Api, question: &Question) -> Result<bool, Failure> {
    Ok(!matches!(
        upload_check::one(api, question)?,
        CheckAnswer::Unsupported(_)
    ))
}

/// The largest number that fits, the usual ones tried first.
fn largest(fits: impl Fn(u64) -> Result<bool, Failure>) -> Result<u64, Failure> {
    let mut low = 0;
    for usual in USUAL {
        if !fits(usual)? {
            return between(low, usual, fits);
        }
        if !fits(usual + 1)? {
            return Ok(usual);
        }
        low = usual + 1;
    }
    match fits(MOST)? {
        true => Ok(MOST),
        false => between(low, MOST, fits),
    }
}

/// The largest that fits, where `low` does and `high` does not.
fn between(
    mut low: u64,
    mut high: u64,
    fits: impl Fn(u64) -> Result<bool, Failure>,
) -> Result<u64, Failure> {
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        match fits(middle)? {
            true => low = middle,
            false => high = middle,
        }
    }
    Ok(low)
}

fn announce(api: &dyn Api, length: u64) -> Result<(), Failure> {
    let mut body = Never { asked: false };
    let answer = api.stream("/api/upload", &mut |send| {
        send(Stream {
            kind: "multipart/form-data; boundary=none",
            length,
            ask_first: true,
            within: WITHIN,
            bytes: &mut body,
        })
    });
    match answer {
        // It went on to the bytes, of which there are none.
        _ if body.asked => Ok(()),
        Ok(_) => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// A body that breaks off before its first byte.
struct Never {
    asked: bool,
}

impl Read for Never {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.asked = true;
        Err(io::Error::other("only announced"))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn the_limit_is_found_exactly_and_the_usual_ones_soon() {
        for (limit, most) in [
            (100 << 20, 2),
            (500 << 20, 4),
            (7, 40),
            (300 << 20, 40),
            (1 << 30, 40),
        ] {
            let asked = Cell::new(0);
            let fits = |size| {
                asked.set(asked.get() + 1);
                Ok(size <= limit)
            };
            assert_eq!(largest(fits), Ok(limit));
            assert!(asked.get() <= most, "{limit}: {}", asked.get());
        }
        assert_eq!(largest(|_| Ok(true)), Ok(MOST));
    }
}
