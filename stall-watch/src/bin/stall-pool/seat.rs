//! A worker's seat: a file that is locked as long as the worker lives, and that says who sits there.
//!
//! The lock is the kernel's, held by the worker's keeper and by all that the worker started. So there
//! are never two workers with one number, whatever becomes of the pool, its state, or its memory.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::{Errno, FdFlags, fcntl_setfd},
    process::Pid,
};
use stall_watch::proc::{Proc, Stat};

use crate::life::End;

/// Who sits or sat there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sitter {
    /// The keeper.
    pub(crate) pid: Pid,
    /// When it started, in ticks since this boot.
    pub(crate) start: u64,
    boot: String,
    /// Which start of the worker it is.
    pub(crate) run: u32,
    /// How the worker ended.
    pub(crate) end: Option<End>,
}

/// A look at a seat.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Look {
    /// Nobody sits there; somebody may have.
    Free(Option<Sitter>),
    /// Somebody does; who, is not known in the moment it is taken.
    Taken(Option<Sitter>),
}

impl Sitter {
    /// Does the keeper live? A number alone tells nothing: it may be another's by now.
    pub(crate) fn lives(&self, proc: &Proc) -> bool {
        self.boot == boot() && proc.stat(self.pid).is_ok_and(|stat| self.is(&stat))
    }

    fn is(&self, stat: &Stat) -> bool {
        stat.start == self.start && !stat.has_ended()
    }

    fn parse(text: &str) -> Option<Sitter> {
        let mut lines = text.lines();
        let mut words = lines.next()?.split(' ');
        let mut next = || words.next();
        Some(Sitter {
            pid: Pid::from_raw(next()?.parse().ok()?)?,
            start: next()?.parse().ok()?,
            boot: next()?.into(),
            run: next()?.parse().ok()?,
            end: lines.next().and_then(|line| {
                let (kind, rest) = line.split_once(' ')?;
                Some(match kind {
                    "code" => End::Code(rest.parse().ok()?),
                    "signal" => End::Signal(rest.parse().ok()?),
                    "failed" => End::NotStarted(rest.into()),
                    _ => return None,
                })
            }),
        })
    }
}

/// Looks at a seat without taking it.
pub(crate) fn look(path: &Path) -> io::Result<Look> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Look::Free(None)),
        Err(error) => return Err(error),
    };
    let taken = match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => false,
        Err(Errno::WOULDBLOCK) => true,
        Err(error) => return Err(error.into()),
    };
    // Read after the lock was tried: what a free seat says is final.
    let sitter = Sitter::parse(&fs::read_to_string(path)?);
    Ok(match taken {
        true => Look::Taken(sitter),
        false => Look::Free(sitter),
    })
}

/// Those that hold a seat, as far as they may be seen.
pub(crate) fn holders(proc: &Proc, path: &Path) -> Vec<Stat> {
    let Ok(path) = path.canonicalize() else {
        return Vec::new();
    };
    let holds = |stat: &Stat| {
        let files = proc.opened(stat.pid).unwrap_or_default().files;
        files.iter().any(|(_, file, _)| *file == path)
    };
    let mut all = proc.all().unwrap_or_default();
    all.retain(|stat| stat.pid != rustix::process::getpid() && !stat.has_ended() && holds(stat));
    all
}

/// A seat that this process has taken, for itself and for what it starts.
#[derive(Debug)]
pub(crate) struct Seat(File);

impl Seat {
    /// Takes it, unless somebody else has.
    pub(crate) fn take(path: &Path) -> io::Result<Option<Seat>> {
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        // What is started here inherits the lock.
        fcntl_setfd(&file, FdFlags::empty())?;
        Ok(Some(Seat(file)))
    }

    /// Says who sits here, before the worker is started.
    pub(crate) fn sit(&mut self, proc: &Proc, run: u32) -> io::Result<()> {
        let me = proc.stat(rustix::process::getpid())?;
        self.0.set_len(0)?;
        let line = format!("{} {} {} {run}\n", me.pid, me.start, boot());
        self.0.write_all(line.as_bytes())
    }

    /// Says how the worker ended.
    pub(crate) fn end(&mut self, end: &End) -> io::Result<()> {
        let line = match end {
            End::Code(code) => format!("code {code}\n"),
            End::Signal(signal) => format!("signal {signal}\n"),
            End::NotStarted(reason) => format!("failed {}\n", reason.replace('\n', " ")),
            End::Unknown => return Ok(()),
        };
        self.0.write_all(line.as_bytes())
    }
}

/// Which boot this is: the times of processes count from it.
fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.map_or_else(|_| "unknown".into(), |id| id.trim().into())
}

#[cfg(test)]
mod tests {
    use harness::Workdir;

    use super::*;

    #[test]
    fn a_seat_is_one_s_and_tells_how_it_was_left() {
        let work = Workdir::new();
        let path = work.join("seat");
        assert_eq!(look(&path).unwrap(), Look::Free(None));
        let mut seat = Seat::take(&path).unwrap().unwrap();
        assert_eq!(look(&path).unwrap(), Look::Taken(None));
        assert!(Seat::take(&path).unwrap().is_none());
        let proc = Proc::default();
        seat.sit(&proc, 7).unwrap();
        let Look::Taken(Some(sitter)) = look(&path).unwrap() else {
            panic!()
        };
        assert!(sitter.lives(&proc) && sitter.run == 7 && sitter.end.is_none());
        for end in [
            End::Code(3),
            End::Signal(15),
            End::NotStarted("no\nsuch".into()),
        ] {
            seat.sit(&proc, 8).unwrap();
            seat.end(&end).unwrap();
            let Look::Taken(Some(sitter)) = look(&path).unwrap() else {
                panic!()
            };
            let shown = match end {
                End::NotStarted(_) => End::NotStarted("no such".into()),
                end => end,
            };
            assert_eq!(sitter.end, Some(shown));
        }
        drop(seat);
        assert!(matches!(look(&path).unwrap(), Look::Free(Some(sitter)) if sitter.run == 8));
    }

    #[test]
    fn another_process_of_that_number_is_not_the_sitter() {
        let work = Workdir::new();
        let proc = Proc::default();
        let mut seat = Seat::take(&work.join("seat")).unwrap().unwrap();
        seat.sit(&proc, 1).unwrap();
        let Look::Taken(Some(sitter)) = look(&work.join("seat")).unwrap() else {
            panic!()
        };
        let later = Sitter {
            start: sitter.start + 1,
            ..sitter.clone()
        };
        let booted = Sitter {
            boot: "another".into(),
            ..sitter
        };
        assert!(!later.lives(&proc) && !booted.lives(&proc));
    }
}
