//! What /proc tells of processes, as far as it matters here: proc(5).

use std::{
    ffi::OsStr,
    fs,
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

use procfs::{
    CpuPressure, Current, IoPressure, MemoryPressure, ProcResult,
    process::{FDTarget, Process, all_processes},
};
use rustix::process::{Pid, getpid};

/// A tick of the times in `/proc/PID/stat`: USER_HZ, which is 100 wherever Linux runs Rust.
const TICK: Duration = Duration::from_millis(10);

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its number.
    pub pid: Pid,
    /// Its name, at most 15 bytes of it.
    pub name: String,
    /// R running, S sleeping, D waiting for a disk, T stopped, Z ended.
    pub state: char,
    /// Its parent; none where that is outside of what can be seen.
    pub parent: Option<Pid>,
    /// Its process group.
    pub group: Option<Pid>,
    /// CPU time that it and the children that it has waited for have used.
    pub cpu: Duration,
    /// When it started, in ticks since boot: with the number it names a process for ever.
    pub start: u64,
}

impl Stat {
    fn of(process: &Process) -> Option<Stat> {
        let stat = process.stat().ok()?;
        // Of a process that is just being reaped, the kernel says -1.
        let known = |raw: i32| Pid::from_raw(raw.max(0));
        let waited_for = u64::try_from(stat.cutime + stat.cstime).unwrap_or(0);
        let ticks = stat.utime + stat.stime + waited_for;
        Some(Stat {
            pid: known(stat.pid)?,
            name: stat.comm,
            state: stat.state,
            parent: known(stat.ppid),
            group: known(stat.pgrp),
            cpu: TICK.saturating_mul(ticks.try_into().unwrap_or(u32::MAX)),
            start: stat.starttime,
        })
    }

    /// Has it ended, and only waits to be waited for?
    pub fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

fn process(pid: Pid) -> ProcResult<Process> {
    Process::new(pid.as_raw_nonzero().get())
}

/// Can /proc be read, that is, does it tell of this very process?
pub fn is_there() -> bool {
    stat(getpid()).is_some()
}

/// One process; none that has ended, or must not be seen.
pub fn stat(pid: Pid) -> Option<Stat> {
    Stat::of(&process(pid).ok()?)
}

/// One process, and the bytes that it has read and written so far: those of its calls, caches and pipes
/// included, and those that its devices moved for it. These are not known of somebody else's.
pub fn work(pid: Pid) -> Option<(Stat, Option<u64>)> {
    let process = process(pid).ok()?;
    let io = process.io().ok();
    let bytes = io.map(|io| io.rchar + io.wchar + io.read_bytes + io.write_bytes);
    Some((Stat::of(&process)?, bytes))
}

/// All processes that can be seen; none where /proc cannot be listed.
pub fn all() -> Vec<Stat> {
    let all = all_processes().into_iter().flatten().flatten();
    // One that has ended meanwhile is no loss.
    all.filter_map(|process| Stat::of(&process)).collect()
}

/// The descendants of a process, found through the kernel's own lists. Quick, but a process that is forking
/// or ending just now may be missed.
///
/// # Errors
/// This kernel keeps no such lists (CONFIG_PROC_CHILDREN), or /proc cannot be read.
pub fn descendants(pid: Pid) -> ProcResult<Vec<Pid>> {
    let mut found = children(pid)?;
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        found.extend(children(pid).unwrap_or_default());
        next += 1;
    }
    Ok(found)
}

fn children(pid: Pid) -> ProcResult<Vec<Pid>> {
    let mut found = Vec::new();
    for task in process(pid)?.tasks()?.flatten() {
        let children = task.children()?.into_iter();
        found.extend(children.filter_map(|child| Pid::from_raw(child as i32)));
    }
    Ok(found)
}

