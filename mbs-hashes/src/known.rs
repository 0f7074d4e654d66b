//! The contents that the server is known to have, by (SHA-1, size).

pub mod samples;
mod set;
mod stream;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub use set::Set;
pub use stream::{Claimed, Heard, Row, first_pass, read};

/// A file's identity on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

    /// From a SHA-1 that was computed.
    pub fn of(sha1: &[u8; 20], size: u64) -> Content {
        let mut bytes = [0; 28];
        bytes[..20].copy_from_slice(sha1);
        bytes[20..].copy_from_slice(&size.to_be_bytes());
        Content { bytes }
    }

    /// The SHA-1.
    pub fn digest(&self) -> &[u8] {
        &self.bytes[..20]
    }

    /// The SHA-1 in lower-case hex.
    pub fn sha1(&self) -> String {
        let digits = self.digest().iter().flat_map(|byte| [byte >> 4, byte & 15]);
        digits
            .filter_map(|digit| char::from_digit(digit.into(), 16))
            .collect()
    }

    /// The size in bytes.
    pub fn size(&self) -> u64 {
        let mut size = [0; 8];
        size.copy_from_slice(&self.bytes[20..]);
        u64::from_be_bytes(size)
    }
}

/// The known set, shared by all who ask and all who add; each clone is the same set.
#[derive(Clone, Debug, Default)]
pub struct Known(Arc<RwLock<Set>>);

impl Known {
    /// Is this content known?
    pub fn has(&self, content: &Content) -> bool {
        self.shared().has(content)
    }

    /// From now on it is.
    pub fn add(&self, content: Content) {
        self.own().add(content);
    }

    fn shared(&self) -> RwLockReadGuard<'_, Set> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn own(&self) -> RwLockWriteGuard<'_, Set> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
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
}
