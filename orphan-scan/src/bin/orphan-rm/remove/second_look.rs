//! The second look: after a batch all links of the store are listed again, Calibre's records and the
//! server's rows and files asked once more, and what should not have gone by now is put back.

use super::{Moved, Run};
use crate::{
    forget::{self, COMMANDS, Forget},
    proof::{Class, Reason, Told, was_right},
    prover::Away,
    report::{End, Outcome},
};

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
fn fate(told: Told, unseen: bool) -> Fate {
    match told {
        Told::Yes(_) => Fate::Away,
        Told::Unknown(_) if unseen => Fate::Unseen,
        Told::No(why) | Told::Unknown(why) => Fate::Back(why),
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
            // What was begun and not done is told; the run goes on.
            return match self.quarantine.as_mut().filter(|to| to.seq > seq) {
                Some(quarantine) => Ok(quarantine.looked()?),
                None => Ok(()),
            };
        }
        let listed = self.prover.list_links(|| ());
        // Who asks to stop does not ask for what was proven to be undone, so a listing that the stop cut
        // short leaves it in the quarantine; a link that was found brings it back all the same.
        match &listed {
            Err(_) if wire::stop::requested() => {
                let why = "not looked at again after the last removals, for the run was stopped; \
                           --restore undoes them";
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
        // Nothing is told before it is on disk. What cannot be told is looked at all the same.
        let synced = self.quarantine.as_ref().map(|to| to.journal.sync());
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
        if let (Some(quarantine), true) = (&mut self.quarantine, seen) {
            quarantine.looked()?;
        }
        Ok(())
    }

    /// Was all of it seen?
    fn decide_some(&mut self, moved: Vec<Moved>, unseen: Option<&str>) -> anyhow::Result<bool> {
        let sha1s: Vec<&str> = moved
            .iter()
            .filter_map(|moved| moved.seen.sha1.as_deref())
            .collect();
        self.prover.read_rows(&sha1s);
        let mut tidy = Vec::new();
        let mut told = Ok(());
        let mut seen = true;
        for moved in moved {
            let Some(quarantine) = &mut self.quarantine else {
                continue;
            };
            let facts = self.prover.afterwards(
                &moved.case(&quarantine.trash.tree),
                Away {
                    stamp: &moved.stamp,
                    sha1: moved.seen.sha1.as_deref(),
                    folders: moved.folders.as_deref(),
                },
            );
            // Looked at now: a stop that came meanwhile may be why there was no answer.
            let stopped = wire::stop::requested().then_some("the run was stopped");
            let unseen = unseen.or(stopped);
            let fate = fate(was_right(moved.class, &facts), unseen.is_some());
            seen &= fate != Fate::Unseen;
            let trash = quarantine.trash.path_of(&moved.relative);
            let journal = quarantine.journal.path.clone();
            let (outcome, reason, in_trash) = match fate {
                Fate::Away | Fate::Unseen => {
                    tidy.extend(moved.forget());
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
                    let (back, noted) = quarantine.put_back(&self.prover, &moved, why);
                    told = told.and(noted.map_err(anyhow::Error::from));
                    match back {
                        Ok(()) => {
                            let why = format!("put back: {why}");
                            let kind = "put back after the second look";
                            (Outcome::Kept, Reason::new(kind, why), false)
                        }
                        Err(failed) => {
                            let why = format!(
                                "{why}, but it could not be put back: {failed}; see --restore"
                            );
                            let kind = "moved, and could not be put back";
                            (Outcome::Failed, Reason::new(kind, why), true)
                        }
                    }
                }
            };
            let end = End {
                outcome,
                path: &moved.path,
                class: Some(moved.class),
                reason,
                proof: moved.proof.clone(),
                trash: in_trash.then_some(&*trash),
                journal: Some(&journal),
                size: moved.stamp.size,
                input: moved.record.as_ref(),
            };
            // That nobody hears of the first is no reason to leave the last where it is not meant to be.
            match told {
                Ok(()) => told = end.write(self.out, &mut self.tally).map_err(Into::into),
                Err(_) => self.tally.count(&end),
            }
        }
        self.write_commands(&tidy);
        told?;
        Ok(seen)
    }

    /// The commands that make Calibre forget what is gone.
    fn write_commands(&self, gone: &[Forget]) {
        let Some(quarantine) = self.quarantine.as_ref().filter(|_| !gone.is_empty()) else {
            return;
        };
        let run = &quarantine.trash.folder;
        if let Err(error) = forget::add(run, &self.prover.tree.path, gone) {
            let shown = run.join(COMMANDS).display().to_string();
            self.out.warn(&shown, "write", &error.to_string());
        }
    }
}

impl Moved {
    /// What Calibre has on record of it and should forget.
    fn forget(&self) -> Option<Forget> {
        let (book_id, format) = self.tracked.clone()?;
        let folder = self.path.parent()?.into();
        (self.class == Class::DuplicateOfServer).then_some(Forget {
            book_id,
            format,
            folder,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_at_the_second_look_puts_a_file_back() {
        let unknown = || Told::Unknown("u".into());
        assert_eq!(fate(unknown(), false), Fate::Back("u".into()));
        // Who asks to stop does not ask for what was proven to be undone.
        assert_eq!(fate(unknown(), true), Fate::Unseen);
        for unseen in [false, true] {
            assert_eq!(fate(Told::No("n".into()), unseen), Fate::Back("n".into()));
            assert_eq!(fate(Told::Yes("y".into()), unseen), Fate::Away);
        }
    }
}
