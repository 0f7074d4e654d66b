//! Is this the server that the journal is about, and has it still all that the journal says? It has no name
//! of its own, and its address may change. What it cannot lose is what we gave it: files that the journal
//! says it has are rows of its ebooks, by ids that another server, or an emptied one, gave to other
//! files. Of these a few are asked for. Where one is not there, what was done around it is in unconfirmed:
//! after the newest that is there, where the server was set back to a backup; or in the middle.

use std::ops::Range;

use wire::{Exit, Fatal, Line, records::Journal};

use crate::{
    known::samples::{Sampled, doubtful},
    model::failure::Failure,
    resume::{
        done::{Done, Place},
        now,
        past::{Part, Past},
        server::Server,
    },
};

/// Ebooks of the server that a header names: for journals of runs that had nothing to send.
const NAMED: usize = 3;

/// Why a journal cannot be used with this server.
#[derive(Debug)]
pub enum Mismatch {
    /// It is another one, or was emptied; the reason.
    Other(String),
    /// Nobody knows: it did not answer.
    Unknown(Failure),
}

impl Mismatch {
    /// The end of the run, for a journal of this name.
    pub fn fatal(self, journal: &str) -> Fatal {
        match self {
            Mismatch::Other(why) => Fatal::new(
                Exit::Refused,
                format!(
                    "{journal}: compare with the server: {why}; it is another server, or has been \
                     emptied: if so, --new-server sends it everything"
                ),
            ),
            Mismatch::Unknown(failure) => Fatal::new(
                Exit::GaveUp,
                format!("{journal}: compare with the server: {failure}"),
            ),
        }
    }
}

impl From<Failure> for Mismatch {
    fn from(failure: Failure) -> Mismatch {
        Mismatch::Unknown(failure)
    }
}

/// What came of asking a server for samples of what it must have.
#[derive(Debug, Default)]
pub struct Compared {
    /// How many it was asked for.
    pub asked: usize,
    /// How many of these are not there.
    pub missing: usize,
    /// Where the journal is not to be believed.
    pub doubtful: Vec<Range<Place>>,
}

/// Asks the server for some of what it must have.
///
/// # Errors
/// It has none of it, or did not answer.
pub fn compare(past: &Past, server: &dyn Server) -> Result<Compared, Mismatch> {
    let mut compared = Compared::default();
    for part in &past.parts {
        know(part, &past.done, server, &mut compared)?;
    }
    Ok(compared)
}

fn know(
    part: &Part,
    done: &Done,
    server: &dyn Server,
    compared: &mut Compared,
) -> Result<(), Mismatch> {
    let sampled = |from, at, there| Sampled { from, at, there };
    // Of what had to be sent a second time, the first place is of no interest any more.
    let sent = part.sent.kept();
    let sent = sent.filter(|s| done.is_newest(&s.content, s.at));
    let sent = sent.map(|s| {
        let there = server.has(&s.content, Some((s.ebook, s.source)))?;
        Ok(sampled(s.from, s.at, there))
    });
    let sent = sent.collect::<Result<Vec<_>, Failure>>()?;
    let had = part.had.kept();
    let had = had.filter(|(content, at)| done.is_newest(content, *at));
    let had = had.map(|(content, at)| {
        let there = server.has(content, None)?;
        Ok(sampled(*at, *at, there))
    });
    let had = had.collect::<Result<Vec<_>, Failure>>()?;
    if !sent.iter().any(|sample| sample.there) {
        match (part.anchors.as_slice(), sent.len()) {
            ([], 0) => mostly(&had)?,
            ([], all) => {
                let why = format!("of the files that were sent, none of {all} is there");
                return Err(Mismatch::Other(why));
            }
            (anchors, _) => some(anchors, server)?,
        }
    }
    for samples in [sent, had] {
        compared.asked += samples.len();
        compared.missing += samples.iter().filter(|sample| !sample.there).count();
        let all = part.lines.clone();
        compared.doubtful.extend(doubtful(&samples, all));
    }
    Ok(())
}

/// The newest is there, or at least interrupted of all: of files that others brought, another server may have
/// some, too.
fn mostly(had: &[Sampled]) -> Result<(), Mismatch> {
    let found = had.iter().filter(|sample| sample.there).count();
    let newest = had.last().is_none_or(|sample| sample.there);
    if newest || found * 2 >= had.len() {
        return Ok(());
    }
    let (all, missing) = (had.len(), had.len() - found);
    let why = format!("of the files that it had, {missing} of {all} are not there");
    Err(Mismatch::Other(why))
}

/// One of the ebooks that it had at first is there.
fn some(anchors: &[String], server: &dyn Server) -> Result<(), Mismatch> {
    for named in anchors {
        let id = named.split(' ').next().and_then(|id| id.parse().ok());
        if let Some(id) = id
            && name(server, id)?.as_ref() == Some(named)
        {
            return Ok(());
        }
    }
    let all = anchors.len();
    let why = format!("of the ebooks that it had at first, none of {all} is there");
    Err(Mismatch::Other(why))
}

/// The header for this server. `again`: what stands before it is about another one.
pub fn head(server: &dyn Server, again: bool) -> Result<Line, Mismatch> {
    let mut anchors = Vec::new();
    for ebook in server.some_ebooks(NAMED)? {
        anchors.extend(name(server, ebook)?);
    }
    Ok(Line::of(&Journal {
        tool: env!("CARGO_PKG_NAME").into(),
        version: env!("CARGO_PKG_VERSION").into(),
        at: now(),
        api: server.address().into(),
        user_id: server.user_id(),
        anchors,
        new_server: again.then_some(true),
    }))
}

/// An ebook with the time of its making, which an ebook of the same id elsewhere does not share.
fn name(server: &dyn Server, id: i64) -> Result<Option<String>, Failure> {
    let created = server.created(id)?;
    Ok(created.map(|created| format!("{id} {created}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(there: &[bool]) -> bool {
        let sampled = |&there| Sampled {
            from: 0,
            at: 0,
            there,
        };
        mostly(&there.iter().map(sampled).collect::<Vec<_>>()).is_ok()
    }

    #[test]
    fn of_what_others_brought_the_newest_or_half_is_there() {
        assert!(passes(&[]) && passes(&[true]) && passes(&[false, false, true]));
        assert!(!passes(&[false]));
        assert!(passes(&[true, false]) && passes(&[true, true, false]));
        assert!(!passes(&[true, false, false]));
        assert!(!passes(&[false; 16]));
    }
}
