//! The second look: after a batch all links of the store are listed again, and a file that one leads to
//! by now is put back.

use std::{fs, io::Write};

use super::{Moved, Run};
use crate::{
    confirm::tidy_up,
    proof::{Reason, Told},
    report::{End, Outcome},
};

impl Run<'_, '_> {
    /// Lists the store's links again, and puts back what one leads to, or may lead to. `seq` is the number
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
        let unseen = wire::stop::requested() && listed.is_err();
        if unseen {
            let why = "not looked at again after the last removals, for the run was stopped; \
                       --restore undoes them";
            self.out.warn("store", "list links", why);
        } else if let Err(why) = &listed {
            self.out.warn("store", "list links", why);
        }
        self.decide(moved, unseen.then_some("the run was stopped"))
    }

    /// By the links as they were listed last; or, where there was no second look, lets all stay in the
    /// quarantine, and says why it was not.
    pub(super) fn decide(&mut self, moved: Vec<Moved>, unseen: Option<&str>) -> anyhow::Result<()> {
        // Nothing is told before it is on disk.
        if let Some(quarantine) = &self.quarantine {
            quarantine.journal.sync()?;
        }
        let mut tidy = Vec::new();
        let mut told = Ok(());
        for moved in moved {
            let linked = match (unseen, &moved.folders) {
                (Some(_), _) => Told::Yes("not looked at again".into()),
                (None, None) => Told::Unknown("its folder cannot be looked at".into()),
                (None, Some(folders)) => {
                    self.prover
                        .none_leads_to(&moved.stamp, folders, moved.name())
                }
            };
            let Some(quarantine) = &mut self.quarantine else {
                continue;
            };
            let trash = quarantine.trash.path_of(&moved.relative);
            let journal = quarantine.journal.path.clone();
            let (outcome, reason, in_trash) = match linked {
                Told::Yes(_) => {
                    tidy.extend(moved.tracked.clone());
                    // One of an earlier life of this run that was not found again has had its record.
                    if moved.record.is_none() {
                        continue;
                    }
                    let why = match unseen {
                        None => moved.why.clone(),
                        Some(why) => format!(
                            "{}, but the links were not looked at again: {why}",
                            moved.why
                        ),
                    };
                    (Outcome::Removed, Reason::new("", why), true)
                }
                Told::No(why) | Told::Unknown(why) => {
                    match quarantine.put_back(&self.prover, &moved, &why)? {
                        Ok(()) => {
                            let why = format!("put back: {why}");
                            let kind = "put back after the second look at the links";
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
                Ok(()) => told = end.write(self.out, &mut self.tally),
                Err(_) => self.tally.count(&end),
            }
        }
        self.write_commands(&tidy);
        if let (Some(quarantine), None) = (&mut self.quarantine, unseen) {
            quarantine.looked()?;
        }
        Ok(told?)
    }

    /// The commands that make Calibre forget what is gone.
    fn write_commands(&self, tracked: &[(i64, String)]) {
        let Some(quarantine) = self.quarantine.as_ref().filter(|_| !tracked.is_empty()) else {
            return;
        };
        let path = quarantine.trash.folder.join(super::COMMANDS);
        let root = &self.prover.tree.path;
        let commands: String = tracked
            .iter()
            .map(|(book, format)| tidy_up(root, *book, format) + "\n")
            .collect();
        let file = fs::OpenOptions::new().create(true).append(true).open(&path);
        if let Err(error) = file.and_then(|mut file| file.write_all(commands.as_bytes())) {
            let path = path.display().to_string();
            self.out.warn(&path, "write", &error.to_string());
        }
    }
}
