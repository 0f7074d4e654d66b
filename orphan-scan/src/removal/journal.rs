//! The journal of a run: what is about to be done is on disk before it is done, so that a run that was
//! killed at any moment can be undone.

mod past;
mod steps;
mod whereabouts;

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};
use wire::{
    Exit, Fatal, Line, Record,
    path::{decode, encode},
    records::{JournalMove, JournalRun},
};

pub use past::{JournalFile, Past};
pub use steps::Step;
pub use whereabouts::{Where, come_to};

/// No line is as long.
const LONGEST: u64 = 1 << 16;

/// An open journal. Nobody else can have it open to write at the same time.
#[derive(Debug)]
pub struct Journal {
    file: File,
    /// Its path, absolute.
    pub path: PathBuf,
}

fn fatal(exit: Exit, path: &Path, act: &str, why: impl std::fmt::Display) -> Fatal {
    Fatal::new(exit, format_args!("{}: {act}: {why}", path.display()))
}

/// This moment as records have it.
pub fn now() -> String {
    jiff::Timestamp::now().to_string()
}

impl Journal {
    /// Begins a journal in a file that must be new, or hold nothing but a first line that was cut short
    /// by a kill: nothing else is ever written over.
    ///
    /// # Errors
    /// It is there already (3), or cannot be made (255).
    pub fn create(path: &Path, head: &JournalRun) -> Result<Journal, Fatal> {
        let path =
            std::path::absolute(path).map_err(|error| fatal(Exit::Usage, path, "create", error))?;
        let mut options = OpenOptions::new();
        options.create(true).read(true).append(true).mode(0o600);
        let file = options
            .open(&path)
            .map_err(|error| fatal(Exit::GaveUp, &path, "create", error))?;
        let mut journal = Journal { file, path };
        journal.lock()?;
        // Looked at under the lock, so that of two that begin at once the second finds the first.
        let mut bytes = Vec::new();
        journal
            .file
            .read_to_end(&mut bytes)
            .map_err(|error| fatal(Exit::GaveUp, &journal.path, "read", error))?;
        if !is_unbegun(&bytes) {
            let why = "it is there already, and is not written over";
            return Err(fatal(Exit::Refused, &journal.path, "create", why));
        }
        journal
            .file
            .set_len(0)
            .map_err(|error| fatal(Exit::GaveUp, &journal.path, "create", error))?;
        let begun = journal
            .put(&Line::of(head))
            .and_then(|()| journal.file.sync_data());
        begun.map_err(|error| fatal(Exit::GaveUp, &journal.path, "write", error))?;
        // The name must be as lasting as what is written under it.
        if let Some(folder) = journal.path.parent() {
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(|error| fatal(Exit::GaveUp, folder, "sync", error))?;
        }
        Ok(journal)
    }

    /// Goes on with the journal of a run that was killed; nothing where there is none in the file, not
    /// even a whole first line.
    ///
    /// # Errors
    /// What is there is none of ours (3), or another process has it open (3).
    pub fn go_on(path: &Path) -> Result<Option<(Journal, Past)>, Fatal> {
        let mut first = Vec::new();
        let read = File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut first));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Ok(_) if is_unbegun(&first) => return Ok(None),
            _ => {}
        }
        let refuse = |refused| Fatal {
            exit: Exit::Refused,
            ..refused
        };
        let (journal, past) = Journal::open(path).map_err(refuse)?;
        match past.unread.first() {
            None => Ok(Some((journal, past))),
            Some((line, why)) => {
                let why = format_args!(
                    "line {line}: {why}; undo it by orphan-restore, or give a new journal"
                );
                Err(fatal(Exit::Refused, path, "go on", why))
            }
        }
    }

    /// Opens a journal to go on with it.
    ///
    /// # Errors
    /// There is none, it is none of ours (2), or another process has it open (3).
    pub fn open(path: &Path) -> Result<(Journal, Past), Fatal> {
        let path =
            std::path::absolute(path).map_err(|error| fatal(Exit::Usage, path, "open", error))?;
        let file = OpenOptions::new().read(true).append(true).open(&path);
        let file = file.map_err(|error| fatal(Exit::Usage, &path, "open", error))?;
        let mut journal = Journal { file, path };
        journal.lock()?;
        let past = journal
            .read()
            .map_err(|why| fatal(Exit::Usage, &journal.path, "read", why))?;
        Ok((journal, past))
    }

    fn lock(&self) -> Result<(), Fatal> {
        flock(&self.file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            fatal(
                Exit::Refused,
                &self.path,
                "lock",
                "another process is using it",
            )
        })
    }

    fn read(&mut self) -> Result<Past, String> {
        let mut bytes = Vec::new();
        BufReader::new(&self.file)
            .read_to_end(&mut bytes)
            .map_err(|error| error.to_string())?;
        let whole = bytes.iter().rposition(|&byte| byte == b'\n');
        let whole = whole.map_or(0, |end| end + 1);
        let read = past::replay(&bytes[..whole])?;
        if whole < bytes.len() {
            // The run was killed in the middle of this line, so what it announced was not done.
            self.file
                .set_len(whole as u64)
                .and_then(|()| self.file.seek(SeekFrom::End(0)))
                .map_err(|error| error.to_string())?;
        }
        Ok(read)
    }

    /// Writes a line. One that announces what is about to be done is on disk afterwards; one that tells
    /// what was done is so with the next, for where the file is tells it as well.
    ///
    /// # Errors
    /// It cannot be written: the disk is full.
    pub fn note(&mut self, step: Step, mut line: JournalMove) -> Result<(), Fatal> {
        line.step = step.name().into();
        line.at = now();
        let put = self.put(&Line::of(&line));
        let put = put.and_then(|()| match step.is_lasting() {
            true => self.file.sync_data(),
            false => Ok(()),
        });
        put.map_err(|error| self.unwritten(&error))
    }

    /// Comes back when all lines are on disk.
    ///
    /// # Errors
    /// They are not.
    pub fn sync(&self) -> Result<(), Fatal> {
        self.file
            .sync_data()
            .map_err(|error| self.unwritten(&error))
    }

    fn unwritten(&self, error: &io::Error) -> Fatal {
        let why = format_args!("{error}; no more files are moved");
        fatal(Exit::GaveUp, &self.path, "write", why)
    }

    fn put(&mut self, line: &Line) -> io::Result<()> {
        let whole = self.file.metadata()?.len();
        let put = self.file.write_all(&[line.open_bytes(), b"}\n"].concat());
        // A disk is full in the middle of a line, too, and the next one would be glued to the half.
        put.inspect_err(|_| drop(self.file.set_len(whole)))
    }
}

