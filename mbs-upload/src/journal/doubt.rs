//! Ebooks that may have been made, or may still be, by requests that were not answered. What stands of
//! them on the server is told from other people's ebooks by who made it, when, and that it is empty.

use jiff::{SignedDuration, Timestamp};
use wire::records::JournalStep;

use crate::metadata::{book::Author, wanted::Wanted};

/// What the server calls a time in UTC is its database's local time: up to 14 hours off. The rest is
/// for clocks that are wrong.
const OFF: SignedDuration = SignedDuration::from_hours(15);

/// An ebook that may have been made without our hearing of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Doubt {
    /// What it is like.
    pub wanted: Wanted,
    /// When it was about to be made.
    pub at: Timestamp,
}

impl Doubt {
    /// One of a request that is made now.
    pub fn now(wanted: Wanted) -> Doubt {
        let at = Timestamp::now();
        Doubt { wanted, at }
    }

    /// Can an ebook that was made at this time by the server's clock be it?
    pub fn may_be_of(&self, created: Option<Timestamp>) -> bool {
        created.is_some_and(|created| created.duration_since(self.at).abs() <= OFF)
    }

    /// The journal's line for it.
    pub fn line(&self) -> JournalStep {
        JournalStep {
            step: "doubtful".into(),
            at: self.at.to_string(),
            ..describe(&self.wanted)
        }
    }
}

/// An ebook in the fields of a line.
pub fn describe(wanted: &Wanted) -> JournalStep {
    let names = |name: fn(&Author) -> String| Some(wanted.authors.iter().map(name).collect());
    let series = wanted.series.as_ref();
    JournalStep {
        title: Some(wanted.title.clone()),
        last_names: names(|author| author.last.clone()),
        first_names: names(|author| author.first.clone().unwrap_or_default()),
        language_id: Some(wanted.language),
        series: series.map(|series| series.title.clone()),
        series_index: series.and_then(|series| Some(series.index? as f64)),
        ..JournalStep::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ebook_of_another_day_is_another_one() {
        let at: Timestamp = "2026-03-02T12:00:00Z".parse().unwrap();
        let doubt = Doubt {
            wanted: Wanted {
                title: "T".into(),
                authors: Vec::new(),
                series: None,
                language: 1,
            },
            at,
        };
        let is = |created: &str| doubt.may_be_of(created.parse().ok());
        assert!(is("2026-03-02T12:00:01.5+00:00"));
        // A database that counts the hours of Kiritimati, and one of Baker Island.
        assert!(is("2026-03-03T02:00:01+00:00") && is("2026-03-02T00:00:01+00:00"));
        assert!(!is("2026-03-03T03:00:01+00:00") && !is("2026-03-01T20:00:00+00:00"));
        assert!(!is("some day"));
    }
}
