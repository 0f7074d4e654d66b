//! A control group for a command and all that it starts: cgroups(7), version 2.
//!
//! Nothing leaves it by forking, its members are one short list, and KILL to all of them is one write,
//! which no fork can outrun. It is made only inside of a group that was delegated, which systemd marks
//! for a unit with `Delegate=yes`: any other part of the tree has one master, and that is not us.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{getxattr, statfs},
    process::{Pid, getpid},
};

use crate::proc::Proc;

/// Where version 2 is mounted: alone, or beside version 1.
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/// CGROUP2_SUPER_MAGIC of linux/magic.h.
const MAGIC: u64 = 0x6367_7270;
/// What systemd sets on a group that it delegated.
const DELEGATED: &str = "user.delegate";

/// A group below our own. It is removed, where nobody is in it, when dropped.
#[derive(Debug)]
pub struct Cgroup {
    folder: PathBuf,
}

impl Cgroup {
    /// Makes one; nothing where none may be made.
    pub fn make(proc: &Proc) -> Option<Cgroup> {
        let own = proc.cgroup()?;
        let mounts = MOUNTS.map(Path::new);
        let mount = mounts.into_iter().find(|mount| is_version_2(mount))?;
        let ours = mount.join(own.strip_prefix("/").ok()?);
        // In a container the path may be that of another tree.
        if !members(&ours).contains(&getpid()) || !is_delegated(&ours) {
            return None;
        }
        let name = format!("stall-watch-{}", getpid().as_raw_nonzero());
        let folder = ours.join(name);
        fs::create_dir(&folder).ok()?;
        Some(Cgroup { folder })
    }

    /// Moves a process here. One that has ended, or that is another user's, is not.
    pub fn take(&self, pid: Pid) {
        let pid = pid.as_raw_nonzero().to_string();
        let _ = fs::write(self.folder.join("cgroup.procs"), pid);
    }

    /// Those that are here, zombies among them.
    pub fn members(&self) -> Vec<Pid> {
        members(&self.folder)
    }

    /// Kills all of them at once (Linux 5.14 and later).
    pub fn kill(&self) {
        let _ = fs::write(self.folder.join("cgroup.kill"), "1");
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // A daemon that outlives its command keeps it.
        let _ = fs::remove_dir(&self.folder);
    }
}

fn is_version_2(mount: &Path) -> bool {
    statfs(mount).is_ok_and(|about| about.f_type as u64 == MAGIC)
}

fn is_delegated(group: &Path) -> bool {
    let mut value = [0; 8];
    let length = getxattr(group, DELEGATED, &mut value[..]);
    length.is_ok_and(|length| value[..length] == *b"1")
}

fn members(group: &Path) -> Vec<Pid> {
    let list = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    let pids = list.lines().filter_map(|line| line.parse().ok());
    pids.filter_map(Pid::from_raw).collect()
}
