//! A stream of records, line by line, counted to see whether it is complete.

use std::io::{self, BufRead};

use crate::{Completeness, Record, records::Summary, stop};

/// A line longer than this is no record of ours but a file given by mistake.
const LONGEST_LINE: usize = 16 << 20;

/// What a line of the input is.
#[derive(Debug)]
pub enum Item {
    /// A record of any type but `summary`.
    Record(Record),
    /// A line that is none, with its number and one line of reason.
    Unusable(u64, String),
}

/// Reads records; summaries are not handed out but checked against what was counted.
pub struct Reader<R> {
    input: R,
    number: u64,
    completeness: Completeness,
    ended: bool,
}

impl<R: BufRead> Reader<R> {
    /// Reads from `input` to its end.
    pub fn new(input: R) -> Reader<R> {
        Reader {
            input,
            number: 0,
            completeness: Completeness::default(),
            ended: false,
        }
    }

    /// The next line, or nothing at the end.
    ///
    /// # Errors
    /// Only when the input itself cannot be read; a bad line is an [`Item::Unusable`].
    pub fn next_item(&mut self) -> io::Result<Option<Item>> {
        loop {
            let mut line = Vec::with_capacity(1024);
            let Some(end) = next_line(&mut self.input, LONGEST_LINE, &mut line)? else {
                // A stop ends standard input anywhere.
                self.ended = !stop::requested();
                return Ok(None);
            };
            self.number += 1;
            let parsed = match end.fits {
                false => Err(format!("longer than {LONGEST_LINE} bytes")),
                true if line.trim_ascii().is_empty() => continue,
                true => Record::parse(line),
            };
            let record = match parsed {
                Ok(record) => record,
                Err(reason) => {
                    self.completeness.count_unusable();
                    return Ok(Some(Item::Unusable(self.number, reason)));
                }
            };
            if record.kind() == "summary" {
                match record.decode::<Summary>() {
                    Ok(summary) => self.completeness.add_summary(summary),
                    Err(_) => self.completeness.count_unusable(),
                }
                continue;
            }
            self.completeness.count();
            return Ok(Some(Item::Record(record)));
        }
    }

    /// What the input's summaries say, held against what was read.
    pub fn completeness(mut self) -> Completeness {
        if !self.ended {
            self.completeness.end_unread();
        }
        self.completeness
    }
}

/// How a line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineEnd {
    /// It was not too long; one that is comes without its text.
    pub fits: bool,
    /// The input ended before its newline.
    pub torn: bool,
    /// How many bytes it has, its newline included.
    pub length: u64,
}

/// Reads the next line to the end of `line`, with its newline; nothing at the end of the input. Of a line
/// that is longer than `longest` bytes, however long, nothing is kept.
///
/// # Errors
/// The input cannot be read.
pub fn next_line(
    input: &mut impl BufRead,
    longest: usize,
    line: &mut Vec<u8>,
) -> io::Result<Option<LineEnd>> {
    let start = line.len();
    let mut length = 0;
    loop {
        let part = match input.fill_buf() {
            Ok(part) => part,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if part.is_empty() && length == 0 {
            return Ok(None);
        }
        let (taken, ended) = match memchr::memchr(b'\n', part) {
            Some(at) => (at + 1, Some(false)),
            None => (part.len(), part.is_empty().then_some(true)),
        };
        length += taken;
        match length <= longest {
            true => line.extend_from_slice(&part[..taken]),
            false => line.truncate(start),
        }
        input.consume(taken);
        if let Some(torn) = ended {
            let fits = length <= longest;
            let length = length as u64;
            return Ok(Some(LineEnd { fits, torn, length }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> (Vec<Item>, Completeness) {
        let mut reader = Reader::new(input);
        let items = std::iter::from_fn(|| reader.next_item().unwrap()).collect();
        (items, reader.completeness())
    }

    #[test]
    fn a_bad_line_does_not_stop_the_stream() {
        let (items, completeness) = read(b"{\"type\":\"a\"}\nnonsense\n\n{\"type\":\"b\"}");
        assert!(matches!(&items[0], Item::Record(r) if r.kind() == "a"));
        assert!(matches!(&items[1], Item::Unusable(2, _)));
        assert!(matches!(&items[2], Item::Record(r) if r.kind() == "b"));
        assert!(!completeness.report().complete);
    }

    #[test]
    fn lines_tell_how_they_ended_however_they_are_cut_into_parts() {
        let end = |fits, torn, length| LineEnd { fits, torn, length };
        type Lines<'a> = &'a [(&'a str, LineEnd)];
        let cases: [(&[u8], Lines<'_>); 5] = [
            (b"", &[]),
            (b"\n", &[("\n", end(true, false, 1))]),
            (
                b"1234\n5",
                &[("1234\n", end(true, false, 5)), ("5", end(true, true, 1))],
            ),
            (
                b"12345\n6\n",
                &[("", end(false, false, 6)), ("6\n", end(true, false, 2))],
            ),
            (
                b"1\n123456789012",
                &[("1\n", end(true, false, 2)), ("", end(false, true, 12))],
            ),
        ];
        for (input, expected) in cases {
            for part in 1..=input.len() + 1 {
                let mut input = io::BufReader::with_capacity(part, input);
                let mut line = Vec::new();
                let mut found = Vec::new();
                while let Some(end) = next_line(&mut input, 5, &mut line).unwrap() {
                    found.push((String::from_utf8(std::mem::take(&mut line)).unwrap(), end));
                }
                let expected: Vec<_> = expected.iter().map(|(l, e)| (l.to_string(), *e)).collect();
                assert_eq!(found, expected, "in parts of {part}");
            }
        }
    }

    #[test]
    fn an_input_that_was_not_read_to_its_end_is_not_called_cut_short() {
        let mut reader = Reader::new(&b"{\"type\":\"a\"}\n{\"type\":\"b\"}\n"[..]);
        reader.next_item().unwrap();
        let report = reader.completeness().report();
        assert_eq!((report.complete, report.why), (false, None));
        let (_, completeness) = read(b"{\"type\":\"a\"}\n");
        assert!(completeness.report().why.unwrap().contains("no summary"));
    }

    #[test]
    fn an_endless_line_costs_no_endless_memory() {
        let mut input = vec![b'x'; LONGEST_LINE + 10];
        input.extend_from_slice(b"\n{\"type\":\"a\"}\n");
        let (items, _) = read(&input);
        assert!(matches!(&items[0], Item::Unusable(1, _)));
        assert!(matches!(&items[1], Item::Record(_)));
    }
}
