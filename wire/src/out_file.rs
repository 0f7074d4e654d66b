//! `-o FILE`: what a tool writes takes FILE's place in one piece, when all of it is there.
//!
//! A shell empties FILE before the tool has begun. A second run, one that is refused, or one with a wrong
//! password would take the outcomes of an earlier one with it; so nothing of FILE is touched but by the
//! last step of a run that went to its end. Until then the records go to FILE.partial, which one process
//! at a time may hold.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{Exit, Fatal, OrFatal, sink::Sink};

/// Its records on their way to FILE.
#[derive(Debug)]
pub(crate) struct OutFile {
    target: PathBuf,
    partial: PathBuf,
    file: File,
    begun: Arc<AtomicBool>,
    /// What an earlier run left under the name.
    found: u64,
}

impl OutFile {
    /// Takes FILE.partial for this process alone, and touches nothing.
    ///
    /// # Errors
    /// Refused when another process writes it; usage when FILE cannot be an output, or is something else:
    /// a `*` of the shell may have put a book there.
    pub(crate) fn open(file: &Path) -> Result<OutFile, Fatal> {
        let target = place(file)?;
        let mut partial = OsString::from(&target);
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = lock(&partial)?;
        let found = is_output(&file, &partial)?;
        Ok(OutFile {
            target,
            partial,
            file,
            begun: Arc::default(),
            found,
        })
    }

    /// What takes the records. Whatever an earlier run left goes with the first of them.
    pub(crate) fn sink(&self) -> io::Result<Sink> {
        let name = self.partial.display().to_string();
        let begun = Arc::clone(&self.begun);
        Ok(Sink::file(self.file.try_clone()?, name, begun))
    }

    /// Puts all that was written in FILE's place, if the run went to its `end`; else leaves it where it is,
    /// and says where.
    ///
    /// # Errors
    /// The disk is full, say. FILE is as it was.
    pub(crate) fn settle(self, end: bool) -> Result<Option<String>, Fatal> {
        let shown = self.target.display();
        if end {
            // By now the journal or the cache of this very run may stand there.
            place(&self.target)?;
            self.replace()
                .or_fatal(Exit::GaveUp, format_args!("{shown}: replace"))?;
            return Ok(None);
        }
        if self.begun.load(Ordering::Relaxed) {
            let partial = self.partial.display();
            return Ok(Some(format!(
                "{shown}: write: not to the end: it is as it was, and {partial} holds what there is"
            )));
        }
        if self.found == 0 {
            // An empty file that stays behind harms nobody.
            let _ = fs::remove_file(&self.partial);
        }
        Ok(None)
    }

    fn replace(&self) -> io::Result<()> {
        // A name that reaches the disk before its bytes do is an empty file after a power cut.
        self.file.sync_all()?;
        fs::rename(&self.partial, &self.target)?;
        let folder = self.target.parent().unwrap_or(Path::new("/"));
        File::open(folder)?.sync_all()
    }
}

/// Where the records will stand in the end: FILE, or what it is a link to.
fn place(file: &Path) -> Result<PathBuf, Fatal> {
    let shown = file.display();
    let usage = |why: &str| Fatal::new(Exit::Usage, format_args!("{shown}: write: {why}"));
    match fs::canonicalize(file) {
        Ok(target) => {
            // Never opened otherwise: a FIFO would wait for its writer.
            if !target.is_file() {
                return Err(usage("not a regular file; redirect standard output there"));
            }
            let old = File::open(&target).or_fatal(Exit::Usage, format_args!("{shown}: open"))?;
            is_output(&old, file)?;
            Ok(target)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if file.is_symlink() {
                return Err(usage("a symbolic link that leads nowhere"));
            }
            if file.file_name().is_none() {
                return Err(usage("no name of a file"));
            }
            std::path::absolute(file).or_fatal(Exit::Usage, format_args!("{shown}: write"))
        }
        Err(error) => Err(usage(&error.to_string())),
    }
}

/// The file under its temporary name, locked as long as it is open.
fn lock(partial: &Path) -> Result<File, Fatal> {
    let shown = partial.display();
    let quiet = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
    loop {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags(quiet.bits() as i32)
            .open(partial)
            .or_fatal(Exit::Usage, format_args!("{shown}: open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let why = "another process is writing it; wait for its end";
                return Err(Fatal::new(
                    Exit::Refused,
                    format_args!("{shown}: lock: {why}"),
                ));
            }
            Err(TryLockError::Error(error)) => {
                return Err(Fatal::new(
                    Exit::GaveUp,
                    format_args!("{shown}: lock: {error}"),
                ));
            }
        }
        // Whoever held it may have renamed it, or taken it away, before it was ours.
        let ours = file.metadata();
        let ours = ours.or_fatal(Exit::GaveUp, format_args!("{shown}: stat"))?;
        let there = fs::symlink_metadata(partial);
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
            return Ok(file);
        }
    }
}

/// How long it is; nothing is written over a file that does not begin as our outputs do.
fn is_output(file: &File, path: &Path) -> Result<u64, Fatal> {
    let shown = path.display();
    let metadata = file.metadata();
    let metadata = metadata.or_fatal(Exit::Usage, format_args!("{shown}: stat"))?;
    let mut start = [0; 16];
    let read = file.read_at(&mut start, 0);
    let read = read.or_fatal(Exit::Usage, format_args!("{shown}: read"))?;
    if !metadata.is_file() || !may_be_replaced(&start[..read]) {
        let why = "it is no output of these tools; name another file, or remove it";
        return Err(Fatal::new(
            Exit::Usage,
            format_args!("{shown}: write: {why}"),
        ));
    }
    Ok(metadata.len())
}

/// An empty file, our records or their CSV; or the zeros that a power cut leaves of either. A journal is
/// the memory of what was done, and no output.
fn may_be_replaced(start: &[u8]) -> bool {
    match start {
        _ if start.iter().all(|&byte| byte == 0) => true,
        _ => match start.strip_prefix(br#"{"type":""#) {
            Some(kind) => ![&b"journal"[..], b"backup_"].contains(&kind),
            None => start.starts_with(b"type,"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_an_output_is_written_over() {
        for output in ["", "\0\0", r#"{"type":"upload""#, "type,path,path_b6"] {
            assert!(may_be_replaced(output.as_bytes()), "{output}");
        }
        for other in [
            "PK\x03\x04",
            "%PDF-1.4",
            r#"{"type":"journal"#,
            "{}",
            "SQLite format 3",
            "\0\0\0\x18ftypM4B",
        ] {
            assert!(!may_be_replaced(other.as_bytes()), "{other}");
        }
    }
}
