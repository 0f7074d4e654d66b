//! Sending a file's bytes: a multipart form of exact length. Only the bytes that the record stands for
//! arrive; when they differ, the form is never finished and the server keeps nothing.

use std::{
    io::{self, Read},
    time::Duration,
};

use serde_json::Value;

use crate::{
    api::{Api, http::Stream, upload_check},
    input::bytes::Guarded,
    known::Content,
    model::{failure::Failure, origin::Origin},
};

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
            upload_check::mime_type(extension)
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

    /// Sends the file; gives the name that the server stored it under. `ask_first`
    /// announces it before the bytes, `within` is the time that it may take; `sent` gets the bytes
    /// as they go.
    ///
    /// # Errors
    /// [`Failure::Local`] when the file is not what `content` says; else as [`Api::stream`].
    pub fn send(
        &self,
        api: &dyn Api,
        origin: &Origin,
        content: &Content,
        (ask_first, within): (bool, Duration),
        sent: &dyn Fn(u64),
    ) -> Result<String, Failure> {
        let kind = format!("multipart/form-data; boundary={}", self.boundary);
        let mut broken = None;
        let answer = api.stream("/api/upload", &mut |send| {
            let mut body = Body {
                head: &self.head,
                bytes: Guarded::open(origin, content)?,
                tail: &self.tail,
                sent,
            };
            let result = send(Stream {
                kind: &kind,
                length: self.length(content.size()),
                ask_first: ask_first || content.size() > ASK_FIRST,
                within,
                bytes: &mut body,
            });
            broken = body.bytes.broken();
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

struct Body<'a> {
    head: &'a [u8],
    bytes: Guarded,
    tail: &'a [u8],
    sent: &'a dyn Fn(u64),
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if !self.head.is_empty() {
            return self.head.read(buffer);
        }
        if self.bytes.left() > 0 {
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
