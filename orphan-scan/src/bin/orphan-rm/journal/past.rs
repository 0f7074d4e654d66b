//! What a journal tells of each of its files.

use std::{collections::BTreeMap, os::fd::AsFd, path::PathBuf};

use hash_files::Stamp;
use rustix::io::Errno;
use wire::{
    Record,
    records::{JournalMove, JournalRun},
};

use super::Step;
use crate::{
    candidate::Seen,
    place::{Tree, look},
    proof::Class,
};

/// One file of a journal.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its line before it was moved.
    pub intent: JournalMove,
    /// Its path relative to the library and to the run's folder in the quarantine.
    pub relative: PathBuf,
    /// Its last step.
    pub step: Step,
    /// When its folder was changed by the move, where that was written down.
    pub folder_after: Option<String>,
    /// What its folder's time was about to be set to when a restore was interrupted.
    pub folder_restored: Option<String>,
    /// When it was moved.
    pub at: String,
}

impl Entry {
    /// The class that was proven.
    pub(crate) fn class(&self) -> Option<Class> {
        self.intent.class.as_deref().and_then(Class::named)
    }

    /// The file as a finding tells it.
    pub(crate) fn seen(&self) -> Seen {
        let intent = &self.intent;
        let number = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
        Seen {
            dev: number(&intent.dev),
            inode: number(&intent.inode),
            size: intent.size,
            mtime: intent.mtime.clone(),
            sha1: intent.sha1.clone(),
        }
    }

    /// The file itself as it is in a tree, where the one of this path is this one.
    ///
    /// # Errors
    /// It cannot be told.
    pub(crate) fn found_in(&self, tree: &Tree) -> Result<Option<Stamp>, Errno> {
        match tree.folder_of(&self.relative) {
            Ok(folder) => self.found_at(folder),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// As [`Entry::found_in`], in a folder that is open.
    ///
    /// # Errors
    /// It cannot be told.
    pub(crate) fn found_at(&self, folder: impl AsFd) -> Result<Option<Stamp>, Errno> {
        let name = self.relative.file_name().ok_or(Errno::ISDIR)?;
        let now = match look(folder, name) {
            Ok(stat) => Stamp::of(&stat),
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno),
        };
        // Not the device, which is numbered anew at each start.
        let same = self.intent.inode.as_deref() == Some(&now.inode.to_string())
            && self.intent.size == Some(now.size)
            && self.intent.mtime.as_deref() == Some(&now.mtime_text());
        Ok(same.then_some(now))
    }
}

/// What the lines of a journal say of each file, in the order of the removals.
pub(super) fn replay(bytes: &[u8]) -> Result<(JournalRun, Vec<Entry>), String> {
    let mut lines = bytes
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty());
    let parse = |line: &[u8]| Record::parse(line.to_vec());
    let head = lines.next().ok_or("it is empty")?;
    let head = parse(head)?;
    if head.kind() != "journal_run" {
        return Err("it is no journal of orphan-rm".into());
    }
    let head: JournalRun = head.decode()?;
    let mut entries: BTreeMap<u64, Entry> = BTreeMap::new();
    for (number, line) in lines.enumerate() {
        let failed = |why: String| format!("line {}: {why}", number + 2);
        let record = parse(line).map_err(failed)?;
        let line: JournalMove = record.decode().map_err(failed)?;
        let step = Step::named(&line.step)
            .ok_or_else(|| failed(format!("{:?} is a step of a newer version", line.step)))?;
        if step == Step::Looked {
            continue;
        }
        if step == Step::Removing {
            let relative = record.path_of("relative", "relative_b64");
            let relative = relative.unwrap_or(Err("it names no path".into()));
            let entry = Entry {
                relative: relative.map_err(failed)?,
                step,
                folder_after: None,
                folder_restored: None,
                at: line.at.clone(),
                intent: line,
            };
            entries.insert(entry.intent.seq, entry);
            continue;
        }
        let entry = entries.get_mut(&line.seq);
        let entry =
            entry.ok_or_else(|| failed("it is about a file that was not announced".into()))?;
        entry.step = step;
        match step {
            Step::Removed => entry.folder_after = line.folder_mtime,
            Step::Restoring | Step::Returning => entry.folder_restored = line.folder_mtime,
            _ => {}
        }
    }
    Ok((head, entries.into_values().collect()))
}
