//! Whether the server has what somebody says that it has: the journal, or a file of --known. One that was
//! set back to a backup has it no more, and another server never had it.

use std::ops::Range;

use serde_json::Value;
use wire::{Exit, Fatal, OrFatal, Writer};

use crate::{
    api::{Api, ebook, upload_check},
    known::{
        Claimed, Content, Heard, Known,
        samples::{Sampled, doubtful},
    },
    model::{
        check::{CheckAnswer, Question},
        failure::Failure,
    },
    resume::server::Server,
    retry::attempt::{Policy, with_retries},
};

/// A server whose answers are waited for.
#[derive(Clone, Copy, Debug)]
pub struct Retrying<'a> {
    /// The server.
    pub api: &'a dyn Api,
    /// How often it is asked.
    pub policy: Policy,
}

impl Retrying<'_> {
    fn check(&self, content: Content, extension: &str) -> Result<CheckAnswer, Failure> {
        let question = Question {
            content,
            extension: extension.into(),
        };
        with_retries(self.policy, || upload_check::one(self.api, &question))
    }
}

impl Server for Retrying<'_> {
    fn address(&self) -> &str {
        self.api.address()
    }

    fn user_id(&self) -> Option<i64> {
        self.api.user_id()
    }

    /// By ids and size alone it might be another content, since a server that was set back gives the
    /// same ids again.
    fn has(&self, content: &Content, ids: Option<(i64, i64)>) -> Result<bool, Failure> {
        if let Some((ebook, source)) = ids {
            let ebook = with_retries(self.policy, || ebook::get(self.api, ebook))?;
            let is_it = |s: &ebook::Source| s.id == source && s.size == content.size();
            if !ebook.is_some_and(|ebook| ebook.sources.iter().any(is_it)) {
                return Ok(false);
            }
        }
        Ok(self.check(*content, "epub")? == CheckAnswer::Exists)
    }

    fn refuses(&self, size: u64, extension: &str) -> Result<bool, Failure> {
        let Some(content) = Content::new(&"0".repeat(40), size) else {
            return Ok(false);
        };
        let answer = self.check(content, extension)?;
        Ok(matches!(
            answer,
            CheckAnswer::TooBig(_) | CheckAnswer::Unsupported(_)
        ))
    }

    fn some_ebooks(&self, most: usize) -> Result<Vec<i64>, Failure> {
        let path = format!("/api/ebooks?page=1&page_size={most}");
        let list = with_retries(self.policy, || self.api.get(&path))?;
        let items = list.get("items").and_then(Value::as_array);
        let id = |item: &Value| item.get("id").and_then(Value::as_i64);
        Ok(items.into_iter().flatten().filter_map(id).collect())
    }

    fn created(&self, ebook: i64) -> Result<Option<String>, Failure> {
        let path = format!("/api/ebooks/{ebook}");
        let answer = with_retries(self.policy, || match self.api.get(&path) {
            Err(Failure::NotFound(_)) => Ok(Value::Null),
            other => other,
        })?;
        let created = answer.get("created").and_then(Value::as_str);
        Ok(created.map(String::from))
    }

    fn file_in(
        &self,
        ebook: i64,
        content: &Content,
        extension: &str,
    ) -> Result<Option<i64>, Failure> {
        let ebook = with_retries(self.policy, || ebook::get(self.api, ebook))?;
        let source = ebook.and_then(|ebook| ebook.source_like(content, extension));
        Ok(match source {
            Some(_) if self.check(*content, extension)? != CheckAnswer::Exists => None,
            other => other,
        })
    }
}

/// Asks for some of what the files of --known say that the server has, and believes the rest of those
/// that are right.
///
/// # Errors
/// Gave up when the server does not answer.
pub fn believe(heard: Heard, server: &dyn Server, out: &Writer) -> Result<Known, Fatal> {
    let mut all = Vec::new();
    for claimed in heard.claims() {
        let doubtful = compare(claimed, server, out).or_fatal(
            Exit::GaveUp,
            format_args!("{}: compare with the server", claimed.file),
        )?;
        all.extend(doubtful);
    }
    heard.believe(&all, out)
}

