//! Signs of another uploader on the same server, where no database keeps the two apart: the server
//! neither checks nor adds atomically, so both may bring one content or one book.
//!
//! The signs cost no request. The engine numbers the rows that its tasks make, for all users, so
//! numbers that are missing among ours are somebody else's; and a file that the server had not when
//! it was asked, and has when it is sent, was brought by somebody.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Gaps that make it certain: a database that crashed leaves one.
const GAPS: u32 = 3;

/// What was seen so far; shared by all threads.
#[derive(Debug, Default)]
pub struct ConcurrentUploaders(Mutex<Signs>);

#[derive(Debug, Default)]
struct Signs {
    first: i64,
    last: i64,
    /// Rows that are ours, or may be: of tasks that failed.
    ours: i64,
    /// Tasks whose row has not been heard of.
    open: i64,
    /// The most rows of others that were there for certain.
    others: i64,
    gaps: u32,
    /// The server has got a file from somebody while we sent it.
    overtaken: bool,
    reported: bool,
}

/// A task of ours under way; dropped without a row, it may have taken a number all the same.
#[derive(Debug)]
pub struct Task<'a> {
    concurrent: &'a ConcurrentUploaders,
    row: Option<i64>,
}

impl ConcurrentUploaders {
    /// A task begins.
    pub fn task(&self) -> Task<'_> {
        self.lock().open += 1;
        Task {
            concurrent: self,
            row: None,
        }
    }

    /// The server has a file by now that it had not before, and not from us.
    pub fn overtaken(&self) {
        self.lock().overtaken = true;
    }

    /// One line about the signs, once, as soon as there are enough.
    pub fn tell(&self) -> Option<String> {
        let mut seen = self.lock();
        let sign = if seen.overtaken {
            "it got a file from elsewhere while we sent it".to_string()
        } else if seen.gaps >= GAPS {
            let all = seen.last - seen.first + 1;
            format!("{} of its last {all} uploads are not ours", seen.others)
        } else {
            return None;
        };
        (!std::mem::replace(&mut seen.reported, true)).then(|| {
            format!("{sign}: another uploader may double books and files; give --db to both")
        })
    }

    fn lock(&self) -> MutexGuard<'_, Signs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Task<'_> {
    /// It made this row.
    pub fn made(mut self, row: i64) {
        self.row = Some(row);
    }
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        self.concurrent.lock().end(self.row);
    }
}

impl Signs {
    fn end(&mut self, row: Option<i64>) {
        self.open -= 1;
        match row {
            // What came before the first is of no interest.
            Some(row) if row < self.first => return,
            Some(row) if self.first == 0 => (self.first, self.last) = (row, row),
            Some(row) => self.last = self.last.max(row),
            None => {}
        }
        self.ours += 1;
        let others = self.last - self.first + 1 - self.ours - self.open;
        if others > self.others {
            self.others = others;
            self.gaps += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(concurrent: &ConcurrentUploaders, rows: impl IntoIterator<Item = i64>) {
        rows.into_iter().for_each(|row| concurrent.task().made(row));
    }

    #[test]
    fn our_own_rows_are_no_sign_in_whatever_order_and_with_failures() {
        let concurrent = ConcurrentUploaders::default();
        made(&concurrent, [7]);
        let tasks: Vec<_> = (8..20).map(|row| (concurrent.task(), row)).collect();
        for (task, row) in tasks.into_iter().rev() {
            match row % 3 {
                0 => drop(task),
                _ => task.made(row),
            }
        }
        made(&concurrent, 20..90);
        assert_eq!(concurrent.tell(), None);
    }

    #[test]
    fn one_gap_is_a_crash_and_several_are_somebody() {
        let concurrent = ConcurrentUploaders::default();
        made(&concurrent, (1..5).chain(37..60));
        assert_eq!(concurrent.tell(), None);
        made(&concurrent, [62, 66]);
        let sign = concurrent.tell().unwrap();
        assert!(sign.starts_with("37 of its last 66 uploads"), "{sign}");
        assert_eq!(concurrent.tell(), None);
    }

    #[test]
    fn to_be_overtaken_is_sign_enough() {
        let concurrent = ConcurrentUploaders::default();
        concurrent.overtaken();
        assert!(concurrent.tell().is_some() && concurrent.tell().is_none());
    }
}
