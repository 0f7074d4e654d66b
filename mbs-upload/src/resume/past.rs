//! What a journal tells of earlier runs, read as a stream and kept small: 34 bytes for a content
//! that is done.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io::{self, BufRead},
    ops::Range,
};

use wire::read::{LineEnd, next_line};

use crate::{
    known::{Content, samples::Samples},
    model::owners::{Owner, Owners},
    resume::{
        done::{Done, Place},
        entry::JournalLine,
        interrupted::Interrupted,
        terms::RefusalRule,
        unconfirmed::Unconfirmed,
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
    /// Ebooks that may still have been made after all; apart from the interrupted, since a file may have
    /// come to its end without them.
    pub unconfirmed: HashMap<Content, Vec<Unconfirmed>>,
    /// Whose the ebooks are.
    pub owners: Owners,
    /// One for each header.
    pub parts: Vec<Part>,
    /// The newest row of the server's table `upload` that was heard of.
    pub newest_upload: i64,
    /// Lines that could not be read.
    pub unusable: u64,
    /// The last line has no end.
    pub torn: bool,
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
        let mut line = Vec::with_capacity(1024);
        let mut input = Counted { input, at: 0 };
        loop {
            line.clear();
            let at = input.at;
            let Some(LineEnd { fits, torn, .. }) = next_line(&mut input, LONGEST_LINE, &mut line)?
            else {
                break;
            };
            past.torn = torn;
            // A torn line is that of a crash, and so are the zeros that a power cut may leave.
            let entry = serde_json::from_slice::<JournalLine<'_>>(&line).ok();
            let entry = entry.filter(|_| fits);
            match entry {
                Some(entry) => {
                    let begins = entry.kind.0 == "journal";
                    if past.parts.is_empty() && !begins {
                        return Err(io::Error::new(io::ErrorKind::InvalidData, NO_JOURNAL));
                    }
                    past.take(entry, at);
                }
                None if past.parts.is_empty() && !(fits && may_be_head(&line)) => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, NO_JOURNAL));
                }
                None => past.unusable += u64::from(!fits || !line.trim_ascii().is_empty()),
            }
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
                        torn: self.torn,
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
                // It may come after the file's end.
                if let Some(interrupted) = self.interrupted.get_mut(&content) {
                    interrupted.close();
                }
                return;
            }
            "doubtful" => {
                if let (Some(wanted), Some(at)) = (entry.wanted(), at) {
                    let wanted = *wanted;
                    let unconfirmed = self.unconfirmed.entry(content).or_default();
                    unconfirmed.push(Unconfirmed { wanted, at });
                }
                return;
            }
            "settled" => {
                self.unconfirmed.remove(&content);
                return;
            }
            _ => {}
        }
        let interrupted = self.interrupted.entry(content).or_default();
        interrupted.at = at;
        interrupted.from.get_or_insert(place);
        match step {
            "claimed" => interrupted.format = entry.format.unwrap_or_default(),
            "sent" => interrupted.file = entry.file.map(|file| (file, entry.since.unwrap_or(0))),
            "row" => (interrupted.upload, interrupted.heard) = (entry.upload_id, at),
            "making" => {
                interrupted.close();
                interrupted.making = entry.wanted();
            }
            "adding" => {
                interrupted.adding = entry.ebook_id.map(|id| (id, entry.made == Some(true)));
                interrupted.owner = Owner::new(entry.book_id, entry.uuid.as_deref());
                interrupted.notes = entry.notes.unwrap_or_default();
                interrupted.made = interrupted.making.take().or(interrupted.made.take());
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
        // An ebook that could not be cleared away is still to be looked at.
        match interrupted {
            Some(interrupted) if interrupted.has_made() && outcome != "uploaded" => {
                let rest = Interrupted {
                    file: None,
                    upload: None,
                    heard: None,
                    ..interrupted
                };
                self.interrupted.insert(content, rest);
            }
            _ => {}
        }
    }
}

/// Counts the bytes that were read.
struct Counted<R> {
    input: R,
    at: Place,
}

impl<R: BufRead> io::Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.at += read as Place;
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount as Place;
        self.input.consume(amount);
    }
}

/// May this be a header that a crash has cut short?
fn may_be_head(line: &[u8]) -> bool {
    const HEAD: &[u8] = b"{\"type\":\"journal\",";
    let length = line.len().min(HEAD.len());
    line[..length] == HEAD[..length] || line.iter().all(|&byte| byte == 0 || byte == b'\n')
}
