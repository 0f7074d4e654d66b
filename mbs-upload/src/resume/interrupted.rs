//! How far a file got whose upload was cut short.

use jiff::Timestamp;

use crate::model::owners::Owner;

/// How far a file got whose upload was cut short.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interrupted {
    /// Where in the journal it begins.
    pub from: Option<u64>,
    /// When the last of it was written.
    pub at: Option<Timestamp>,
    /// Its extension.
    pub format: String,
    /// Its name on the server, and the newest upload row of that time.
    pub file: Option<(String, i64)>,
    /// Its upload row.
    pub upload: Option<i64>,
    /// Its ebook was about to be made.
    pub making: bool,
    /// The ebook that it was about to become part of, and whether that was made for it.
    pub adding: Option<(i64, bool)>,
    /// Its book, if that is one of Calibre's.
    pub owner: Option<Owner>,
    /// What was changed in its metadata on the way.
    pub notes: Vec<String>,
}

impl Interrupted {
    /// May a request for it still be at work on the server?
    pub fn is_open(&self) -> bool {
        self.making || self.adding.is_some()
    }

    /// No request for it is at work any more.
    pub fn close(&mut self) {
        (self.making, self.adding) = (false, None);
    }
}
