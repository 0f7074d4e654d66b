//! Which of Calibre's books each ebook was first filled by, so that it can be said when another one
//! joins it. Of this run and of those that the journal tells of.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::{Mutex, PoisonError},
};

/// A book of a Calibre library, small: there may be a million of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Calibre's number of it.
    book: u32,
    /// Of its uuid; 0 where that is not known.
    uuid: u32,
}

impl Owner {
    /// The book of that number and uuid; a file without a number is none of Calibre's.
    pub fn new(book: Option<i64>, uuid: Option<&str>) -> Option<Owner> {
        // The same in each run of this process, and kept nowhere else.
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        Some(Owner {
            book: book?.try_into().ok()?,
            uuid: uuid.map_or(0, |uuid| hasher.hash_one(uuid) as u32 | 1),
        })
    }

    /// Is it another book for certain?
    pub(crate) fn differs(self, other: Owner) -> bool {
        // A library that was made anew gives its books other numbers.
        match self.uuid != 0 && other.uuid != 0 {
            true => self.uuid != other.uuid,
            false => self.book != other.book,
        }
    }
}

/// The first book of each ebook.
#[derive(Debug, Default)]
pub struct Owners(BTreeMap<i64, Owner>);

impl Owners {
    /// A file of this book is in that ebook, which was `made` for it or was there.
    pub fn put(&mut self, ebook: i64, book: Option<Owner>, made: bool) {
        if made {
            // A server that was set back gives the same number to another ebook.
            self.0.remove(&ebook);
        }
        if let Some(book) = book {
            self.0.entry(ebook).or_insert(book);
        }
    }

    /// Calibre's number of the first book in that ebook, if it is another one than this.
    pub fn other(&self, ebook: i64, book: Owner) -> Option<u32> {
        let first = self.0.get(&ebook)?;
        first.differs(book).then_some(first.book)
    }
}

/// The same, shared by all workers.
#[derive(Debug, Default)]
pub struct Shared(Mutex<Owners>);

impl Shared {
    /// Begins with what the journal tells.
    pub fn begin(&self, past: Owners) {
        self.with(|owners| *owners = past);
    }

    /// As [`Owners::put`].
    pub fn put(&self, ebook: i64, book: Option<Owner>, made: bool) {
        self.with(|owners| owners.put(ebook, book, made));
    }

    /// As [`Owners::other`].
    pub fn other(&self, ebook: i64, book: Option<Owner>) -> Option<u32> {
        self.with(|owners| owners.other(ebook, book?))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Owners) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_book_is_told_to_those_that_differ_for_certain() {
        let book = |id, uuid| Owner::new(Some(id), uuid).unwrap();
        let mut owners = Owners::default();
        owners.put(5, Some(book(17, Some("a"))), true);
        owners.put(5, Some(book(18, Some("b"))), false);
        assert_eq!(owners.other(5, book(18, Some("b"))), Some(17));
        assert_eq!(owners.other(5, book(17, Some("b"))), Some(17));
        assert_eq!(owners.other(5, book(18, None)), Some(17));
        assert_eq!(owners.other(5, book(17, Some("a"))), None);
        assert_eq!(owners.other(5, book(17, None)), None);
        // A library that was made anew.
        assert_eq!(owners.other(5, book(99, Some("a"))), None);
        assert_eq!(owners.other(6, book(18, Some("b"))), None);
    }

    #[test]
    fn an_ebook_that_was_made_anew_has_no_former_book() {
        let book = |id| Owner::new(Some(id), None).unwrap();
        let mut owners = Owners::default();
        owners.put(5, Some(book(17)), true);
        owners.put(5, Some(book(18)), true);
        assert_eq!(owners.other(5, book(18)), None);
        owners.put(5, None, true);
        assert_eq!(owners.other(5, book(18)), None);
    }

    #[test]
    fn what_has_no_number_is_no_book_of_calibres() {
        assert_eq!(Owner::new(None, Some("a")), None);
        assert_eq!(Owner::new(Some(-1), None), None);
    }
}
