//! Going on with a run that was killed: what its journal tells of is settled, looked at again, and not
//! proven a second time.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use hash_files::Stamp;
use wire::{
    Exit, Fatal,
    records::{JournalMove, JournalRun},
};

use orphan_scan::removal::{
    candidate::Identity,
    forget,
    journal::{Journal, JournalFile, Step, Where, come_to, head_paths},
    proof::Prover,
    quarantine::Quarantine,
};

use super::{Moved, Mover, Run};
use crate::findings::Found;

impl Mover {
    /// Goes on with the journal of a run that did not come to its end, in its quarantine.
    ///
    /// # Errors
    /// It is of another library, of another quarantine than `base`, or its files were put back or
    /// purged since (3).
    pub(crate) fn resume(
        journal: Journal,
        head: &JournalRun,
        files: &[JournalFile],
        base: Option<&Path>,
        prover: &Prover<'_>,
    ) -> Result<Mover, Fatal> {
        let refuse = |why: String| {
            let shown = journal.path.display();
            let why = format_args!("{shown}: resume: {why}; give a new journal");
            Fatal::new(Exit::Refused, why)
        };
        let (root, folder) = head_paths(head).map_err(refuse)?;
        let same = root == prover.tree.path || root == prover.tree.real;
        if !same || head.library != prover.uuid {
            return Err(refuse(format!("it is of the library {}", root.display())));
        }
        let base = base.map(std::path::absolute).transpose();
        let base = base.map_err(|error| refuse(error.to_string()))?;
        if base.is_some_and(|base| folder.parent() != Some(&base)) {
            return Err(refuse(format!("its quarantine is {}", folder.display())));
        }
        if let Some(later) = files
            .iter()
            .map(|file| file.step)
            .find(|step| step.is_later())
        {
            let why = format!("its files were put back or purged since ({later:?})");
            return Err(refuse(why));
        }
        let empty = files.iter().all(|file| file.step.is_settled());
        let trash = Quarantine::again(&folder, empty, &prover.tree).map_err(refuse)?;
        trash.try_moving().map_err(refuse)?;
        Ok(Mover {
            trash,
            seq: files.iter().map(|file| file.seq).max().unwrap_or(0),
            used: files.iter().any(|file| file.step != Step::NotRemoved),
            journal,
        })
    }

    /// Is this file of the journal here? What was left open about it is written down.
    ///
    /// # Errors
    /// The journal cannot be written.
    fn settle(
        &mut self,
        prover: &Prover<'_>,
        file: &JournalFile,
    ) -> Result<Result<Option<Stamp>, String>, Fatal> {
        if file.step.is_settled() {
            return Ok(Ok(None));
        }
        let mut place = match file.whereabouts(&prover.tree, &self.trash.tree) {
            Ok(place) => place,
            Err(why) => return Ok(Err(why)),
        };
        if place == Where::Both {
            // Half moved is not moved: what is still a candidate is proven anew.
            let back = self.trash.give_back(&prover.tree, &file.file.relative);
            if let Err(errno) = back {
                return Ok(Err(format!("it has two names, and one stays: {errno}")));
            }
            place = Where::Home;
        }
        if let Some(step) = come_to(file.step, &place) {
            let line = JournalMove {
                seq: file.seq,
                why: Some("found so after the run was killed".into()),
                ..JournalMove::default()
            };
            self.journal.note(step, line)?;
        }
        Ok(match place {
            Where::Away(stamp) => Ok(Some(stamp)),
            Where::Home | Where::Both => Ok(None),
            Where::Nowhere => Err("it is neither in the quarantine nor in its place".into()),
            Where::Another(why) => Err(why),
        })
    }
}

impl Run<'_, '_> {
    /// Takes over what is in the quarantine already, looks at its links again, and takes its findings
    /// out of those that are still to be looked at. The links must have been listed.
    ///
    /// # Errors
    /// The journal cannot be written, or stdout is closed.
    pub(crate) fn resume(
        &mut self,
        files: &[JournalFile],
        found: &mut Vec<Found>,
    ) -> anyhow::Result<()> {
        let mut there = HashMap::new();
        for file in files {
            let Some(mover) = &mut self.mover else {
                break;
            };
            match mover.settle(&self.prover, file)? {
                Ok(None) => {}
                Err(why) => {
                    let shown = file.file.path.display().to_string();
                    self.out.warn(&shown, "resume", &why);
                }
                Ok(Some(stamp)) => {
                    let moved = Moved {
                        seq: file.seq,
                        record: None,
                        stamp,
                        folders: self.prover.folder_ids(&file.file.relative),
                        why: format!("{}: all was proven at {}", file.file.class.name(), file.at),
                        proof: file.proof.clone(),
                        file: file.file.clone(),
                    };
                    there.insert(file.file.relative.clone(), moved);
                }
            }
        }
        give_findings(&mut there, found);
        let mut moved: Vec<Moved> = there.into_values().collect();
        moved.sort_by_key(|moved| moved.seq);
        self.forget_commands();
        self.prover.begin(moved.iter().map(|moved| &moved.file));
        // Without a listing nothing is known of any link; what was proven once stays where it is.
        let unseen = self.prover.links_are_unknown();
        self.decide(moved, unseen.as_deref())
    }

    /// They are written anew, of what is in the quarantine after the second look.
    fn forget_commands(&self) {
        if let Some(mover) = &self.mover {
            forget::withdraw(&mover.trash.folder);
        }
    }
}

/// Finds the finding of each file that is in the quarantine.
fn give_findings(there: &mut HashMap<PathBuf, Moved>, found: &mut Vec<Found>) {
    let all = std::mem::take(found);
    for one in all {
        match there.get_mut(&one.file.relative) {
            Some(moved)
                if moved.record.is_none() && is_one(&moved.file.identity, &one.file.identity) =>
            {
                moved.record = Some(one.record);
            }
            _ => found.push(one),
        }
    }
}

/// Is it one file? The device is numbered anew at each start of the machine.
fn is_one(a: &Identity, b: &Identity) -> bool {
    (a.inode, a.size, &a.mtime) == (b.inode, b.size, &b.mtime) && a.inode.is_some()
}
