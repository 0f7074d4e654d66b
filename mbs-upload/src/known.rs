//! The contents that the server is known to have, by (SHA-1, size).

use std::{
    collections::HashSet,
    io::{self, BufRead},
};

use wire::{Item, Reader};

/// A file's identity on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Content {
    bytes: [u8; 28],
}

impl Content {
    /// From 40 hexadecimal digits and a size; nothing when these are no SHA-1.
    ///
    /// A hash is never optional: the predecessor stored its first upload under an empty hash and
    /// took every later file for that one.
    pub fn new(sha1: &str, size: u64) -> Option<Content> {
        let digits = sha1.as_bytes();
        if digits.len() != 40 {
            return None;
        }
        let mut bytes = [0; 28];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |c: u8| char::from(c).to_digit(16);
            *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        }
        bytes[20..].copy_from_slice(&size.to_be_bytes());
        Some(Content { bytes })
    }

    /// The SHA-1 in lower-case hex.
    pub fn sha1(&self) -> String {
        self.bytes[..20]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// The size in bytes.
    pub fn size(&self) -> u64 {
        let mut size = [0; 8];
        size.copy_from_slice(&self.bytes[20..]);
        u64::from_be_bytes(size)
    }
}

/// A set of contents: 28 bytes each for what was read before the run, sorted; what comes later is
/// kept in a hash set beside it.
#[derive(Debug, Default)]
pub struct Known {
    sorted: Vec<Content>,
    later: HashSet<Content>,
}

/// What a stream of known hashes was like.
#[derive(Debug)]
pub struct Heard {
    /// Records that named a content.
    pub rows: u64,
    /// Lines that did not.
    pub unusable: u64,
    /// Why the stream may be cut short.
    pub why: Option<String>,
}

impl Known {
    /// Takes in a stream of `known_hash` records; call [`Known::seal`] after the last one.
    ///
    /// # Errors
    /// Only when `input` cannot be read.
    pub fn read(&mut self, input: impl BufRead) -> io::Result<Heard> {
        let mut reader = Reader::new(input);
        let (mut rows, mut unusable) = (0, 0);
        while let Some(item) = reader.next_item()? {
            let content = match &item {
                Item::Record(record) if record.kind() == "known_hash" => record
                    .get::<u64>("size")
                    .and_then(|size| Content::new(&record.text("sha1")?, size)),
                Item::Record(_) => continue,
                Item::Unusable(..) => None,
            };
            match content {
                Some(content) => {
                    rows += 1;
                    self.push(content);
                }
                None => unusable += 1,
            }
        }
        Ok(Heard {
            rows,
            unusable,
            why: reader.custody().verdict().why,
        })
    }

    fn push(&mut self, content: Content) {
        if self.sorted.len() == self.sorted.capacity() {
            // Doubling would cost twice the memory just after it.
            self.sorted.reserve_exact(1024 + self.sorted.len() / 4);
        }
        self.sorted.push(content);
    }

    /// Makes what was read ready to be asked for.
    pub fn seal(&mut self) {
        self.sorted.sort_unstable();
        self.sorted.dedup();
        self.sorted.shrink_to_fit();
    }

    /// Is this content known?
    pub fn has(&self, content: &Content) -> bool {
        self.later.contains(content) || self.sorted.binary_search(content).is_ok()
    }

    /// From now on it is.
    pub fn add(&mut self, content: Content) {
        self.later.insert(content);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    #[test]
    fn an_identity_is_a_whole_hash_and_a_size() {
        assert!(Content::new("", 1).is_none() && Content::new("None", 1).is_none());
        assert!(Content::new(&"g".repeat(40), 1).is_none());
        let content = Content::new(&A.to_uppercase(), 77).unwrap();
        assert_eq!((content.sha1().as_str(), content.size()), (A, 77));
        assert_ne!(content, Content::new(A, 78).unwrap());
    }

    #[test]
    fn a_cut_stream_is_used_and_told() {
        let row = format!("{{\"type\":\"known_hash\",\"sha1\":\"{A}\",\"size\":5}}\n");
        let mut known = Known::default();
        let heard = known
            .read(format!("{row}nonsense\n{{\"type\":\"caught_up\"}}\n").as_bytes())
            .unwrap();
        known.seal();
        assert_eq!(
            (heard.rows, heard.unusable, heard.why.is_some()),
            (1, 1, true)
        );
        let content = Content::new(A, 5).unwrap();
        assert!(known.has(&content) && !known.has(&Content::new(A, 6).unwrap()));
        known.add(Content::new(A, 6).unwrap());
        assert!(known.has(&Content::new(A, 6).unwrap()));
    }
}
