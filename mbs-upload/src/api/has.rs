//! Whether the server has what somebody says that it has: the journal, or a file of --known. One that was
//! set back to a backup has it no more, and another server never had it.

use std::ops::Range;

use wire::{Exit, Fatal, OrFatal, Writer};

use crate::{
    api::{
        Server, ebook,
        upload_check::{self, CheckAnswer, Question},
    },
    known::{
        Claimed, Content, Heard, Known,
        samples::{Sampled, doubtful},
    },
    model::failure::Failure,
    retry::attempt::with_retries,
};

/// Has the server this content, in this row of that ebook where they are known? By ids and size alone it
/// might be another one's, since a server that was set back gives the same ids again.
///
/// # Errors
/// It does not answer.
pub fn is_there(
    server: &Server,
    content: &Content,
    ids: Option<(i64, i64)>,
) -> Result<bool, Failure> {
    if let Some((ebook, source)) = ids {
        let ebook = with_retries(server.policy, || ebook::get(&server.api, ebook))?;
        let is_it = |s: &ebook::Source| s.id == source && s.size == content.size();
        if !ebook.is_some_and(|ebook| ebook.sources.iter().any(is_it)) {
            return Ok(false);
        }
    }
    let question = Question {
        content: *content,
        extension: "epub".into(),
    };
    let verdict = with_retries(server.policy, || upload_check::one(&server.api, &question))?;
    Ok(verdict == CheckAnswer::Exists)
}

/// Asks for some of what was heard that the server has, and believes what is not in doubt then.
///
/// # Errors
/// Gave up when the server does not answer.
pub fn believe(heard: Heard, server: &Server, out: &Writer) -> Result<Known, Fatal> {
    let mut in_doubt = Vec::new();
    for claimed in heard.claims() {
        let doubted = compare(claimed, server, out).or_fatal(
            Exit::GaveUp,
            format_args!("{}: compare with the server", claimed.file),
        )?;
        in_doubt.extend(doubted);
    }
    heard.believe(&in_doubt, out)
}

fn compare(claimed: &Claimed, server: &Server, out: &Writer) -> Result<Vec<Range<u64>>, Failure> {
    let samples = claimed.samples.kept().map(|row| {
        Ok(Sampled {
            from: row.at,
            at: row.at,
            there: is_there(server, &row.content, row.ids)?,
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
