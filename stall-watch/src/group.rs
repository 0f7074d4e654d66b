//! A command and all its descendants.
//!
//! They are found by descent. Whoever watches adopts their orphans ([`adopt_orphans`]), so a daemon
//! that forked twice, or began a session of its own, is a descendant still; the process group that
//! the command leads is one call to signal, and all there is where /proc cannot be read. That nothing is
//! left is known for certain: the kernel says so, by `ECHILD`.

use std::{
    collections::HashMap,
    io,
    os::unix::process::CommandExt,
    process::{Child, Command},
};

use rustix::{
    io::Errno,
    process::{
        self, Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group,
        pidfd_open, pidfd_send_signal, set_child_subreaper,
    },
};

use procfs::ProcResult;

use crate::proc::{self, Stat};

/// Makes this process the parent of all its descendants whose own parents end.
///
/// # Errors
/// The kernel cannot do it (before Linux 3.4).
pub fn adopt_orphans() -> io::Result<()> {
    Ok(set_child_subreaper(Some(process::getpid()))?)
}

/// What [`reap`] found.
#[derive(Debug, Default)]
pub struct Reaped {
    /// Children that have ended, adopted ones among them, and how.
    pub ended: Vec<(Pid, WaitStatus)>,
    /// No child is left, and so no descendant: each would have been adopted.
    pub none_left: bool,
}

/// Waits for all children that have ended, without waiting for one to end.
pub fn reap() -> Reaped {
    let mut reaped = Reaped::default();
    loop {
        match process::wait(WaitOptions::NOHANG) {
            Ok(Some(child)) => reaped.ended.push(child),
            Ok(None) => return reaped,
            Err(Errno::INTR) => {}
            Err(_) => {
                reaped.none_left = true;
                return reaped;
            }
        }
    }
}

/// Starts a command as execvp(3) does: what is no program is a script of /bin/sh.
///
/// # Errors
/// As [`Command::spawn`].
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    match command.spawn() {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NOEXEC) => {
            // posix_spawn(3), which std prefers, knows no such scripts. It cannot set a group id, not even
            // the one that there is; then std calls execvp itself.
            command.gid(process::getgid().as_raw()).spawn()
        }
        other => other,
    }
}

/// Where a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a process group of its own, which it leads.
    OwnGroup,
    /// In ours: the one that has the terminal, so that it may read from it, and that ^C and ^Z reach.
    OurGroup,
}

/// Whose descendants are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Orphans {
    /// Every child of this process belongs to this one group.
    All,
    /// This process watches several groups. An adopted orphan belongs to the one in which it was seen, whose
    /// process group it is in, or whose mark (name, value) is in its environment.
    Marked(&'static str, String),
}

/// A command that was started, with all that it started.
#[derive(Debug)]
pub struct Group {
    root: Pid,
    place: Place,
    orphans: Orphans,
    /// Number and start of every process that was seen, so that neither is mistaken later.
    known: HashMap<Pid, u64>,
    ended: Option<WaitStatus>,
}

impl Group {
    /// Starts a command.
    ///
    /// # Errors
    /// As [`spawn`].
    pub fn start(mut command: Command, place: Place, orphans: Orphans) -> io::Result<Group> {
        if place == Place::OwnGroup {
            command.process_group(0);
        }
        let child = spawn(&mut command)?;
        Ok(Group {
            root: Pid::from_child(&child),
            place,
            orphans,
            known: HashMap::new(),
            ended: None,
        })
    }

    /// The command itself.
    pub fn root(&self) -> Pid {
        self.root
    }

    /// How the command itself has ended.
    pub fn ended(&self) -> Option<WaitStatus> {
        self.ended
    }

    /// Takes note of those that have ended.
    pub fn note(&mut self, reaped: &Reaped) {
        for (pid, status) in &reaped.ended {
            if *pid == self.root && self.ended.is_none() {
                self.ended = Some(*status);
            }
            self.known.remove(pid);
        }
    }

    /// All of it that lives, by a look at every process there is. Empty where /proc cannot be read.
    pub fn members(&mut self) -> Vec<Stat> {
        let me = process::getpid();
        let seed = |stat: &Stat| {
            // A number that was waited for may be another's by now.
            let root = stat.pid == self.root && self.ended.is_none();
            let grouped = self.place == Place::OwnGroup
                && stat.group == Some(self.root)
                && (self.ended.is_none() || stat.parent == Some(me));
            let known = self.known.get(&stat.pid) == Some(&stat.start);
            let adopted = stat.parent == Some(me) && self.adopts(stat);
            root || grouped || known || adopted
        };
        let found = descended(proc::all(), seed);
        self.known = found.iter().map(|stat| (stat.pid, stat.start)).collect();
        found
    }

    /// Is this child of ours, whom nobody here has started, one of the group?
    fn adopts(&self, child: &Stat) -> bool {
        match &self.orphans {
            Orphans::All => true,
            Orphans::Marked(name, value) => {
                child.pid != self.root && proc::has_mark(child.pid, name, value)
            }
        }
    }

