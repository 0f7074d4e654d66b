//! What a journal tells of earlier runs, read as a stream and kept small: 34 bytes for a content
//! that is done.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io::{self, BufRead},
    ops::Range,
};

use wire::journal::{Entry, Reader};

use crate::{
    known::{Content, samples::Samples},
    model::owners::{Owner, Owners},
    resume::{
        done::{Done, Place},
        entry::JournalLine,
        interrupted::Interrupted,
        refusal_rule::RefusalRule,
    },
};

/// No line of a journal is longer; only two paths of the longest kind could make it so.
pub(super) const LONGEST_LINE: usize = 64 << 10;

/// What earlier runs did.
#[derive(Debug, Default)]
pub struct Past {
    /// Contents that the server has, as far as it still has them.
    pub(super) done: Done,
    /// Refusals that hold on their terms, by number.
    pub refused: HashSet<u64>,
    /// The smallest size that the server refused.
    pub smallest: Option<u64>,
    /// Extensions that it refused.
    pub formats: BTreeSet<String>,
    /// Files whose way was cut short.
    pub interrupted: HashMap<Content, Interrupted>,
    /// Whose the ebooks are.
    pub owners: Owners,
    /// One for each header.
    pub parts: Vec<Part>,
    /// The newest row of the server's table `upload` that was heard of.
    pub newest_upload: i64,
    /// Lines that could not be read.
    pub unusable: u64,
}

/// A header and what is known of its server.
#[derive(Debug, Default)]
pub struct Part {
    /// Ebooks that it had at first, as `ID CREATED`.
    pub anchors: Vec<String>,
    /// Where its lines are.
    pub lines: Range<Place>,
    /// Some of the files that were sent to it.
    pub sent: Samples<Sent>,
    /// Some of those that it had already.
    pub had: Samples<(Content, Place)>,
}

/// A file that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its identity.
    pub content: Content,
    /// The ebook that it went to.
    pub ebook: i64,
    /// Its row there.
    pub source: i64,
    /// Where its way begins.
    pub from: Place,
    /// Where it ends.
    pub at: Place,
}

/// What is wrong with a file that is no journal.
pub const NO_JOURNAL: &str = "this is no journal: it does not begin with a journal record";

impl Past {
    /// Reads a journal.
    ///
    /// # Errors
    /// It cannot be read, or (as invalid data) it is none.
    pub fn read(input: impl BufRead) -> io::Result<Past> {
        let mut past = Past::default();
        let mut reader = Reader::new(input);
        let no_journal = || io::Error::new(io::ErrorKind::InvalidData, NO_JOURNAL);
        while let Some(Entry { at, text, .. }) = reader.next_entry()? {
            let text = text.ok();
            match text.and_then(|text| serde_json::from_slice::<JournalLine<'_>>(text).ok()) {
                Some(line) if past.parts.is_empty() && line.kind.0 != "journal" => {
                    return Err(no_journal());
                }
                Some(line) => past.take(line, at),
                None => past.unusable += 1,
            }
        }
        if past.parts.is_empty() && past.unusable > 0 {
            return Err(no_journal());
        }
        past.done.sort();
        if let Some(part) = past.parts.last_mut() {
            part.lines.end = Place::MAX;
        }
        Ok(past)
    }

    fn take(&mut self, entry: JournalLine<'_>, at: Place) {
        match entry.kind.0.as_ref() {
            "journal" => {
                if entry.new_server == Some(true) {
                    *self = Past {
                        unusable: self.unusable,
                        ..Past::default()
                    };
                }
                if let Some(before) = self.parts.last_mut() {
                    before.lines.end = at;
                }
                self.parts.push(Part {
                    anchors: entry.anchors.unwrap_or_default(),
                    lines: at..Place::MAX,
                    ..Part::default()
                });
            }
            "journal_step" => {
                if let Some(content) = entry.content() {
                    self.step(content, entry, at);
                }
            }
            "journal_end" => {
                if let Some(content) = entry.content() {
                    self.end(content, entry, at);
                }
            }
            _ => {}
        }
    }

    fn step(&mut self, content: Content, entry: JournalLine<'_>, place: Place) {
        self.newest_upload = self
            .newest_upload
            .max(entry.upload_id.or(entry.since).unwrap_or(0));
        let step = entry.step.as_ref().map_or("", |step| step.0.as_ref());
        let at = entry.at.as_deref().and_then(|at| at.parse().ok());
        match step {
            "cleared" => {
                if let Some(interrupted) = self.interrupted.get_mut(&content) {
                    interrupted.close();
                }
                return;
            }
            // Of older versions, which looked for ebooks that were made twice.
            "doubtful" | "settled" => return,
            _ => {}
        }
        let interrupted = self.interrupted.entry(content).or_default();
        interrupted.at = at;
        interrupted.from.get_or_insert(place);
        match step {
            "claimed" => interrupted.format = entry.format.unwrap_or_default(),
            "sent" => interrupted.file = entry.file.map(|file| (file, entry.since.unwrap_or(0))),
            "row" => interrupted.upload = entry.upload_id,
            "making" => (interrupted.making, interrupted.adding) = (true, None),
            "adding" => {
                interrupted.making = false;
                interrupted.adding = entry.ebook_id.map(|id| (id, entry.made == Some(true)));
                interrupted.owner = Owner::new(entry.book_id, entry.uuid.as_deref());
                interrupted.notes = entry.notes.unwrap_or_default();
            }
            _ => {}
        }
    }

    fn end(&mut self, content: Content, entry: JournalLine<'_>, at: Place) {
        let outcome = entry.outcome.as_ref().map_or("", |outcome| &outcome.0);
        let part = self.parts.last_mut();
        let interrupted = self.interrupted.remove(&content);
        if let (Some(interrupted), "uploaded") = (&interrupted, outcome)
            && let Some((ebook, made)) = interrupted.adding
        {
            self.owners.put(ebook, interrupted.owner, made);
        }
        match outcome {
            "uploaded" | "duplicate" => {
                self.done.push(content, at);
                let ids = entry.ebook_id.zip(entry.source_id);
                match (part, ids.filter(|_| outcome == "uploaded")) {
                    (Some(part), Some((ebook, source))) => part.sent.push(Sent {
                        content,
                        ebook,
                        source,
                        from: interrupted
                            .as_ref()
                            .and_then(|interrupted| interrupted.from)
                            .unwrap_or(at),
                        at,
                    }),
                    (Some(part), None) => part.had.push((content, at)),
                    (None, _) => {}
                }
            }
            "too_big" | "unsupported" => {
                if let Some(terms) = entry.terms() {
                    match &terms {
                        RefusalRule::Size(size) => {
                            self.smallest = Some(self.smallest.map_or(*size, |s| s.min(*size)));
                        }
                        RefusalRule::Format(format) => drop(self.formats.insert(format.clone())),
                        RefusalRule::Engine(_) | RefusalRule::Language { .. } => {}
                    }
                    self.refused.insert(terms.number(&content));
                }
            }
            _ => {}
        }
    }
}
