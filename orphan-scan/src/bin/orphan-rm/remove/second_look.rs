//! The second look: after a batch all links of the store are listed again, Calibre's records and the
//! server's rows and files asked once more, and what should not have gone by now is put back.

use orphan_scan::removal::{
    forget::{self, COMMANDS, Forget},
    outcome::{FileOutcome, Outcome},
    proof::{Answer, Away, Reason, was_right},
};

use super::{Moved, Run};

/// Files of which the databases are asked at once.
const TOGETHER: usize = 1000;

/// What becomes of a file that was moved, after the second look at it.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// It stays where it is.
    Away,
    /// So it does, but the second look is still to come.
    Unseen,
    /// It is put back, and why.
    Back(String),
}

/// Decides. Where there could be no second look (`unseen`), what is not known undoes nothing that was
/// proven; but what is known to be wrong does.
fn fate(answer: Answer, unseen: bool) -> Fate {
    match answer {
        Answer::Yes(_) => Fate::Away,
        Answer::Unknown(_) if unseen => Fate::Unseen,
        Answer::No(why) | Answer::Unknown(why) => Fate::Back(why),
    }
}

impl Run<'_, '_> {
    /// Looks again at all that was moved, and puts back what one of the answers wants in its place. `seq` is the number
    /// of the last file before the batch.
    ///
    /// # Errors
    /// The journal cannot be written, or stdout is closed.
    pub(super) fn look_again(&mut self, moved: Vec<Moved>, seq: u64) -> anyhow::Result<()> {
        if moved.is_empty() {
            // What was begun and not done has its record; the run goes on.
            return match self.mover.as_mut().filter(|to| to.seq > seq) {
                Some(mover) => Ok(mover.looked()?),
                None => Ok(()),
            };
        }
        let listed = self.prover.list_links(|| ());
        // Who asks to stop does not ask for what was proven to be undone, so a listing that the stop cut
        // short leaves it in the quarantine; a link that was found brings it back all the same.
        match &listed {
            Err(_) if wire::stop::requested() => {
                let why = "not looked at again after the last removals, for the run was stopped; \
                           orphan-restore undoes them";
                self.out.warn("store", "list links", why);
            }
            Err(why) => self.out.warn("store", "list links", why),
            Ok(_) => {}
        }
        self.decide(moved, None)
    }

    /// By the links as they were listed last, Calibre's records and the server's rows. `unseen` says why
    /// there may be no answers; then what has none stays in the quarantine.
    pub(super) fn decide(&mut self, moved: Vec<Moved>, unseen: Option<&str>) -> anyhow::Result<()> {
        // No outcome is written before it is on disk. What cannot be synced is looked at all the same.
        let synced = self.mover.as_ref().map(|to| to.journal.sync());
        let mut moved = moved.into_iter().peekable();
        let mut seen = true;
        let mut ended = synced.unwrap_or(Ok(())).map_err(Into::into);
        while moved.peek().is_some() {
            let some: Vec<Moved> = moved.by_ref().take(TOGETHER).collect();
            let done = self.decide_some(some, unseen);
            seen &= matches!(done, Ok(true));
            // The first error is the one to tell.
            ended = ended.and(done.map(|_| ()));
        }
        ended?;
        if let (Some(mover), true) = (&mut self.mover, seen) {
            mover.looked()?;
        }
        Ok(())
    }

    /// Was all of it seen?
    fn decide_some(&mut self, moved: Vec<Moved>, unseen: Option<&str>) -> anyhow::Result<bool> {
        self.prover.read_rows(moved.iter().map(|moved| &moved.file));
        let mut tidy = Vec::new();
        let mut written = Ok(());
        let mut seen = true;
        for moved in moved {
            let Some(mover) = &mut self.mover else {
                continue;
            };
            let answers = self.prover.afterwards(
                &moved.case(&mover.trash.tree),
                Away {
                    stamp: &moved.stamp,
                    sha1: moved.file.identity.sha1.as_deref(),
                    folders: moved.folders.as_deref(),
                },
            );
            // Looked at now: a stop that came meanwhile may be why there was no answer.
            let stopped = wire::stop::requested().then_some("the run was stopped");
            let unseen = unseen.or(stopped);
            let fate = fate(was_right(moved.file.class, &answers), unseen.is_some());
            seen &= fate != Fate::Unseen;
            let trash = mover.trash.path_of(&moved.file.relative);
            let journal = mover.journal.path.clone();
            let (outcome, reason, in_trash) = match fate {
                Fate::Away | Fate::Unseen => {
                    tidy.extend(Forget::of(&moved.file));
                    // One of an earlier life of this run that was not found again has had its record.
                    if moved.record.is_none() {
                        continue;
                    }
                    let why = match (&fate, unseen) {
                        (Fate::Unseen, Some(why)) => {
                            format!("{}, but it was not looked at again: {why}", moved.why)
                        }
                        _ => moved.why.clone(),
                    };
                    (Outcome::Removed, Reason::new("", why), true)
                }
                Fate::Back(ref why) => {
                    let (back, noted) = mover.put_back(&self.prover, &moved, why);
                    written = written.and(noted.map_err(anyhow::Error::from));
                    match back {
                        Ok(()) => {
                            let why = format!("put back: {why}");
                            let kind = "put back after the second look";
                            (Outcome::Kept, Reason::new(kind, why), false)
                        }
                        Err(failed) => {
                            let why = format!(
                                "{why}, but it could not be put back: {failed}; see orphan-restore"
                            );
                            let kind = "moved, and could not be put back";
                            (Outcome::Failed, Reason::new(kind, why), true)
                        }
                    }
                }
            };
            let end = FileOutcome {
                file: &moved.file,
                outcome,
                reason,
                proof: moved.proof.clone(),
                trash: in_trash.then_some(&*trash),
                journal: Some(&journal),
                input: moved.record.as_ref(),
            };
            // That nobody hears of the first is no reason to leave the last where it is not meant to be.
            match written {
                Ok(()) => written = end.write(self.out, &mut self.stats).map_err(Into::into),
                Err(_) => self.stats.count(&end),
            }
        }
        self.write_commands(&tidy);
        written?;
        Ok(seen)
    }

    /// The commands that make Calibre forget what is gone.
    fn write_commands(&self, gone: &[Forget]) {
        let Some(mover) = self.mover.as_ref().filter(|_| !gone.is_empty()) else {
            return;
        };
        let run = &mover.trash.folder;
        if let Err(error) = forget::add(run, &self.prover.tree.path, gone) {
            let shown = run.join(COMMANDS).display().to_string();
            self.out.warn(&shown, "write", &error.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_at_the_second_look_puts_a_file_back() {
        let unknown = || Answer::Unknown("u".into());
        assert_eq!(fate(unknown(), false), Fate::Back("u".into()));
        // Who asks to stop does not ask for what was proven to be undone.
        assert_eq!(fate(unknown(), true), Fate::Unseen);
        for unseen in [false, true] {
            assert_eq!(fate(Answer::No("n".into()), unseen), Fate::Back("n".into()));
            assert_eq!(fate(Answer::Yes("y".into()), unseen), Fate::Away);
        }
    }
}
