//! What /proc tells of processes: proc(5).

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    fs::{Mode, OFlags},
    process::Pid,
};

mod stat;

pub use stat::Stat;

/// A tick of the times in `/proc/PID/stat`: USER_HZ, which is 100 wherever Linux runs Rust.
const TICK: Duration = Duration::from_millis(10);

/// A mounted /proc.
#[derive(Clone, Debug)]
pub struct Proc {
    root: PathBuf,
}

impl Default for Proc {
    fn default() -> Proc {
        Proc {
            root: "/proc".into(),
        }
    }
}

impl Proc {
    /// Can it be read, that is, does it tell of this very process?
    pub fn is_there(&self) -> bool {
        self.stat(rustix::process::getpid()).is_ok()
    }

    fn of(&self, pid: Pid, name: &str) -> PathBuf {
        self.root.join(pid.as_raw_nonzero().to_string()).join(name)
    }

    /// One process.
    ///
    /// # Errors
    /// It has ended, or must not be seen.
    pub fn stat(&self, pid: Pid) -> io::Result<Stat> {
        Opened(open(&self.of(pid, "stat"))?).stat()
    }

    /// One process, its files kept open.
    ///
    /// # Errors
    /// It has ended, or must not be seen; or no descriptors are left.
    pub fn hold(&self, pid: Pid) -> io::Result<Held> {
        Ok(Held {
            stat: Opened(open(&self.of(pid, "stat"))?),
            io: Opened(open(&self.of(pid, "io"))?),
        })
    }

    /// All processes that can be seen.
    ///
    /// # Errors
    /// /proc cannot be listed.
    pub fn all(&self) -> io::Result<Vec<Stat>> {
        Ok(numbers(&self.root)?
            .into_iter()
            // One that has ended meanwhile is no loss.
            .filter_map(|pid| self.stat(pid).ok())
            .collect())
    }

    /// The descendants of a process, found through the kernel's own lists. Quick, but a process that
    /// is forking or ending just now may be missed.
    ///
    /// # Errors
    /// This kernel keeps no such lists (CONFIG_PROC_CHILDREN), or /proc cannot be read.
    pub fn descendants(&self, pid: Pid) -> io::Result<Vec<Pid>> {
        let mut found = self.children(pid)?;
        let mut next = 0;
        while let Some(&pid) = found.get(next) {
            found.extend(self.children(pid).unwrap_or_default());
            next += 1;
        }
        Ok(found)
    }

    fn children(&self, pid: Pid) -> io::Result<Vec<Pid>> {
        let tasks = self.of(pid, "task");
        let mut found = Vec::new();
        // Most have one thread, and need not be listed: a folder has two links, and one for each in it.
        let alone = rustix::fs::stat(&tasks)?.st_nlink == 3;
        let threads = match alone {
            true => vec![pid],
            false => numbers(&tasks)?,
        };
        for task in threads {
            let task = tasks.join(task.as_raw_nonzero().to_string());
            let list = text(&task.join("children"))?;
            found.extend(list.split_whitespace().filter_map(number));
        }
        Ok(found)
    }

    /// Bytes that a process has read and written so far: those of its calls, caches and pipes
    /// included, and those that its devices moved for it.
    ///
    /// # Errors
    /// It has ended, or belongs to somebody else.
    pub fn bytes(&self, pid: Pid) -> io::Result<u64> {
        Opened(open(&self.of(pid, "io"))?).bytes()
    }

    /// What a process has open.
    ///
    /// # Errors
    /// It has ended, or belongs to somebody else.
    pub fn opened(&self, pid: Pid) -> io::Result<Descriptors> {
        /// More than anybody wants to look at; a process may have a million.
        const MANY: usize = 4096;
        const FILES: usize = 256;
        let links = self.of(pid, "fd");
        let mut found = Descriptors::default();
        for entry in fs::read_dir(&links)?.flatten().take(MANY) {
            let Ok(path) = fs::read_link(entry.path()) else {
                continue;
            };
            if let Some(inode) = socket(&path) {
                found.sockets.push(inode);
                continue;
            }
            // Pipes and the like are no paths; devices have no offset worth knowing.
            if !path.is_absolute() || path.starts_with("/dev") || found.files.len() >= FILES {
                continue;
            }
            let offset = || {
                let name = entry.file_name();
                let info = text(&self.of(pid, "fdinfo").join(&name)).ok()?;
                let offset = info.lines().find_map(|line| line.strip_prefix("pos:"))?;
                Some((name.to_str()?.parse().ok()?, offset.trim().parse().ok()?))
            };
            if let Some((number, offset)) = offset() {
                found.files.push((number, path, offset));
            }
        }
        Ok(found)
    }

    /// Does this (`NAME=VALUE`) stand in the environment that a process was started with?
    pub fn has_mark(&self, pid: Pid, mark: &str) -> bool {
        let environment = read(&self.of(pid, "environ")).unwrap_or_default();
        let mut values = environment.split(|&byte| byte == 0);
        values.any(|value| value == mark.as_bytes())
    }

