//! A stream of records, line by line, counted for its chain of custody.

use std::io::{self, BufRead};

use crate::{Custody, Record, records::Summary};

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
    custody: Custody,
}

impl<R: BufRead> Reader<R> {
    /// Reads from `input` to its end.
    pub fn new(input: R) -> Reader<R> {
        Reader {
            input,
            number: 0,
            custody: Custody::default(),
        }
    }

    /// The next line, or nothing at the end.
    ///
    /// # Errors
    /// Only when the input itself cannot be read; a bad line is an [`Item::Unusable`].
    pub fn next_item(&mut self) -> io::Result<Option<Item>> {
        loop {
            let mut line = Vec::with_capacity(1024);
            let fits = read_line(&mut self.input, &mut line)?;
            if line.is_empty() && fits {
                return Ok(None);
            }
            self.number += 1;
            let parsed = match fits {
                false => Err(format!("longer than {LONGEST_LINE} bytes")),
                true if line.trim_ascii().is_empty() => continue,
                true => Record::parse(line),
            };
            let record = match parsed {
                Ok(record) => record,
                Err(reason) => {
                    self.custody.count_unusable();
                    return Ok(Some(Item::Unusable(self.number, reason)));
                }
            };
            if record.kind() == "summary" {
                match record.decode::<Summary>() {
                    Ok(summary) => self.custody.note(summary),
                    Err(_) => self.custody.count_unusable(),
                }
                continue;
            }
            self.custody.count();
            return Ok(Some(Item::Record(record)));
        }
    }

    /// What the input's summaries say, held against what was read.
    pub fn custody(self) -> Custody {
        self.custody
    }
}

/// Reads up to and with the newline; says whether the line fits. The rest of one that does not is
/// skipped.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        let part = match input.fill_buf() {
            Ok(part) => part,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let (taken, ended) = match part.iter().position(|&byte| byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (part.len(), part.is_empty()),
        };
        if line.len() <= LONGEST_LINE {
            line.extend_from_slice(&part[..taken]);
        }
        input.consume(taken);
        if ended {
            return Ok(line.len() <= LONGEST_LINE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> (Vec<Item>, Custody) {
        let mut reader = Reader::new(input);
        let items = std::iter::from_fn(|| reader.next_item().unwrap()).collect();
        (items, reader.custody())
    }

    #[test]
    fn a_bad_line_does_not_stop_the_stream() {
        let (items, custody) = read(b"{\"type\":\"a\"}\nnonsense\n\n{\"type\":\"b\"}");
        assert!(matches!(&items[0], Item::Record(r) if r.kind() == "a"));
        assert!(matches!(&items[1], Item::Unusable(2, _)));
        assert!(matches!(&items[2], Item::Record(r) if r.kind() == "b"));
        assert!(!custody.verdict().complete);
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
