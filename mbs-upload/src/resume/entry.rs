//! One line of a journal.

use std::borrow::Cow;

use serde::Deserialize;

use crate::{known::Content, resume::refusal_rule::RefusalRule};

/// Any line of a journal, as far as it is understood.
#[derive(Deserialize)]
pub(super) struct JournalLine<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Text<'a>,
    #[serde(borrow)]
    pub(super) sha1: Option<Text<'a>>,
    pub(super) size: Option<u64>,
    #[serde(borrow)]
    pub(super) step: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) outcome: Option<Text<'a>>,
    pub(super) at: Option<String>,
    pub(super) anchors: Option<Vec<String>>,
    pub(super) new_server: Option<bool>,
    pub(super) format: Option<String>,
    pub(super) file: Option<String>,
    pub(super) since: Option<i64>,
    pub(super) upload_id: Option<i64>,
    pub(super) ebook_id: Option<i64>,
    pub(super) source_id: Option<i64>,
    pub(super) made: Option<bool>,
    pub(super) refused: Option<String>,
    pub(super) refused_size: Option<u64>,
    pub(super) languages: Option<Vec<String>>,
    pub(super) server_languages: Option<Vec<String>>,
    pub(super) default_language: Option<String>,
    pub(super) notes: Option<Vec<String>>,
    pub(super) book_id: Option<i64>,
    pub(super) uuid: Option<String>,
}

/// A string that is borrowed where JSON's form of it is the string itself.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl JournalLine<'_> {
    /// Which content it is about.
    pub(super) fn content(&self) -> Option<Content> {
        Content::new(&self.sha1.as_ref()?.0, self.size?)
    }

    /// On what terms it was refused, where these may change.
    pub(super) fn terms(&self) -> Option<RefusalRule> {
        Some(match self.refused.as_deref()? {
            "size" => RefusalRule::Size(self.refused_size?),
            "format" => RefusalRule::Format(self.format.clone()?),
            "engine" => RefusalRule::Engine(self.format.clone()?),
            "language" => RefusalRule::Language {
                book: self.languages.clone()?,
                server: self.server_languages.clone()?,
                default: self.default_language.clone(),
            },
            _ => return None,
        })
    }
}
