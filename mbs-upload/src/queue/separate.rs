//! `--separate`: Calibre books of equal names, kept apart. The server has one folder and one cover for
//! a title with its authors, so the later book gets its number in Calibre into its title.

use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
};

use crate::model::{job::Job, owners::Owner};

/// The first book of each title and author, language and place in a series, as hashes. In the order
/// of the input, so that a run over the same input decides alike.
#[derive(Debug, Default)]
pub struct Separate(HashMap<u64, Owner, BuildHasherDefault<DefaultHasher>>);

impl Separate {
    /// Renames the book of this job when an earlier one has its names.
    pub fn tell_apart(&mut self, job: &mut Job) {
        let (Some(owner), Some(book_id)) = (job.owner(), job.record.get::<u64>("book_id")) else {
            return;
        };
        if self.is_later(owner, &keys(job)) {
            let title = job.book.title.take().unwrap_or_default();
            job.rename(format!("{title} ({book_id})"));
            let note = "titled by its book_id: an earlier book has the same names";
            job.book.notes.push(note.into());
        }
    }

    fn is_later(&mut self, owner: Owner, keys: &[u64]) -> bool {
        let first = |key| self.0.get(key).is_some_and(|first| first.differs(owner));
        let later = keys.iter().any(first);
        if !later {
            self.0.extend(keys.iter().map(|&key| (key, owner)));
        }
        later
    }
}

/// One for each author: books with one in common may become one ebook. None without authors.
fn keys(job: &Job) -> Vec<u64> {
    let (language, series) = (job.book.languages.first(), &job.book.series);
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let names = job.claims.iter().skip(1);
    names
        .map(|names| hasher.hash_one((names, language, series)))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wire::Record;

    use super::*;
    use crate::model::claim;

    /// The title under which a book with these changes is sent.
    fn title(separate: &mut Separate, id: u64, changes: Value) -> String {
        let mut fields = json!({
            "type": "file_hash", "path": "/a.epub", "sha1": "1".repeat(40), "size": 3,
            "book_id": id, "title": "T", "authors": ["A B", "C D"], "languages": ["eng"],
            "series": "S", "series_index": 1.0,
        });
        for (name, value) in changes.as_object().unwrap() {
            fields[name] = value.clone();
        }
        let record = Record::parse(fields.to_string().into_bytes()).unwrap();
        let mut job = Job::new(record).unwrap();
        separate.tell_apart(&mut job);
        // It waits for those of its new name alone.
        let title = job.book.title.unwrap();
        let names = claim::of_book(&title, &job.book.authors);
        assert_eq!(job.claims[1..], names);
        title
    }

    #[test]
    fn a_later_book_of_equal_names_is_titled_by_its_number() {
        let mut separate = Separate::default();
        let mut title = |id, changes| title(&mut separate, id, changes);
        assert_eq!(title(17, json!({})), "T");
        assert_eq!(title(18, json!({})), "T (18)");
        // Its other formats, and those of the first.
        assert_eq!(title(18, json!({"format": "PDF"})), "T (18)");
        assert_eq!(title(17, json!({"format": "PDF"})), "T");
        // One author is enough for the server to take them for one.
        assert_eq!(title(19, json!({"authors": ["C D"]})), "T (19)");
    }

    #[test]
    fn books_that_differ_in_a_name_keep_their_titles() {
        let mut separate = Separate::default();
        let others = [
            json!({}),
            json!({"authors": ["E F"]}),
            json!({"languages": ["deu"]}),
            json!({"series": "R"}),
            json!({"series_index": 2.0}),
        ];
        for (id, other) in (17..).zip(others) {
            assert_eq!(title(&mut separate, id, other), "T");
        }
        // A library that was made anew gives its books other numbers.
        let mut separate = Separate::default();
        for id in [17, 99] {
            assert_eq!(title(&mut separate, id, json!({"uuid": "u"})), "T");
        }
    }

    #[test]
    fn a_long_title_keeps_what_tells_it_apart() {
        let mut separate = Separate::default();
        let long = json!({"title": "word ".repeat(100)});
        let [a, b, c] = [17, 18, 19].map(|id| title(&mut separate, id, long.clone()));
        assert!(a != b && b != c && a != c, "{a}\n{b}\n{c}");
    }
}