fn compare(
    claimed: &Claimed,
    server: &dyn Server,
    out: &Writer,
) -> Result<Vec<Range<u64>>, Failure> {
    let samples = claimed.samples.kept().map(|row| {
        Ok(Sampled {
            from: row.at,
            at: row.at,
            there: server.has(&row.content, row.ids)?,
        })
    });
    let samples = samples.collect::<Result<Vec<_>, Failure>>()?;
    let missing = samples.iter().filter(|sample| !sample.there).count();
    let doubtful = doubtful(&samples, claimed.places.clone());
    if missing > 0 {
        let all = samples.len();
        let asked: u64 = doubtful.iter().map(|range| range.end - range.start).sum();
        let message = format!(
            "of {all} of its rows, {missing} are not there: it is about another server, or about another \
             time; the server is asked about {asked} of its contents"
        );
        out.warn(&claimed.file, "compare with the server", &message);
    }
    Ok(doubtful)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::api::fake::Fake;

    const CHECK: &str = "POST /api/upload/check";

    fn said(error: &str) -> Result<Value, Failure> {
        let (error, details) = (error.into(), String::new());
        Err(Failure::Said { error, details })
    }

    fn asked<T>(server: Fake, ask: impl Fn(&dyn Server) -> T) -> T {
        let policy = Policy {
            retries: 0,
            wait: Duration::ZERO,
            longest: Duration::ZERO,
        };
        ask(&Retrying {
            api: &server,
            policy,
        })
    }

    #[test]
    fn a_file_is_there_when_its_row_and_its_bytes_are() {
        let content = Content::new(&"a".repeat(40), 9).unwrap();
        let ebook = |size: u64| json!({"sources": [{"id": 3, "size": size, "format": "epub"}]});
        let exists = || said("file already exists");
        for (size, check, there) in [
            (9, exists(), true),
            (8, exists(), false),
            (9, Ok(json!({})), false),
        ] {
            let server = || {
                let server = Fake::default().on(CHECK, check.clone());
                server.on("GET /api/ebooks/2", Ok(ebook(size)))
            };
            let has = asked(server(), |s| s.has(&content, Some((2, 3))));
            assert_eq!(has, Ok(there), "{size} {check:?}");
            let file = asked(server(), |s| s.file_in(2, &content, "epub"));
            assert_eq!(file, Ok(there.then_some(3)), "{size} {check:?}");
        }
    }

    #[test]
    fn what_is_not_known_of_a_file_is_an_error_and_no_answer() {
        let content = Content::new(&"a".repeat(40), 9).unwrap();
        let down = || Failure::Down("HTTP 500".into());
        let ebook = json!({"sources": [{"id": 3, "size": 9, "format": "epub"}]});
        for (ebook, check) in [(Err(down()), Ok(json!({}))), (Ok(ebook), Err(down()))] {
            let server = || {
                let server = Fake::default().on(CHECK, check.clone());
                server.on("GET /api/ebooks/2", ebook.clone())
            };
            let has = asked(server(), |s| s.has(&content, Some((2, 3))));
            assert_eq!(has, Err(down()));
            let file = asked(server(), |s| s.file_in(2, &content, "epub"));
            assert_eq!(file, Err(down()));
        }
    }

    #[test]
    fn sizes_and_formats_are_refused_only_when_the_server_says_so() {
        for (answer, refused) in [
            (said("file too big"), Ok(true)),
            (said("unsupported file type"), Ok(true)),
            (said("file already exists"), Ok(false)),
            (Ok(json!({})), Ok(false)),
        ] {
            let server = Fake::default().on(CHECK, answer.clone());
            assert_eq!(
                asked(server, |s| s.refuses(9, "lit")),
                refused,
                "{answer:?}"
            );
        }
    }
}
