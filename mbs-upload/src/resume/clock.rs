//! The clock of the server's database. What it calls a time in UTC is its local time, so that an ebook of
//! ours can be told by its time from another only roughly, until something is known to have been
//! made at a time of ours: the row of an upload that we heard of.

use jiff::{SignedDuration, Timestamp};

/// A local time is up to 14 hours off. The rest is for clocks that are wrong.
const OFF: SignedDuration = SignedDuration::from_hours(15);
/// How long a request may have waited on the server, and a word from it on its way to us.
const LATE: SignedDuration = SignedDuration::from_hours(1);
/// For a clock that was set in between.
const EARLY: SignedDuration = SignedDuration::from_mins(-2);

/// How far the server's clock is ahead of ours, if that is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock(Option<SignedDuration>);

impl Clock {
    /// By something that the server made then, as it says, and that we heard of at this time of ours.
    pub fn by(made: Timestamp, heard: Timestamp) -> Clock {
        Clock(Some(made.duration_since(heard)))
    }

    /// Can what was made at this time by the server's clock come of a request that we made at that one
    /// of ours?
    ///
    /// While the clock is not known, an ebook that somebody makes by hand with the account that uploads, with
    /// the same title, authors, language and place in a series, and leaves empty, within these 15 hours of
    /// a kill, is taken for ours; else one within the hour.
    pub fn may_be_of(self, at: Timestamp, made: Option<Timestamp>) -> bool {
        made.is_some_and(|made| {
            let after = made.duration_since(at);
            match self.0 {
                Some(ahead) => (EARLY..=LATE).contains(&(after - ahead)),
                None => after.abs() <= OFF,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn an_ebook_of_another_day_is_another_one() {
        let is = |made: &str| {
            Clock::default().may_be_of(time("2026-03-02T12:00:00Z"), made.parse().ok())
        };
        assert!(is("2026-03-02T12:00:01.5+00:00"));
        // A database that counts the hours of Kiritimati, and one of Baker Island.
        assert!(is("2026-03-03T02:00:01+00:00") && is("2026-03-02T00:00:01+00:00"));
        assert!(!is("2026-03-03T03:00:01+00:00") && !is("2026-03-01T20:00:00+00:00"));
        assert!(!is("some day"));
    }

    #[test]
    fn one_of_another_hour_is_another_one_where_the_clock_is_known() {
        // The server is in Kathmandu, and the word of the upload's row took three seconds to us.
        let clock = Clock::by(time("2026-03-02T17:45:00Z"), time("2026-03-02T12:00:03Z"));
        let is = |made: &str| clock.may_be_of(time("2026-03-02T12:00:05Z"), made.parse().ok());
        assert!(is("2026-03-02T17:45:02+00:00") && is("2026-03-02T18:30:00+00:00"));
        assert!(!is("2026-03-02T17:30:00+00:00") && !is("2026-03-02T19:00:00+00:00"));
        assert!(!is("2026-03-02T12:00:05+00:00"));
    }
}