/// What a process has open, as far as it tells of progress.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptors {
    /// Regular files: descriptor, path, offset.
    pub files: Vec<(i32, PathBuf, u64)>,
    /// Inodes of sockets.
    pub sockets: Vec<u64>,
}

/// What a process has open; nothing where that must not be seen.
pub fn opened(pid: Pid) -> Descriptors {
    /// More than anybody wants to look at; a process may have a million.
    const MANY: usize = 4096;
    const FILES: usize = 256;
    let mut found = Descriptors::default();
    let Ok(process) = process(pid) else {
        return found;
    };
    for fd in process.fd().into_iter().flatten().flatten().take(MANY) {
        match fd.target {
            FDTarget::Socket(inode) => found.sockets.push(inode),
            // Devices have no offset worth knowing.
            FDTarget::Path(path) if !path.starts_with("/dev") && found.files.len() < FILES => {
                if let Some(offset) = offset(&process, fd.fd) {
                    found.files.push((fd.fd, path, offset));
                }
            }
            _ => {}
        }
    }
    found
}

fn offset(process: &Process, fd: i32) -> Option<u64> {
    let info = info(process, fd)?;
    let offset = info.lines().find_map(|line| line.strip_prefix("pos:"))?;
    offset.trim().parse().ok()
}

/// What the kernel says of a descriptor.
fn info(process: &Process, fd: i32) -> Option<String> {
    let mut file = process.open_relative(format!("fdinfo/{fd}")).ok()?;
    let mut info = String::new();
    file.read_to_string(&mut info).ok()?;
    Some(info)
}

/// Who holds a lock on this file, as far as that may be known, but for this process. Others may have the file
/// open, a backup, say.
pub fn holders(path: &Path) -> Vec<Stat> {
    let Ok(path) = path.canonicalize() else {
        return Vec::new();
    };
    let mut all = all();
    all.retain(|stat| stat.pid != getpid() && !stat.has_ended() && holds(stat.pid, &path));
    all
}

fn holds(pid: Pid, path: &Path) -> bool {
    let Ok(process) = process(pid) else {
        return false;
    };
    let mut open = process.fd().into_iter().flatten().flatten();
    open.any(|fd| {
        let FDTarget::Path(target) = &fd.target else {
            return false;
        };
        let locks = |info: String| info.lines().any(|line| line.starts_with("lock:"));
        target == path && info(&process, fd.fd).is_some_and(locks)
    })
}

/// Did a process start with this value in its environment?
pub fn has_mark(pid: Pid, name: &str, value: &str) -> bool {
    let environment = process(pid).and_then(|process| process.environ());
    let is = |of: &std::ffi::OsString| of == value;
    environment.is_ok_and(|environment| environment.get(OsStr::new(name)).is_some_and(is))
}

/// The network namespace that a process is in, where that may be known.
pub fn network(pid: Pid) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/net")).ok()
}

/// A list of the sockets of a process's network namespace, as `/proc/PID/net/tcp`.
pub fn net(pid: Pid, list: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/net/{list}")).ok()
}

/// The function of the kernel in which a process waits, where that may be known.
pub fn waits_in(pid: Pid) -> Option<String> {
    let name = process(pid).and_then(|process| process.wchan()).ok()?;
    (!name.is_empty() && name != "0").then_some(name)
}

/// How much of the last ten seconds work stood still for want of what, in percent.
pub fn pressures() -> impl Iterator<Item = (&'static str, f32)> {
    let cpu = CpuPressure::current().map(|of| ("cpu", of.some.avg10));
    let io = IoPressure::current().map(|of| ("io", of.some.avg10));
    let memory = MemoryPressure::current().map(|of| ("memory", of.some.avg10));
    [cpu, io, memory].into_iter().flatten()
}

/// The signals that this process ignores, and so its children: bit 0 is signal 1.
pub fn ignored() -> u64 {
    let stat = Process::myself().and_then(|process| process.stat());
    stat.map_or(0, |stat| stat.sigignore)
}
