//! Where a file's bytes are: a file of their own, or a part of a tar archive. They are hashed again on
//! their way out, and turn into an error before the last of them when they are not those that the
//! record stands for.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use sha1::{Digest, Sha1};

use crate::{
    known::Content,
    model::{failure::Failure, origin::Origin},
};

/// Looks whether they are there and long enough, or as long as they were when hashed.
pub fn look(origin: &Origin, content: &Content) -> Result<(), Failure> {
    Guarded::open(origin, content).map(drop)
}

/// Opens a file without waiting for the writer of a FIFO.
fn open(path: &Path) -> Result<(File, u64), Failure> {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let local = |act: &str, why: &dyn std::fmt::Display| Failure::Local(format!("{act}: {why}"));
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)
        .map_err(|error| local("open", &error))?;
    let metadata = file.metadata().map_err(|error| local("stat", &error))?;
    match metadata.is_file() {
        true => Ok((file, metadata.len())),
        false => Err(local("open", &"not a regular file")),
    }
}

/// Bytes that turn into an error before the last of them, when they are not those that were hashed.
#[derive(Debug)]
pub struct Guarded {
    file: File,
    at: u64,
    left: u64,
    /// Is it the whole file, with nothing behind it?
    whole: bool,
    hash: Sha1,
    expected: String,
    broken: Option<String>,
}

impl Guarded {
    /// Opens the bytes of this content.
    ///
    /// # Errors
    /// [`Failure::Local`] when they cannot be there.
    pub fn open(origin: &Origin, content: &Content) -> Result<Guarded, Failure> {
        let (file, length) = open(&origin.file)?;
        let size = content.size();
        let at = origin.member.as_ref().map_or(0, |member| member.offset);
        let why = match &origin.member {
            None if length != size => format!("{length} bytes, was {size}"),
            Some(_) if at.checked_add(size).is_none_or(|end| end > length) => {
                format!("{size} bytes at {at} are not in the archive of {length}")
            }
            _ => {
                return Ok(Guarded {
                    file,
                    at,
                    left: size,
                    whole: origin.member.is_none(),
                    hash: Sha1::new(),
                    expected: content.sha1(),
                    broken: None,
                });
            }
        };
        Err(Failure::Local(format!(
            "changed since hashed: {why}; run hash-files again"
        )))
    }

    /// Bytes that were not read yet.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Why they turned into an error.
    pub fn broken(self) -> Option<String> {
        self.broken
    }

    fn fail(&mut self, reason: String) -> io::Error {
        let error = io::Error::other(reason.clone());
        self.broken = Some(reason);
        error
    }

    /// The next bytes. The last of them come only when all are those that were hashed.
    ///
    /// # Errors
    /// They cannot be read, or are others; [`Guarded::broken`] then says so.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = loop {
            match self.file.read_at(&mut buffer[..most], self.at) {
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.fail(format!("read: {error}"))),
            }
        };
        self.hash.update(&buffer[..count]);
        self.at += count as u64;
        self.left -= count as u64;
        let ended = self.left == 0;
        let longer = || {
            self.file
                .read_at(&mut [0], self.at)
                .is_ok_and(|more| more > 0)
        };
        let grown = ended && self.whole && longer();
        let differs = ended && hex(&self.hash.clone().finalize()) != self.expected;
        if count == 0 || grown || differs {
            return Err(self.fail("changed since hashed: run hash-files again".into()));
        }
        Ok(count)
    }
}

/// In what a file, followed through links, differs from this content; the inner nothing when it does
/// not, the outer one when it cannot be read.
pub fn differs(path: &Path, content: &Content) -> Option<Option<String>> {
    let (file, length) = open(path).ok()?;
    if length != content.size() {
        return Some(Some(format!(
            "a file of {length} bytes, not {}",
            content.size()
        )));
    }
    sha1_of(file, length)
        .ok()
        .map(|sha1| other_bytes(&sha1, content))
}

/// What to say of bytes of the right length with this SHA-1.
pub fn other_bytes(sha1: &str, content: &Content) -> Option<String> {
    let expected = content.sha1();
    (sha1 != expected).then(|| format!("other bytes, SHA-1 {sha1}, not {expected}"))
}

/// The SHA-1 of the next `length` bytes.
///
/// # Errors
/// There are fewer or more, or they cannot be read.
pub fn sha1_of(mut bytes: impl Read, length: u64) -> io::Result<String> {
    let (mut hash, mut count, mut buffer) = (Sha1::new(), 0, vec![0; 64 << 10]);
    while count <= length {
        match bytes.read(&mut buffer) {
            Ok(0) if count == length => return Ok(hex(&hash.finalize())),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                count += read as u64;
                hash.update(&buffer[..read]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("more bytes than it says"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::origin::Member;

    /// What is read of `hashed` when a file now holds `bytes`, from `offset` on if it is an archive.
    fn guarded(bytes: &[u8], hashed: &[u8], offset: Option<u64>) -> Result<Vec<u8>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let content = Content::new(&hex(&Sha1::digest(hashed)), hashed.len() as u64).unwrap();
        let origin = Origin {
            file: file.path().into(),
            member: offset.map(|offset| Member {
                name: "../m.epub".into(),
                offset,
            }),
        };
        let mut file = Guarded::open(&origin, &content).map_err(|f| f.to_string())?;
        let (mut out, mut buffer) = (Vec::new(), [0; 7]);
        while file.left > 0 {
            let count = file.read(&mut buffer).map_err(|e| e.to_string())?;
            out.extend_from_slice(&buffer[..count]);
        }
        Ok(out)
    }

    #[test]
    fn the_last_bytes_are_held_back_until_the_hash_is_right() {
        let whole = |bytes, hashed| guarded(bytes, hashed, None);
        assert_eq!(whole(b"0123456789", b"0123456789").unwrap(), b"0123456789");
        let changed = whole(b"X123456789", b"0123456789").unwrap_err();
        assert!(changed.contains("changed since hashed"));
        let longer = whole(b"0123456789+", b"0123456789").unwrap_err();
        assert!(longer.contains("11 bytes, was 10"));
    }

    #[test]
    fn a_member_is_what_stands_at_its_place_and_nothing_else() {
        let archive = b"header 0123456789 padding";
        assert_eq!(
            guarded(archive, b"0123456789", Some(7)).unwrap(),
            b"0123456789"
        );
        assert_eq!(
            guarded(b"0123456789", b"0123456789", Some(0)).unwrap(),
            b"0123456789"
        );
        for offset in [0, 6, 8] {
            let moved = guarded(archive, b"0123456789", Some(offset)).unwrap_err();
            assert!(moved.contains("run hash-files again"), "{moved}");
        }
        for offset in [16, u64::MAX - 3, u64::MAX / 2] {
            let beyond = guarded(archive, b"0123456789", Some(offset)).unwrap_err();
            assert!(beyond.contains("not in the archive of 25"), "{beyond}");
        }
    }
}
