//! Going on with a run that was killed: what its journal tells of is settled, looked at again, and not
//! proven a second time.

use std::{collections::HashMap, fs, path::PathBuf};

use wire::Record;

use super::{COMMANDS, Moved, Run, quarantine::Quarantine};
use crate::{
    candidate::{Candidate, Seen, relative},
    journal::Entry,
};

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
        let folder = self
            .quarantine
            .as_ref()
            .map(|to: &Quarantine| &to.trash.folder);
        if let Some(folder) = folder {
            // Most often there is none.
            let _ = fs::remove_file(folder.join(COMMANDS));
        }
    }
}

/// Is it one file? The device is numbered anew at each start of the machine.
fn is_one(a: &Seen, b: &Seen) -> bool {
    (a.inode, a.size, &a.mtime) == (b.inode, b.size, &b.mtime) && a.inode.is_some()
}
