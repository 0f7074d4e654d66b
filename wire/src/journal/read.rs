//! Reading a journal: all that can be read, and by number what cannot.

use std::io::{self, BufRead};

use crate::read::next_line;

/// No record is longer; only two paths of the longest kind could make it so.
const LONGEST_LINE: usize = 64 << 10;

/// How every record begins. Within a record it cannot stand, for there its quotes are escaped.
const BEGINNING: &[u8] = br#"{"type":""#;

/// Reads the whole lines of a journal, also of one that is only read.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    line: Vec<u8>,
    /// The number of the line, from 1.
    number: u64,
    /// Where it begins in the file.
    at: u64,
    length: u64,
    /// Where a second record begins in it.
    glued: Option<usize>,
}

/// A line of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its number, from 1.
    pub number: u64,
    /// Where it begins in the file.
    pub at: u64,
    /// Its text without the newline, or why it holds no record.
    pub text: Result<&'a [u8], &'static str>,
}

impl<R: BufRead> Reader<R> {
    /// Reads from the beginning of a journal.
    pub fn new(input: R) -> Reader<R> {
        Reader {
            input,
            line: Vec::with_capacity(1024),
            number: 0,
            at: 0,
            length: 0,
            glued: None,
        }
    }

    /// The next line that is not empty; nothing at the end, or where the last line has no newline.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn next_entry(&mut self) -> io::Result<Option<Entry<'_>>> {
        if let Some(start) = self.glued.take() {
            return Ok(Some(Entry {
                number: self.number,
                at: self.at + start as u64,
                text: Ok(&self.line[start..]),
            }));
        }
        let fits = loop {
            self.line.clear();
            self.at += self.length;
            let Some(end) = next_line(&mut self.input, LONGEST_LINE, &mut self.line)? else {
                return Ok(None);
            };
            if end.torn {
                return Ok(None);
            }
            self.length = end.length;
            self.number += 1;
            self.line.pop();
            if !end.fits || !self.line.trim_ascii().is_empty() {
                break end.fits;
            }
        };
        // Before failed writes were taken back, a full disk glued a record to the piece of another.
        let second = memchr::memmem::rfind(&self.line, BEGINNING).filter(|&start| start > 0);
        self.glued = second;
        let text = match (fits, second) {
            (false, _) => Err("too long for a record"),
            (true, Some(_)) => Err("a piece of a record, with another behind it"),
            (true, None) => Ok(self.line.as_slice()),
        };
        Ok(Some(Entry {
            number: self.number,
            at: self.at,
            text,
        }))
    }
}
