//! The journal of a run: what is about to be done is on disk before it is done, so that a run that was
//! killed at any moment can be undone.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};
use wire::{
    Exit, Fatal, Line, Record,
    path::encode,
    records::{JournalMove, JournalRun},
};

use crate::proof::Class;

/// How far one file has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is about to be moved away.
    Removing,
    /// It is in the quarantine.
    Removed,
    /// It could not be moved, or was moved back at once.
    NotRemoved,
    /// It is about to be put back in the same run.
    Returning,
    /// It was put back.
    Returned,
    /// It is about to be put back by `--restore`.
    Restoring,
    /// It was.
    Restored,
    /// It is about to be deleted for good.
    Purging,
    /// It is.
    Purged,
}

impl Step {
    const ALL: [(Step, &'static str); 9] = [
        (Step::Removing, "removing"),
        (Step::Removed, "removed"),
        (Step::NotRemoved, "not_removed"),
        (Step::Returning, "returning"),
        (Step::Returned, "returned"),
        (Step::Restoring, "restoring"),
        (Step::Restored, "restored"),
        (Step::Purging, "purging"),
        (Step::Purged, "purged"),
    ];

    fn name(self) -> &'static str {
        Step::ALL[self as usize].1
    }

    fn named(name: &str) -> Option<Step> {
        let found = Step::ALL.into_iter().find(|(_, known)| *known == name);
        found.map(|(step, _)| step)
    }

    /// Is the file certainly in the library, or certainly gone, so that nothing is left to undo?
    pub(crate) fn is_settled(self) -> bool {
        matches!(
            self,
            Step::NotRemoved | Step::Returned | Step::Restored | Step::Purged
        )
    }
}

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
}

/// An open journal. Nobody else can have it open to write at the same time.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    /// Its path, absolute.
    pub path: PathBuf,
}

fn fatal(exit: Exit, path: &Path, act: &str, why: impl std::fmt::Display) -> Fatal {
    Fatal::new(exit, format_args!("{}: {act}: {why}", path.display()))
}

/// This moment as records have it.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().to_string()
}

impl Journal {
    /// Begins a journal in a file that must be new: an older one is never written over.
    ///
    /// # Errors
    /// It is there already (3), or cannot be made (255).
    pub(crate) fn create(path: &Path, head: &JournalRun) -> Result<Journal, Fatal> {
        let path =
            std::path::absolute(path).map_err(|error| fatal(Exit::Usage, path, "create", error))?;
        let mut options = OpenOptions::new();
        let opened = options
            .create_new(true)
            .append(true)
            .mode(0o600)
            .open(&path);
        let file = opened.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => fatal(
                Exit::Refused,
                &path,
                "create",
                "there is a journal already; each run needs a new one",
            ),
            _ => fatal(Exit::GaveUp, &path, "create", error),
        })?;
        let mut journal = Journal { file, path };
        journal.lock()?;
        let begun = journal.put(&Line::of(head));
        begun.map_err(|error| fatal(Exit::GaveUp, &journal.path, "write", error))?;
        // The name must be as lasting as what is written under it.
        if let Some(folder) = journal.path.parent() {
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(|error| fatal(Exit::GaveUp, folder, "sync", error))?;
        }
        Ok(journal)
    }

    /// Opens a journal to go on with it.
    ///
    /// # Errors
    /// There is none, it is none of ours (2), or another process has it open (3).
    pub(crate) fn open(path: &Path) -> Result<(Journal, JournalRun, Vec<Entry>), Fatal> {
        let path =
            std::path::absolute(path).map_err(|error| fatal(Exit::Usage, path, "open", error))?;
        let file = OpenOptions::new().read(true).append(true).open(&path);
        let file = file.map_err(|error| fatal(Exit::Usage, &path, "open", error))?;
        let mut journal = Journal { file, path };
        journal.lock()?;
        let (head, entries) = journal
            .read()
            .map_err(|why| fatal(Exit::Usage, &journal.path, "read", why))?;
        Ok((journal, head, entries))
    }

    fn lock(&self) -> Result<(), Fatal> {
        flock(&self.file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            fatal(
                Exit::Refused,
                &self.path,
                "lock",
                "another orphan-rm is at work with it",
            )
        })
    }

    fn read(&mut self) -> Result<(JournalRun, Vec<Entry>), String> {
        let mut bytes = Vec::new();
        BufReader::new(&self.file)
            .read_to_end(&mut bytes)
            .map_err(|error| error.to_string())?;
        let whole = bytes.iter().rposition(|&byte| byte == b'\n');
        let whole = whole.map_or(0, |end| end + 1);
        let read = replay(&bytes[..whole])?;
        if whole < bytes.len() {
            // The run was killed in the middle of this line, so what it announced was not done.
            self.file
                .set_len(whole as u64)
                .and_then(|()| self.file.seek(SeekFrom::End(0)))
                .map_err(|error| error.to_string())?;
        }
        Ok(read)
    }

    /// Writes a line, and comes back when it is on disk.
    ///
    /// # Errors
    /// It is not: the disk is full.
    pub(crate) fn note(&mut self, step: Step, mut line: JournalMove) -> Result<(), Fatal> {
        line.step = step.name().into();
        line.at = now();
        self.put(&Line::of(&line)).map_err(|error| {
            fatal(
                Exit::GaveUp,
                &self.path,
                "write",
                format_args!("{error}; no more files are moved"),
            )
        })
    }

    fn put(&mut self, line: &Line) -> io::Result<()> {
        self.file.write_all(&[line.open_bytes(), b"}\n"].concat())?;
        self.file.sync_data()
    }
}