    /// The numbers of those that live, found at less cost; unless `all` is asked for, perhaps not every one.
    pub fn roughly(&mut self, all: bool) -> Vec<Pid> {
        let found = match self.orphans {
            Orphans::All => proc::descendants(process::getpid()).ok(),
            Orphans::Marked(..) if !all && self.ended.is_none() => self.descendants().ok(),
            Orphans::Marked(..) => None,
        };
        found.unwrap_or_else(|| self.members().iter().map(|stat| stat.pid).collect())
    }

    /// The command and its descendants, and those that were seen and have become orphans since.
    fn descendants(&mut self) -> ProcResult<Vec<Pid>> {
        let mut found = proc::descendants(self.root)?;
        found.push(self.root);
        let known = std::mem::take(&mut self.known);
        let lives = |(pid, start): &(Pid, u64)| proc::stat(*pid).is_some_and(|s| s.start == *start);
        for (orphan, _) in known.into_iter().filter(lives) {
            if !found.contains(&orphan) {
                found.push(orphan);
                found.extend(proc::descendants(orphan)?);
            }
        }
        let stats = found.iter().filter_map(|pid| proc::stat(*pid));
        self.known = stats.map(|stat| (stat.pid, stat.start)).collect();
        Ok(found)
    }

    /// Sends a signal to the process group that the command leads, and wakes it, so that it notices.
    pub fn ask(&self, signal: Signal) {
        // Once it was waited for, its number may be another's.
        if self.ended.is_none() && self.place == Place::OwnGroup {
            let _ = kill_process_group(self.root, signal);
            let _ = kill_process_group(self.root, Signal::CONT);
        }
    }

    /// Sends a signal to all of it, and wakes those that are stopped, so that they notice.
    pub fn signal(&mut self, signal: Signal) {
        let whole = self.place == Place::OwnGroup;
        let members = self.members();
        // The number of a group is not given to another while the group has a member.
        let alive = self.ended.is_none() || members.iter().any(|m| m.group == Some(self.root));
        if whole && (alive || members.is_empty()) {
            let _ = kill_process_group(self.root, signal);
        } else if members.is_empty() && self.ended.is_none() {
            let _ = kill_process(self.root, signal);
        }
        for stat in &members {
            if !(whole && stat.group == Some(self.root)) {
                send(stat, signal);
            }
        }
        if signal != Signal::KILL {
            if whole && alive {
                let _ = kill_process_group(self.root, Signal::CONT);
            }
            for stat in members.iter().filter(|stat| stat.state == 'T') {
                send(stat, Signal::CONT);
            }
        }
    }
}

/// Signals this process and no other that got its number meanwhile.
pub fn send(stat: &Stat, signal: Signal) {
    match pidfd_open(stat.pid, PidfdFlags::empty()) {
        Ok(held) => {
            if proc::stat(stat.pid).is_some_and(|now| now.start == stat.start) {
                let _ = pidfd_send_signal(held, signal);
            }
        }
        // Before Linux 5.3; a few microseconds lie between the look and this.
        Err(Errno::NOSYS) => {
            let _ = kill_process(stat.pid, signal);
        }
        Err(_) => {}
    }
}

/// Those of `all` that `seed` takes, and what descends from them, without those that have ended.
fn descended(all: Vec<Stat>, seed: impl Fn(&Stat) -> bool) -> Vec<Stat> {
    let mut wanted: HashMap<Pid, bool> = all.iter().map(|s| (s.pid, seed(s))).collect();
    loop {
        let before = wanted.values().filter(|wanted| **wanted).count();
        for stat in &all {
            let by_parent = stat.parent.and_then(|parent| wanted.get(&parent));
            if by_parent == Some(&true) {
                wanted.insert(stat.pid, true);
            }
        }
        if wanted.values().filter(|wanted| **wanted).count() == before {
            break;
        }
    }
    all.into_iter()
        .filter(|stat| wanted[&stat.pid] && !stat.has_ended())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn process(pid: i32, parent: i32, state: char) -> Stat {
        Stat {
            pid: Pid::from_raw(pid).unwrap(),
            name: "p".into(),
            state,
            parent: Pid::from_raw(parent),
            group: None,
            cpu: Duration::ZERO,
            start: 1,
        }
    }

    #[test]
    fn all_generations_are_found_in_whatever_order_and_none_of_others() {
        let all = vec![
            process(9, 8, 'S'),
            process(8, 7, 'Z'),
            process(7, 5, 'S'),
            process(5, 1, 'S'),
            process(6, 1, 'S'),
            process(10, 6, 'S'),
            process(1, 0, 'S'),
        ];
        let root = Pid::from_raw(5).unwrap();
        let mut found: Vec<i32> = descended(all, |stat| stat.pid == root)
            .iter()
            .map(|stat| stat.pid.as_raw_nonzero().get())
            .collect();
        found.sort();
        assert_eq!(found, [5, 7, 9]);
    }
}
