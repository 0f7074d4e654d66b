//! The ebooks that the last files went to, so that the next format of a book needs no search.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use crate::metadata::wanted::Wanted;

/// Books remembered: those in flight and a few more, since formats of one book come together.
const REMEMBERED: usize = 4096;

/// A memory of bounded size.
#[derive(Debug, Default)]
pub struct RecentEbooks(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    ebooks: HashMap<Wanted, i64>,
    order: VecDeque<Wanted>,
}

impl RecentEbooks {
    /// The ebook that a book equal in all went to.
    pub fn get(&self, book: &Wanted) -> Option<i64> {
        self.with(|memory| memory.ebooks.get(book).copied())
    }

    /// A file of this book is in that ebook.
    pub fn put(&self, book: &Wanted, ebook: i64) {
        self.with(|memory| {
            if memory.ebooks.insert(book.clone(), ebook).is_none() {
                memory.order.push_back(book.clone());
            }
            if memory.order.len() > REMEMBERED
                && let Some(oldest) = memory.order.pop_front()
            {
                memory.ebooks.remove(&oldest);
            }
        });
    }

    /// The ebook is not there any more.
    pub fn forget(&self, book: &Wanted) {
        self.with(|memory| {
            memory.ebooks.remove(book);
            memory.order.retain(|other| other != book);
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Memory) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
