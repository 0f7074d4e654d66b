//! A book ready for the server: all that identifies an ebook there, languages and series resolved.

use serde_json::{Value, json};

use crate::{
    locks::claim::{self, Claim},
    metadata::book::{Author, Book, Series},
};

/// What an ebook must be like for a file to belong to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// The exact title.
    pub title: String,
    /// The authors in order.
    pub authors: Vec<Author>,
    /// The series.
    pub series: Option<Series>,
    /// The language's row.
    pub language: i64,
}

impl Wanted {
    /// This book in this language. A book without a title has not been made fit yet.
    pub fn new(book: &Book, language: i64) -> Wanted {
        Wanted {
            title: book.title.clone().unwrap_or_default(),
            authors: book.authors.clone(),
            series: book.series.clone(),
            language,
        }
    }

    /// What is held while its ebook is worked on, as [`claims`] of its book.
    pub fn claims(&self) -> Vec<Claim> {
        of(&self.title, &self.authors)
    }

    /// What is held while its ebook is made: the server makes the authors and the series that it lacks
    /// along with it, and two creations at a time would make two of each.
    pub fn names(&self) -> Vec<Claim> {
        let author = |a: &Author| claim::author(&a.last, a.first.as_deref().unwrap_or_default());
        let series = self
            .series
            .iter()
            .map(|series| claim::series(&series.title));
        self.authors.iter().map(author).chain(series).collect()
    }

    /// The body that creates it. Genres and series without a row of their own are given by the
    /// caller as far as they are known.
    pub fn body(&self, series: Option<i64>, genres: &[i64]) -> Value {
        let mut body = json!({
            "title": self.title,
            "language": {"id": self.language},
            "authors": authors(&self.authors),
            "genres": genres.iter().map(|id| json!({"id": id})).collect::<Vec<_>>(),
        });
        if let Some(wanted) = &self.series {
            body["series"] = match series {
                Some(id) => json!({"id": id}),
                None => json!({"title": wanted.title}),
            };
            if let Some(index) = wanted.index {
                body["series_index"] = index.into();
            }
        }
        body
    }
}

/// Authors as the server has them; an empty first name would be another author than none.
pub fn authors(authors: &[Author]) -> Value {
    let author = |author: &Author| match &author.first {
        Some(first) => json!({"last_name": author.last, "first_name": first}),
        None => json!({"last_name": author.last}),
    };
    authors.iter().map(author).collect()
}

/// What a book holds while it is worked on: its title with each of its authors, since ebooks with a
/// common title and a common author may be one.
pub fn claims(book: &Book) -> Vec<Claim> {
    of(book.title.as_deref().unwrap_or_default(), &book.authors)
}

fn of(title: &str, authors: &[Author]) -> Vec<Claim> {
    match authors {
        [] => vec![claim::book(title, "")],
        authors => authors
            .iter()
            .map(|author| claim::book(title, &author.last))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(title: &str, authors: &[&str]) -> Book {
        let author = |last: &&str| Author {
            last: last.to_string(),
            first: None,
        };
        Book {
            title: Some(title.into()),
            authors: authors.iter().map(author).collect(),
            ..Book::default()
        }
    }

    #[test]
    fn books_that_may_be_one_share_a_claim() {
        let meet = |a: &Book, b: &Book| claims(a).iter().any(|claim| claims(b).contains(claim));
        assert!(meet(
            &book("Café", &["A", "B"]),
            &book("CAFE\u{301}", &["B"])
        ));
        assert!(!meet(&book("T", &["A"]), &book("T", &["B"])));
        assert!(!meet(&book("T", &[]), &book("T", &["B"])));
        assert!(!meet(&book("T", &["A"]), &book("U", &["A"])));
    }

    #[test]
    fn the_body_is_what_the_server_takes() {
        let mut wanted = Wanted::new(&book("T", &["A"]), 2);
        wanted.series = Some(Series {
            title: "S".into(),
            index: Some(0),
        });
        assert_eq!(
            wanted.body(None, &[14]),
            json!({"title": "T", "language": {"id": 2}, "authors": [{"last_name": "A"}],
                   "genres": [{"id": 14}], "series": {"title": "S"}, "series_index": 0})
        );
        assert_eq!(wanted.body(Some(7), &[])["series"], json!({"id": 7}));
    }
}