/// What the lines of a journal say of each file, in the order of the removals.
fn replay(bytes: &[u8]) -> Result<(JournalRun, Vec<Entry>), String> {
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

/// A path in its two fields.
pub(crate) fn fields(path: &Path) -> (String, Option<String>) {
    let (text, exact) = encode(path);
    (text.into_owned(), exact)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> JournalRun {
        JournalRun {
            tool: "orphan-rm".into(),
            root: "/l".into(),
            trash: "/t".into(),
            ..JournalRun::default()
        }
    }

    fn removing(seq: u64) -> JournalMove {
        JournalMove {
            seq,
            path: Some("/l/a".into()),
            relative: Some("a".into()),
            ..JournalMove::default()
        }
    }

    #[test]
    fn every_step_has_its_name() {
        for (place, (step, name)) in Step::ALL.into_iter().enumerate() {
            assert_eq!(place, step as usize);
            assert_eq!(Step::named(name), Some(step));
        }
    }

    #[test]
    fn a_journal_that_was_cut_anywhere_tells_of_all_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let mut journal = Journal::create(&path, &head()).unwrap();
        journal.note(Step::Removing, removing(1)).unwrap();
        let announced = std::fs::metadata(&path).unwrap().len();
        let seq = |seq| JournalMove {
            seq,
            ..JournalMove::default()
        };
        journal.note(Step::Removed, seq(1)).unwrap();
        let done = std::fs::metadata(&path).unwrap().len();
        journal.note(Step::Removing, removing(2)).unwrap();
        drop(journal);
        let bytes = std::fs::read(&path).unwrap();
        for cut in announced..=bytes.len() as u64 {
            std::fs::write(&path, &bytes[..cut as usize]).unwrap();
            let (mut journal, _, entries) = Journal::open(&path).unwrap();
            let first = if cut < done {
                Step::Removing
            } else {
                Step::Removed
            };
            assert_eq!(entries[0].step, first, "cut at {cut}");
            let last = cut == bytes.len() as u64;
            assert_eq!(entries.len(), if last { 2 } else { 1 }, "cut at {cut}");
            // It is gone on with behind the last whole line.
            journal.note(Step::Restored, seq(1)).unwrap();
            drop(journal);
            let (_, _, entries) = Journal::open(&path).unwrap();
            assert_eq!(entries[0].step, Step::Restored, "cut at {cut}");
        }
    }

    #[test]
    fn a_journal_is_never_written_over_nor_by_two() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let journal = Journal::create(&path, &head()).unwrap();
        assert_eq!(
            Journal::create(&path, &head()).unwrap_err().exit,
            Exit::Refused
        );
        assert_eq!(Journal::open(&path).unwrap_err().exit, Exit::Refused);
        drop(journal);
        assert!(Journal::open(&path).is_ok());
    }
}
