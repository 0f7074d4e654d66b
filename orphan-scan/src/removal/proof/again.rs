//! What others can change at any time, asked once more: directly before a file goes, and after its batch.

use std::ffi::OsStr;

use hash_files::Stamp;

use super::{Case, Prover, Reading};
use crate::removal::{
    proof::{Answer, Answers, Decision, Question, may_remove},
    server::SourceRow,
    tree::OpenFile,
};

/// A file that was moved away, as it was.
#[derive(Clone, Copy, Debug)]
pub struct Away<'f> {
    /// What it was in its place.
    pub stamp: &'f Stamp,
    /// Its SHA-1.
    pub sha1: Option<&'f str>,
    /// The folders that it was in, where they are known.
    pub folders: Option<&'f [(u64, u64)]>,
}

impl Prover<'_> {
    /// Directly before the file goes: all of the proof that may have become untrue since, for to announce
    /// the removal took as long as a disk may take.
    pub fn once_more(
        &mut self,
        case: &Case<'_>,
        open: &OpenFile,
        sha1: &str,
        answers: &mut Answers,
    ) -> Decision {
        answers.forget(&Question::OTHERS);
        // What is asked first is the oldest when the file goes, so first what takes longest.
        let asked = self.ask_server(case, answers, open, sha1, Reading::Once);
        if asked.is_some() {
            answers.note(Question::Row, self.row(case));
            answers.note(Question::NoHeal, self.heal(case));
            answers.note(Question::CalibreAway, self.calibre());
        }
        may_remove(case.file.class, answers)
    }

    /// After its batch: is all that others can change still so? The links must have been listed, and
    /// [`Prover::begin`] and [`Prover::read_rows`] called with this file.
    pub fn afterwards(&mut self, case: &Case<'_>, away: Away<'_>) -> Answers {
        let mut answers = Answers::default();
        let name = case.file.relative.file_name().unwrap_or_default();
        let rows = away.sha1.and_then(|sha1| self.read.get(sha1));
        let rows = rows.cloned().unwrap_or_default();
        let no_link = match self.may_be_linked(case.file.class, &rows) {
            Some(why) => Answer::Unknown(why),
            None => self.links_say(away, name),
        };
        answers.note(Question::NoLink, no_link);
        answers.note(Question::Row, self.row(case));
        answers.note(Question::NoHeal, self.heal(case));
        // What is not there in a store that cannot be listed may be in one that is not mounted.
        if let (Some(sha1), Ok(_), None) = (away.sha1, &self.links, &self.down) {
            self.ask_copy(case, &mut answers, &rows, away.stamp, sha1, Reading::Once);
        }
        answers
    }

    fn links_say(&self, away: Away<'_>, name: &OsStr) -> Answer {
        match away.folders {
            Some(folders) => self.none_leads_to(away.stamp, folders, name),
            None => Answer::Unknown("its folder cannot be looked at".into()),
        }
    }

    /// Has one of these rows the bytes in a file of its own? Says whether to ask on.
    pub(super) fn ask_copy(
        &mut self,
        case: &Case<'_>,
        answers: &mut Answers,
        rows: &[SourceRow],
        file: &Stamp,
        sha1: &str,
        reading: Reading,
    ) -> Option<()> {
        let same: Vec<&SourceRow> = rows
            .iter()
            .filter(|row| row.sha1 == sha1 && u64::try_from(row.size) == Ok(file.size))
            .collect();
        let answer = match same.as_slice() {
            [] => Answer::No("the server has no row with its sha1 and size".into()),
            [row, ..] => Answer::Yes(format!("the server's source {}", row.id)),
        };
        let has_row = answers.note(Question::Server, answer);
        if !has_row && Question::Server.concerns(case.file.class) {
            return None;
        }
        let stored = self.stored(&same, file, sha1, reading);
        let is_stored = answers.note(Question::Stored, stored);
        (is_stored || !Question::Stored.concerns(case.file.class)).then_some(())
    }
}
