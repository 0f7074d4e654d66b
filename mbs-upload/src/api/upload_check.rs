//! Asking the server whether it would take a file, before its bytes are sent.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU8, Ordering},
};

use serde_json::{Value, json};
use wire::secret::redact;

use crate::{
    api::Api,
    known::Content,
    model::{
        check::{CheckAnswer, Question},
        failure::Failure,
    },
};

/// Objects that the fork's batch takes at most.
pub const BATCH: usize = 200;

/// Does the server answer many questions at once? Found out by asking.
#[derive(Debug, Default)]
pub struct Batch {
    state: AtomicU8,
    /// Held while it is being found out, so that it is done once.
    probe: Mutex<()>,
}

const UNKNOWN: u8 = 0;
const HAS: u8 = 1;
const LACKS: u8 = 2;

/// Asks about one file.
pub fn one(api: &dyn Api, question: &Question) -> Result<CheckAnswer, Failure> {
    match api.post(
        "/api/upload/check",
        &body(question, question.content.size()),
    ) {
        Ok(_) => Ok(CheckAnswer::Wanted),
        Err(Failure::Said { error, .. }) => verdict(&error),
        Err(other) => Err(other),
    }
}

/// Asks whether a request body of `length` bytes, which a multipart form makes longer than the
/// file in it, is within the server's limit.
pub fn body_fits(api: &dyn Api, question: &Question, length: u64) -> Result<bool, Failure> {
    match api.post("/api/upload/check", &body(question, length)) {
        Err(Failure::Said { error, .. }) => Ok(!matches!(verdict(&error)?, CheckAnswer::TooBig(_))),
        Err(other) => Err(other),
        Ok(_) => Ok(true),
    }
}

impl Batch {
    /// May there be something to gain from asking many at once?
    pub fn may_help(&self) -> bool {
        self.state.load(Ordering::Relaxed) != LACKS
    }

    /// Is it there? Asks about a file that nobody has, unless it is known.
    pub fn is_there(&self, api: &dyn Api) -> Result<bool, Failure> {
        if let Some(content) = Content::new(&"0".repeat(40), 1) {
            let extension = "epub".into();
            self.ask(api, &[Question { content, extension }])?;
        }
        Ok(self.state.load(Ordering::Relaxed) == HAS)
    }

    /// Asks about up to [`BATCH`] files at once; nothing where the server cannot do that.
    pub fn ask(
        &self,
        api: &dyn Api,
        questions: &[Question],
    ) -> Result<Option<Vec<CheckAnswer>>, Failure> {
        let probing = (self.state.load(Ordering::Relaxed) == UNKNOWN)
            .then(|| self.probe.lock().unwrap_or_else(PoisonError::into_inner));
        if !self.may_help() || questions.is_empty() {
            return Ok(None);
        }
        let bodies = questions
            .iter()
            .map(|q| body(q, q.content.size()))
            .collect::<Vec<_>>();
        let answer = match api.post("/api/upload/check-batch", &Value::Array(bodies)) {
            Ok(answer) => answer,
            Err(Failure::NotFound(_) | Failure::Refused(_))
                if self.state.load(Ordering::Relaxed) == UNKNOWN =>
            {
                self.state.store(LACKS, Ordering::Relaxed);
                return Ok(None);
            }
            Err(other) => return Err(other),
        };
        self.state.store(HAS, Ordering::Relaxed);
        drop(probing);
        let results = answer
            .get("results")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        if results.len() != questions.len() {
            return Err(Failure::Server(format!(
                "check-batch: {} answers to {} questions",
                results.len(),
                questions.len()
            )));
        }
        Ok(Some(results.iter().map(batched).collect::<Result<_, _>>()?))
    }
}

fn batched(result: &Value) -> Result<CheckAnswer, Failure> {
    match result.get("error").and_then(Value::as_str) {
        Some(error) => verdict(error),
        None => Ok(CheckAnswer::Wanted),
    }
}

fn verdict(error: &str) -> Result<CheckAnswer, Failure> {
    Ok(match error {
        "file already exists" => CheckAnswer::Exists,
        "file too big" => CheckAnswer::TooBig(error.into()),
        other if other.starts_with("unsupported") => CheckAnswer::Unsupported(redact(other)),
        other => return Err(Failure::Refused(format!("check: {}", redact(other)))),
    })
}

fn body(question: &Question, size: u64) -> Value {
    json!({
        "mime_type": mime_type(&question.extension),
        "size": size,
        "hash": question.content.sha1(),
        "extension": question.extension,
    })
}

/// The media type under which a file is sent. The server takes a file when it knows the type *or*
/// the extension, but its engine needs the extension; so a type that the server might know is never
/// given to an extension that it may lack, above all not application/octet-stream, which it always
/// knows (chm has it).
pub fn mime_type(extension: &str) -> String {
    let known = match extension {
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "pdb" => "application/x-aportisdoc",
        "rtf" => "application/rtf",
        "doc" => "application/msword",
        "mobi" => "application/x-mobipocket-ebook",
        "epub" => "application/epub+zip",
        "djvu" => "image/vnd.djvu",
        "html" | "htm" => "text/html",
        "fb2" => "application/x-fictionbook+xml",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "azw3" => "application/x-mobi8-ebook",
        _ => return format!("application/x-extension-{extension}"),
    };
    known.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_extension_is_not_let_in_by_its_type() {
        assert_eq!(mime_type("epub"), "application/epub+zip");
        assert_eq!(mime_type("bin"), "application/x-extension-bin");
        assert_eq!(mime_type("chm"), "application/x-extension-chm");
    }

    #[test]
    fn bug_b6_each_question_has_a_hash() {
        let content = Content::new(&"a".repeat(40), 12).unwrap();
        let asked = body(
            &Question {
                content,
                extension: "epub".into(),
            },
            12,
        );
        assert_eq!(asked["hash"], "a".repeat(40));
        // An unknown key makes the server answer 500.
        assert_eq!(asked.as_object().unwrap().len(), 4);
    }

    #[test]
    fn words_are_told_apart() {
        assert_eq!(verdict("file already exists"), Ok(CheckAnswer::Exists));
        assert!(matches!(
            verdict("file too big"),
            Ok(CheckAnswer::TooBig(_))
        ));
        let lacking = verdict("unsupported file type x, extension y");
        assert!(matches!(lacking, Ok(CheckAnswer::Unsupported(_))));
        // Not final for the book: the run must say that it failed.
        assert!(verdict("Database error").is_err());
    }
}