/// Did the run of this journal not come to its end? By its last line; not of one that is at work.
pub fn is_unfinished(path: &Path) -> bool {
    let tail = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        flock(&file, FlockOperation::NonBlockingLockShared)?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(LONGEST)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let tail = tail().unwrap_or_default();
    let whole = tail.rsplit(|&byte| byte == b'\n').nth(1);
    let last = whole.and_then(|line| Record::parse(line.to_vec()).ok());
    let step = last.and_then(|line| Step::named(&line.text("step")?));
    step.is_some_and(Step::is_amid)
}

/// Was a run killed while it wrote the first line?
fn is_unbegun(bytes: &[u8]) -> bool {
    const HEAD: &[u8] = br#"{"type":"journal_run""#;
    let most = bytes.len().min(HEAD.len());
    !bytes.contains(&b'\n') && bytes[..most] == HEAD[..most]
}

/// The library's folder and the quarantine of a run.
///
/// # Errors
/// One line of reason: one of them is no path.
pub fn head_paths(head: &JournalRun) -> Result<(PathBuf, PathBuf), String> {
    let root = decode(&head.root, head.root_b64.as_deref())?;
    Ok((root, decode(&head.trash, head.trash_b64.as_deref())?))
}

/// The library's database, where that was not in its folder.
///
/// # Errors
/// One line of reason: it is no path.
pub fn head_database(head: &JournalRun) -> Result<Option<PathBuf>, String> {
    let decoded = |path: &String| decode(path, head.metadata_db_b64.as_deref());
    head.metadata_db.as_ref().map(decoded).transpose()
}

/// A path in its two fields.
pub fn fields(path: &Path) -> (String, Option<String>) {
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
            class: Some("untracked".into()),
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
            let (mut journal, Past { files, .. }) = Journal::open(&path).unwrap();
            let first = if cut < done {
                Step::Removing
            } else {
                Step::Removed
            };
            assert_eq!(files[0].step, first, "cut at {cut}");
            let last = cut == bytes.len() as u64;
            assert_eq!(files.len(), if last { 2 } else { 1 }, "cut at {cut}");
            // It is gone on with behind the last whole line.
            journal.note(Step::Restored, seq(1)).unwrap();
            drop(journal);
            let (_, Past { files, .. }) = Journal::open(&path).unwrap();
            assert_eq!(files[0].step, Step::Restored, "cut at {cut}");
        }
    }

    /// A disk of 64 KiB, where one may be mounted.
    struct Disk(tempfile::TempDir);

    impl Disk {
        fn mount() -> Option<Disk> {
            let folder = tempfile::tempdir().unwrap();
            let mut mount = std::process::Command::new("mount");
            mount.args(["-t", "tmpfs", "-o", "size=64k", "none"]);
            let mounted = mount.arg(folder.path()).output();
            let mounted = mounted.is_ok_and(|mount| mount.status.success());
            mounted.then(|| Disk(folder))
        }
    }

    impl Drop for Disk {
        fn drop(&mut self) {
            let umount = std::process::Command::new("umount")
                .arg(self.0.path())
                .status();
            drop(umount);
        }
    }

    /// The disk had room again, and the next line was glued to the half of this one.
    #[test]
    fn a_line_that_found_the_disk_full_in_its_middle_leaves_nothing_behind() {
        let Some(disk) = Disk::mount() else {
            return;
        };
        let filler = disk.0.path().join("filler");
        std::fs::write(&filler, vec![0; 8192]).unwrap();
        let path = disk.0.path().join("j");
        let mut journal = Journal::create(&path, &head()).unwrap();
        let whole = |journal: &mut Journal| {
            (1..).find(|&seq| journal.note(Step::Removing, removing(seq)).is_err())
        };
        let failed = whole(&mut journal).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.last(), Some(&b'\n'));
        std::fs::remove_file(&filler).unwrap();
        journal.note(Step::Removing, removing(failed)).unwrap();
        drop(journal);
        let (_, past) = Journal::open(&path).unwrap();
        assert_eq!(past.unread, []);
        assert_eq!(past.files.len() as u64, failed);
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
