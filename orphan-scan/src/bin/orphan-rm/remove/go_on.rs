//! Going on with a run that was killed: what its journal tells of is settled, looked at again, and not
//! proven a second time.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use hash_files::Stamp;
use wire::{
    Exit, Fatal, Record,
    records::{JournalMove, JournalRun},
};

use super::{Moved, Quarantine, Run};
use crate::{
    candidate::{Candidate, Seen, relative},
    forget,
    journal::{Entry, Journal, Step, Where, come_to, head_paths},
    prover::Prover,
    trash::Trash,
};

impl Quarantine {
    /// Goes on with the journal of a run that did not come to its end, in its quarantine.
    ///
    /// # Errors
    /// It is of another library, of another quarantine than `base`, or its files were put back or
    /// purged since (3).
    pub(crate) fn go_on(
        journal: Journal,
        head: &JournalRun,
        entries: &[Entry],
        base: Option<&Path>,
        prover: &Prover<'_>,
    ) -> Result<Quarantine, Fatal> {
        let refuse = |why: String| {
            let shown = journal.path.display();
            let why = format_args!("{shown}: go on: {why}; give a new journal");
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
        let step = |entry: &Entry| entry.step;
        if let Some(later) = entries.iter().map(step).find(|step| step.is_later()) {
            let why = format!("its files were put back or purged since ({later:?})");
            return Err(refuse(why));
        }
        let empty = entries.iter().all(|entry| entry.step.is_settled());
        let trash = Trash::again(&folder, empty, &prover.tree).map_err(refuse)?;
        trash.try_moving().map_err(refuse)?;
        Ok(Quarantine {
            trash,
            seq: entries
                .iter()
                .map(|entry| entry.intent.seq)
                .max()
                .unwrap_or(0),
            used: entries.iter().any(|entry| entry.step != Step::NotRemoved),
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
        entry: &Entry,
    ) -> Result<Result<Option<Stamp>, String>, Fatal> {
        if entry.step.is_settled() {
            return Ok(Ok(None));
        }
        let mut place = match entry.whereabouts(&prover.tree, &self.trash.tree) {
            Ok(place) => place,
            Err(why) => return Ok(Err(why)),
        };
        if place == Where::Both {
            // Half moved is not moved: what is still a candidate is proven anew.
            let back = self.trash.give_back(&prover.tree, &entry.relative);
            if let Err(errno) = back {
                return Ok(Err(format!("it has two names, and one stays: {errno}")));
            }
            place = Where::Home;
        }
        if let Some(step) = come_to(entry.step, &place) {
            let line = JournalMove {
                seq: entry.intent.seq,
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
    pub(crate) fn go_on(
        &mut self,
        entries: &[Entry],
        lines: &mut Vec<Box<[u8]>>,
    ) -> anyhow::Result<()> {
        let mut there = HashMap::new();
        for entry in entries {
            let Some(quarantine) = &mut self.quarantine else {
                break;
            };
            let path = self.prover.tree.path.join(&entry.relative);
            match quarantine.settle(&self.prover, entry)? {
                Ok(None) => {}
                Err(why) => self.out.warn(&path.display().to_string(), "go on", &why),
                Ok(Some(stamp)) => {
                    let Some(class) = entry.class() else {
                        continue;
                    };
                    let intent = &entry.intent;
                    let moved = Moved {
                        seq: intent.seq,
                        record: None,
                        class,
                        relative: entry.relative.clone(),
                        stamp,
                        seen: entry.seen(),
                        folders: self.prover.folder_ids(&entry.relative),
                        tracked: intent.book_id.zip(intent.format.clone()),
                        path,
                        why: format!("{}: all was proven at {}", class.name(), entry.at),
                        proof: intent.proof.clone().unwrap_or_default(),
                    };
                    there.insert(entry.relative.clone(), (entry.seen(), moved));
                }
            }
        }
        self.give_findings(&mut there, lines);
        let mut moved: Vec<Moved> = there.into_values().map(|(_, moved)| moved).collect();
        moved.sort_by_key(|moved| moved.seq);
        self.forget_commands();
        let files = moved.iter().map(|moved| moved.relative.clone()).collect();
        self.prover.begin(files, &[]);
        // Without a listing nothing is known of any link; what was proven once stays where it is.
        let unseen = self.prover.links_are_unknown();
        self.decide(moved, unseen.as_deref())
    }

    /// Finds the finding of each file that is in the quarantine.
    fn give_findings(
        &self,
        there: &mut HashMap<PathBuf, (Seen, Moved)>,
        lines: &mut Vec<Box<[u8]>>,
    ) {
        let roots = [&*self.prover.tree.path, &*self.prover.tree.real];
        lines.retain(|line| {
            let record = Record::parse(line.to_vec()).ok();
            let read = record.as_ref().map(Candidate::read);
            let Some(Ok(candidate)) = read else {
                return true;
            };
            let found = relative(&candidate.path, &roots).and_then(|path| there.get_mut(&path));
            match found {
                Some((seen, moved)) if is_one(seen, &candidate.seen) && moved.record.is_none() => {
                    moved.record = record;
                    false
                }
                _ => true,
            }
        });
    }

    /// They are written anew, of what is in the quarantine after the second look.
    fn forget_commands(&self) {
        if let Some(quarantine) = &self.quarantine {
            forget::withdraw(&quarantine.trash.folder);
        }
    }
}

/// Is it one file? The device is numbered anew at each start of the machine.
fn is_one(a: &Seen, b: &Seen) -> bool {
    (a.inode, a.size, &a.mtime) == (b.inode, b.size, &b.mtime) && a.inode.is_some()
}