    /// Who has this file open, as far as that may be known, but for this process.
    pub fn holders(&self, path: &Path) -> Vec<Stat> {
        let (Ok(path), me) = (path.canonicalize(), rustix::process::getpid()) else {
            return Vec::new();
        };
        let holds = |stat: &Stat| {
            let files = self.opened(stat.pid).unwrap_or_default().files;
            files.iter().any(|(_, file, _)| *file == path)
        };
        let mut all = self.all().unwrap_or_default();
        all.retain(|stat| stat.pid != me && !stat.has_ended() && holds(stat));
        all
    }

    /// The network namespace that a process is in, where that may be known.
    pub fn network(&self, pid: Pid) -> Option<PathBuf> {
        fs::read_link(self.of(pid, "ns/net")).ok()
    }

    /// A list of the sockets of a process's network namespace, as `/proc/PID/net/tcp`.
    pub fn net(&self, pid: Pid, list: &str) -> Option<String> {
        text(&self.of(pid, "net").join(list)).ok()
    }

    /// The function of the kernel in which a process waits, where that may be known.
    pub fn waits_in(&self, pid: Pid) -> Option<String> {
        let name = text(&self.of(pid, "wchan")).ok()?;
        (!name.is_empty() && name != "0").then_some(name)
    }

    /// How much of the last ten seconds work stood still for want of `cpu`, `io` or `memory`.
    pub fn pressure(&self, what: &str) -> Option<String> {
        let text = text(&self.root.join("pressure").join(what)).ok()?;
        let line = text.lines().next()?;
        let average = line
            .split(' ')
            .find_map(|word| word.strip_prefix("avg10="))?;
        Some(format!("{average} %"))
    }

    /// The signals that this process ignores, and so its children: bit 0 is signal 1. `status` tells the
    /// same, at three times the cost.
    pub fn ignored(&self) -> Option<u64> {
        let file = Opened(open(&self.root.join("self/stat")).ok()?);
        file.read(Stat::ignored).ok()?
    }
}

/// What a process has open, as far as it tells of progress.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptors {
    /// Regular files: descriptor, path, offset.
    pub files: Vec<(u32, PathBuf, u64)>,
    /// Inodes of sockets.
    pub sockets: Vec<u64>,
}

/// The inode of a socket from what its link says: `socket:[123]`.
fn socket(link: &Path) -> Option<u64> {
    let name = link.to_str()?.strip_prefix("socket:[")?;
    name.strip_suffix(']')?.parse().ok()
}

/// A process whose files are kept open: to look again costs a third of opening them anew, and never tells
/// of another process that got its number.
#[derive(Debug)]
pub struct Held {
    stat: Opened,
    io: Opened,
}

impl Held {
    /// As [`Proc::stat`].
    ///
    /// # Errors
    /// It has ended.
    pub fn stat(&self) -> io::Result<Stat> {
        self.stat.stat()
    }

    /// As [`Proc::bytes`].
    ///
    /// # Errors
    /// It has ended, or belongs to somebody else by now.
    pub fn bytes(&self) -> io::Result<u64> {
        self.io.bytes()
    }
}

/// A file that the kernel makes as one piece of less than a page, so that its end need not be asked for.
#[derive(Debug)]
struct Opened(OwnedFd);

impl Opened {
    fn read<T>(&self, parse: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
        let mut piece = [0; 4096];
        let length = rustix::io::pread(&self.0, &mut piece, 0)?;
        Ok(parse(&piece[..length]))
    }

    fn stat(&self) -> io::Result<Stat> {
        self.read(Stat::parse)?
            .ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn bytes(&self) -> io::Result<u64> {
        let wanted = ["rchar", "wchar", "read_bytes", "write_bytes"];
        let sum = |text: &[u8]| {
            String::from_utf8_lossy(text)
                .lines()
                .filter_map(|line| line.split_once(": "))
                .filter(|(name, _)| wanted.contains(name))
                .filter_map(|(_, count)| count.parse::<u64>().ok())
                .sum()
        };
        self.read(sum)
    }
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(
        path,
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

/// A small file by as few calls as can be: std would ask for a size that these do not have, and then
/// begin with a few bytes.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match rustix::io::read(&file, &mut piece)? {
            0 => return Ok(bytes),
            length => bytes.extend_from_slice(&piece[..length]),
        }
    }
}

fn text(path: &Path) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&read(path)?).into_owned())
}

fn number(name: &str) -> Option<Pid> {
    Pid::from_raw(name.parse().ok()?)
}

fn numbers(folder: &Path) -> io::Result<Vec<Pid>> {
    Ok(fs::read_dir(folder)?
        .flatten()
        .filter_map(|entry| number(entry.file_name().to_str()?))
        .collect())
}
