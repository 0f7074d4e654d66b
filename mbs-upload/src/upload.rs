//! Sending a file's bytes: a multipart form of exact length, the bytes hashed on the way out. Only
//! the bytes that the record stands for arrive; when they differ, the form is never finished and
//! the server keeps nothing.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use serde_json::Value;
use sha1::{Digest, Sha1};

use crate::{api::Api, check, failure::Failure, http::Stream, known::Content};

/// A larger file is announced first, so that a proxy's 413 comes before the bytes and not instead of
/// an answer, on a connection that breaks while we write.
const ASK_FIRST: u64 = 1 << 20;

/// A form around one file.
#[derive(Debug)]
pub struct Form {
    boundary: String,
    head: Vec<u8>,
    tail: Vec<u8>,
}

/// The name that a file gets on the way: ASCII and with the right extension, since the server makes
/// the stored name of it and drops what is not ASCII, extension and all.
pub fn made_up_name(content: &Content) -> String {
    content.sha1()[..16].to_string()
}

impl Form {
    /// For a file of this content and extension; `nonce` must not be guessable from the file.
    pub fn new(content: &Content, extension: &str, nonce: &str) -> Form {
        let boundary = format!("----mbs-upload-{nonce}");
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}.{extension}\"\r\n\
             Content-Type: {}\r\n\r\n",
            made_up_name(content),
            check::mime_type(extension)
        );
        let tail = format!("\r\n--{boundary}--\r\n");
        Form {
            boundary,
            head: head.into(),
            tail: tail.into(),
        }
    }

    /// Length of the whole body around a file of `size` bytes.
    pub fn length(&self, size: u64) -> u64 {
        (self.head.len() + self.tail.len()) as u64 + size
    }

    /// Sends the file at `path`; gives the name that the server stored it under. `ask_first`
    /// announces it before the bytes; `sent` is told the bytes as they go.
    ///
    /// # Errors
    /// [`Failure::Local`] when the file is not what `content` says; else as [`Api::stream`].
    pub fn send(
        &self,
        api: &Api,
        path: &Path,
        content: &Content,
        ask_first: bool,
        sent: &dyn Fn(u64),
    ) -> Result<String, Failure> {
        let kind = format!("multipart/form-data; boundary={}", self.boundary);
        let mut broken = None;
        let answer = api.stream("/api/upload", |send| {
            let mut bytes = Guarded::open(path, content)?;
            bytes.before = self.head.clone();
            let mut body = Body {
                bytes,
                tail: &self.tail,
                sent,
            };
            let result = send(Stream {
                kind: &kind,
                length: self.length(content.size()),
                ask_first: ask_first || content.size() > ASK_FIRST,
                bytes: &mut body,
            });
            broken = body.bytes.broken.take();
            result
        });
        if let Some(reason) = broken {
            return Err(Failure::Local(reason));
        }
        let answer = answer?;
        let file = answer.get("file").and_then(Value::as_str);
        file.map(String::from)
            .ok_or_else(|| Failure::Server("upload: the answer names no file".into()))
    }
}

/// Opens a file without waiting for the writer of a FIFO, and without changing the file's times
/// where we may.
fn open(path: &Path) -> Result<File, String> {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)
        .map_err(|error| format!("open: {error}"))?;
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(file),
        Ok(_) => Err("open: not a regular file".into()),
        Err(error) => Err(format!("stat: {error}")),
    }
}

/// Looks whether the file is there and as long as it was when hashed.
///
/// # Errors
/// [`Failure::Local`].
pub fn look(path: &Path, content: &Content) -> Result<(), Failure> {
    Guarded::open(path, content).map(|_| ())
}

/// A file's bytes that turn into an error before the last of them, when they are not those that
/// were hashed.
struct Guarded {
    file: File,
    before: Vec<u8>,
    left: u64,
    hash: Sha1,
    expected: String,
    broken: Option<String>,
}

impl Guarded {
    fn open(path: &Path, content: &Content) -> Result<Guarded, Failure> {
        let file = open(path).map_err(Failure::Local)?;
        let size = file
            .metadata()
            .map_err(|error| Failure::Local(format!("stat: {error}")))?
            .len();
        if size != content.size() {
            return Err(Failure::Local(format!(
                "changed since hashed: {size} bytes, was {}; run hash-files again",
                content.size()
            )));
        }
        Ok(Guarded {
            file,
            before: Vec::new(),
            left: size,
            hash: Sha1::new(),
            expected: content.sha1(),
            broken: None,
        })
    }

    fn fail(&mut self, reason: String) -> io::Error {
        let error = io::Error::other(reason.clone());
        self.broken = Some(reason);
        error
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = loop {
            match self.file.read(&mut buffer[..most]) {
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.fail(format!("read: {error}"))),
            }
        };
        self.hash.update(&buffer[..count]);
        self.left -= count as u64;
        let ended = self.left == 0;
        let grown = ended && self.file.read(&mut [0]).is_ok_and(|more| more > 0);
        let differs = ended && hex(&self.hash.clone().finalize()) != self.expected;
        if count == 0 || grown || differs {
            return Err(self.fail("changed since hashed: run hash-files again".into()));
        }
        Ok(count)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Body<'a> {
    bytes: Guarded,
    tail: &'a [u8],
    sent: &'a dyn Fn(u64),
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if !self.bytes.before.is_empty() {
            let count = self.bytes.before.len().min(buffer.len());
            buffer[..count].copy_from_slice(&self.bytes.before[..count]);
            self.bytes.before.drain(..count);
            return Ok(count);
        }
        if self.bytes.left > 0 {
            let count = self.bytes.read(buffer)?;
            (self.sent)(count as u64);
            return Ok(count);
        }
        self.tail.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guarded(bytes: &[u8], hashed: &[u8]) -> Result<Vec<u8>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let content = Content::new(&hex(&Sha1::digest(hashed)), hashed.len() as u64).unwrap();
        let mut file = Guarded::open(file.path(), &content).map_err(|f| f.to_string())?;
        let (mut out, mut buffer) = (Vec::new(), [0; 7]);
        while file.left > 0 {
            let count = file.read(&mut buffer).map_err(|e| e.to_string())?;
            out.extend_from_slice(&buffer[..count]);
        }
        Ok(out)
    }

    #[test]
    fn the_last_bytes_are_held_back_until_the_hash_is_right() {
        assert_eq!(
            guarded(b"0123456789", b"0123456789").unwrap(),
            b"0123456789"
        );
        let changed = guarded(b"X123456789", b"0123456789").unwrap_err();
        assert!(changed.contains("changed since hashed"));
        let longer = guarded(b"0123456789+", b"0123456789").unwrap_err();
        assert!(longer.contains("11 bytes, was 10"));
    }

    #[test]
    fn the_form_is_as_long_as_it_says() {
        let content = Content::new(&"a".repeat(40), 10).unwrap();
        let form = Form::new(&content, "epub", "n0");
        let head = String::from_utf8(form.head.clone()).unwrap();
        assert!(head.contains(
            "filename=\"aaaaaaaaaaaaaaaa.epub\"\r\nContent-Type: application/epub+zip\r\n\r\n"
        ));
        assert_eq!(
            form.length(10),
            (form.head.len() + 10 + form.tail.len()) as u64
        );
    }
}
