//! How far a file's way went that was cut short.

use jiff::Timestamp;

use crate::{metadata::wanted::Wanted, model::owners::Owner};

/// How far a file's way went that was cut short.
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
    /// When we heard of that.
    pub heard: Option<Timestamp>,
    /// The ebook that was about to be made.
    pub making: Option<Box<Wanted>>,
    /// The ebook that it was about to become part of, and whether that was made for it.
    pub adding: Option<(i64, bool)>,
    /// Its book, if that is one of Calibre's.
    pub owner: Option<Owner>,
    /// What was changed in its metadata on the way.
    pub notes: Vec<String>,
    /// What that is like, if it was.
    pub made: Option<Box<Wanted>>,
}

impl Interrupted {
    /// May there be something of it among the server's ebooks?
    pub fn is_open(&self) -> bool {
        self.making.is_some() || self.adding.is_some()
    }

    /// There is nothing of it any more.
    pub fn close(&mut self) {
        (self.making, self.adding, self.made) = (None, None, None);
    }

    /// What was or was about to be made for it is like this.
    pub fn ebook(&self) -> Option<&Wanted> {
        self.making.as_deref().or(self.made.as_deref())
    }

    /// May an ebook have been made for it?
    pub fn has_made(&self) -> bool {
        self.making.is_some() || self.adding.is_some_and(|(_, made)| made)
    }
}
