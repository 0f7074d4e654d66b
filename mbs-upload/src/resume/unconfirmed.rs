//! Ebooks that may have been made, or may still be, by requests that were not answered. What stands of
//! them on the server is told from other people's ebooks by who made it, when, and that it is empty.

use jiff::Timestamp;
use wire::records::JournalStep;

use crate::metadata::{book::Author, wanted::Wanted};

/// An ebook that may have been made without our hearing of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Unconfirmed {
    /// What it is like.
    pub wanted: Wanted,
    /// When it was about to be made.
    pub at: Timestamp,
}

impl Unconfirmed {
    /// One of a request that is made now.
    pub fn now(wanted: Wanted) -> Unconfirmed {
        let at = Timestamp::now();
        Unconfirmed { wanted, at }
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
