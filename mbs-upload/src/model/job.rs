//! One file to bring to the server, as the input names it.

use std::{path::PathBuf, time::Instant};

use thiserror::Error;
use wire::Record;

use crate::{
    known::Content,
    metadata::{book::Book, fit},
    model::{
        check::{CheckAnswer, Question},
        claim::{self, Claim},
        origin::{Origin, stem_and_extension},
        owners::Owner,
        stage::Stage,
    },
};

/// Why a record cannot be worked on.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum JobError {
    /// Its paths are none.
    #[error("{0}")]
    Path(String),
    /// It names an archive's member incompletely.
    #[error("an archive's member needs member and offset: hash-files --tar")]
    Member,
    /// It was not hashed.
    #[error("no sha1: pipe through hash-files")]
    NoSha1,
    /// It was not hashed.
    #[error("no size: pipe through hash-files")]
    NoSize,
    /// Its hash is none.
    #[error("{0:?} is no SHA-1")]
    Sha1(String),
}

/// A file, its identity and its book.
#[derive(Clone, Debug)]
pub struct Job {
    /// The record that names it.
    pub record: Record,
    /// Its path, or that of the archive that holds it.
    pub path: PathBuf,
    /// Where its bytes are.
    pub origin: Origin,
    /// Its identity.
    pub content: Content,
    /// Its extension in lower case.
    pub extension: String,
    /// Its book as far as the record tells.
    pub book: Book,
    /// What it holds while it is worked on.
    pub claims: Vec<Claim>,
    /// What the server said to it, when it was asked together with others.
    pub checked: Option<CheckAnswer>,
    /// It has been, or is being, asked about.
    pub asked: bool,
    /// What it waits for, once it is under way.
    pub stage: Stage,
    /// Another uploader holds its book or content.
    pub put_off: Option<PutOff>,
}

/// Since when a job waits for another uploader, and until when it is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutOff {
    /// The first time.
    pub since: Instant,
    /// When it is to be tried again.
    pub until: Instant,
}

impl Job {
    /// From a record with a path and a hash, ready to be worked on.
    pub fn new(record: Record) -> Result<Job, JobError> {
        let mut job = Job::named(record)?;
        job.read_book();
        Ok(job)
    }

    /// The same without its book, which takes most of the time; enough for what is known already.
    ///
    /// # Errors
    /// This record cannot be worked on.
    pub fn named(record: Record) -> Result<Job, JobError> {
        let origin = Origin::of(&record)?;
        let Some(sha1) = record.text("sha1") else {
            return Err(JobError::NoSha1);
        };
        let size: u64 = record.get("size").ok_or(JobError::NoSize)?;
        let content = Content::new(&sha1, size).ok_or_else(|| JobError::Sha1(sha1.into_owned()))?;
        Ok(Job {
            extension: extension(&record, &origin),
            claims: vec![claim::content(&content)],
            book: Book::default(),
            path: record.path().map_err(JobError::Path)?,
            record,
            origin,
            content,
            checked: None,
            asked: false,
            stage: Stage::default(),
            put_off: None,
        })
    }

    /// Makes the book of what the record tells of it.
    pub fn read_book(&mut self) {
        self.book = Book::of(&self.record, &self.stem(), &self.extension);
        self.claim_book();
    }

    /// Gives its book another title.
    pub fn rename(&mut self, title: String) {
        self.book.title = Some(title);
        let stem = self.stem();
        fit::make_fit(&mut self.book, &stem, &self.extension);
        self.claim_book();
    }

    fn claim_book(&mut self) {
        self.claims.truncate(1);
        if self.book.stated && !self.book.authors.is_empty() {
            let title = self.book.title.as_deref().unwrap_or_default();
            (self.claims).extend(claim::of_book(title, &self.book.authors));
        }
    }

    /// The book's claims, when they were not known from the record.
    pub fn knows_its_book(&self) -> bool {
        self.claims.len() > 1
    }

    /// Calibre's book, if it is of one.
    pub fn owner(&self) -> Option<Owner> {
        Owner::new(
            self.record.get("book_id"),
            self.record.text("uuid").as_deref(),
        )
    }

    /// How the server is asked about it.
    pub fn question(&self) -> Question {
        Question {
            content: self.content,
            extension: self.extension.clone(),
        }
    }

    /// The file's name without its extension, the title of last resort.
    pub fn stem(&self) -> String {
        stem_and_extension(self.origin.name()).0
    }

    /// The file for people.
    pub fn shown(&self) -> String {
        self.origin.shown()
    }
}

/// The format that Calibre or hash-files tells, else what follows the last dot of the name.
fn extension(record: &Record, origin: &Origin) -> String {
    let given = record.text("format").map(|format| format.into_owned());
    let extension = given.unwrap_or_else(|| stem_and_extension(origin.name()).1);
    extension.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(line: &str) -> Result<Job, JobError> {
        Job::new(Record::parse(line.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn a_record_without_a_hash_is_told_where_to_get_one() {
        let error = job(r#"{"type":"book_file","path":"/a.epub","title":"T"}"#).unwrap_err();
        assert_eq!(error.to_string(), "no sha1: pipe through hash-files");
        let error = job(r#"{"type":"file_hash","path":"/a","sha1":"None","size":1}"#).unwrap_err();
        assert_eq!(error.to_string(), "\"None\" is no SHA-1");
    }

    #[test]
    fn files_of_equal_bytes_and_books_of_equal_names_meet() {
        let line = |path: &str, digit: &str, title: &str| {
            let sha1 = digit.repeat(40);
            let fields = format!(r#""path":"{path}","sha1":"{sha1}","size":3,"title":"{title}""#);
            job(&format!(
                r#"{{"type":"file_hash",{fields},"authors":["A"]}}"#
            ))
            .unwrap()
        };
        let meet = |a: &Job, b: &Job| a.claims.iter().any(|claim| b.claims.contains(claim));
        assert!(meet(&line("/a.epub", "1", "T"), &line("/b.pdf", "1", "U")));
        assert!(meet(&line("/a.epub", "1", "T"), &line("/b.pdf", "2", "t")));
        assert!(!meet(&line("/a.epub", "1", "T"), &line("/b.pdf", "2", "U")));
        assert_eq!(line("/a.EPUB", "1", "T").extension, "epub");
    }
}
