//! A form of files, read whole before it is taken apart: multer, axum's own reader, finds no form where the
//! bytes arrive between two of its looks at the body, and leaves the end of the body unread.

use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use memchr::memmem;

use crate::failure::Failure;

/// One part of a form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    /// Parameters of its Content-Disposition.
    pub(crate) disposition: Vec<(String, String)>,
    /// Its Content-Type, without parameters and in lower case.
    pub(crate) mime_type: String,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
}

impl Part {
    /// The parameter with this name.
    pub(crate) fn parameter(&self, key: &str) -> Option<&str> {
        let mut all = self.disposition.iter();
        all.find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }
}

/// The parts of a request's form.
pub(crate) async fn read(request: Request) -> Result<Vec<Part>, Failure> {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await;
    let body =
        body.map_err(|error| Failure::unreadable(format!("{:#}", anyhow::Error::from(error))))?;
    let kind = head.headers.get(CONTENT_TYPE);
    let kind = String::from_utf8_lossy(kind.map(|kind| kind.as_bytes()).unwrap_or_default());
    let boundary = parameters(&kind)
        .into_iter()
        .find(|(name, _)| name == "boundary");
    match boundary {
        Some((_, boundary)) if kind.starts_with("multipart/form-data") => {
            parts(&body, &boundary).ok_or_else(|| Failure::unreadable("the form has no end"))
        }
        _ => Err(Failure::unreadable("no form")),
    }
}

/// What stands between the boundaries; nothing where the last one is missing.
fn parts(body: &[u8], boundary: &str) -> Option<Vec<Part>> {
    let (first, between) = (format!("--{boundary}"), format!("\r\n--{boundary}"));
    let mut rest = &body[memmem::find(body, first.as_bytes())? + first.len()..];
    let mut parts = Vec::new();
    while !rest.starts_with(b"--") {
        let end = memmem::find(rest, between.as_bytes())?;
        parts.push(part(&rest[..end])?);
        rest = &rest[end + between.len()..];
    }
    Some(parts)
}

fn part(text: &[u8]) -> Option<Part> {
    let head = memmem::find(text, b"\r\n\r\n")?;
    let mut part = Part {
        bytes: text[head + 4..].to_vec(),
        ..Part::default()
    };
    for line in String::from_utf8_lossy(&text[..head]).split("\r\n") {
        let (name, value) = line.split_once(':').unwrap_or_default();
        match name.trim().to_lowercase().as_str() {
            "content-disposition" => part.disposition = parameters(value),
            "content-type" => {
                let kind = value.split(';').next().unwrap_or_default();
                part.mime_type = kind.trim().to_lowercase();
            }
            _ => {}
        }
    }
    Some(part)
}

/// Names and values of a header's parameters, names in lower case, quotes taken off.
fn parameters(line: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = line
        .split_once(';')
        .map_or("", |(_, rest)| rest)
        .trim_start();
    while let Some((name, tail)) = rest.split_once('=') {
        let (value, tail) = match tail.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                let end = tail.find(';').unwrap_or(tail.len());
                (tail[..end].trim().to_owned(), &tail[end..])
            }
        };
        found.push((name.trim().to_lowercase(), value));
        rest = tail.trim_start().trim_start_matches(';').trim_start();
    }
    found
}

/// The text up to the closing quote, and what follows it.
fn unquote(quoted: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::task::Poll;

    use axum::body::Body;

    use super::*;

    const FORM: &str = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.epub\"\r\n\
        Content-Type: Application/Epub+Zip\r\n\r\n1\r\n--2\r\n--b--\r\n";

    #[tokio::test]
    async fn a_form_is_whole_when_its_bytes_arrive_between_two_looks() {
        let mut looks = 0;
        let bytes = futures_util::stream::poll_fn(move |cx| {
            looks += 1;
            match looks {
                1 => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                2 => Poll::Ready(Some(Ok::<_, io::Error>(FORM))),
                _ => Poll::Ready(None),
            }
        });
        let request = Request::builder()
            .header(CONTENT_TYPE, "multipart/form-data; boundary=b")
            .body(Body::from_stream(bytes));
        let parts = read(request.unwrap()).await.unwrap();
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].parameter("filename"), Some("a.epub"));
        assert_eq!(parts[0].mime_type, "application/epub+zip");
        assert_eq!(parts[0].bytes, b"1\r\n--2");
    }

    #[test]
    fn a_form_that_is_cut_is_none() {
        for end in 0..FORM.len() - 3 {
            assert_eq!(parts(&FORM.as_bytes()[..end], "b"), None, "{end}");
        }
    }

    #[test]
    fn reads_quotes_blanks_and_raw_letters() {
        let line = "form-data; name=\"file\"; filename=\"a \\\"b\\\"; č.epub\"; filename*=utf-8''x";
        let found = parameters(line);
        assert_eq!(found[0], ("name".into(), "file".into()));
        assert_eq!(found[1], ("filename".into(), "a \"b\"; č.epub".into()));
        assert_eq!(found[2], ("filename*".into(), "utf-8''x".into()));
    }
}
