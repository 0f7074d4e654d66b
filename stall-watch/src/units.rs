//! `STALL_PROGRESS_FD`: the descriptor on which a command reports its units.
//!
//! One line a unit, `work` or `discovery`; or `waiting SECONDS WHAT` of one that waits on purpose, for so
//! long at most, until its next line. The variable holds the number of a descriptor that the
//! command and its children inherit; a program opens `/dev/fd/NUMBER` for appending, or writes to it
//! straight away. Writing never has to wait: a unit that finds no room may be dropped, since one in
//! a while is all that is asked for.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    time::{Duration, Instant},
};

use rustix::{
    fs::{OFlags, fcntl_setfl},
    io::{FdFlags, fcntl_setfd},
    pipe::{PipeFlags, pipe_with},
};

/// The variable.
pub const VARIABLE: &str = "STALL_PROGRESS_FD";

/// Units that were reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Items that were done.
    pub work: u64,
    /// Items that were looked at and need no work.
    pub discovery: u64,
}

/// It waits on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// For so long at most.
    pub until: Instant,
    /// For what.
    pub what: String,
}

/// The reading end.
#[derive(Debug)]
pub struct Units {
    from: OwnedFd,
    /// The watchdog that watches us wants to know as well.
    outer: Option<File>,
    line: Vec<u8>,
    wait: Option<Wait>,
}

/// The end that the command inherits. Dropped once it has: what is open is open there.
#[derive(Debug)]
pub struct Reporter(OwnedFd);

impl Reporter {
    /// The value of the variable.
    pub fn number(&self) -> String {
        self.0.as_raw_fd().to_string()
    }
}

/// A pipe for the units of one command.
///
/// # Errors
/// No descriptors are left.
pub fn open() -> io::Result<(Units, Reporter)> {
    let (from, to) = pipe_with(PipeFlags::CLOEXEC)?;
    fcntl_setfl(&from, OFlags::NONBLOCK)?;
    fcntl_setfd(&to, FdFlags::empty())?;
    let units = Units {
        from,
        outer: outer(),
        line: Vec::new(),
        wait: None,
    };
    Ok((units, Reporter(to)))
}

fn outer() -> Option<File> {
    let number: u32 = std::env::var(VARIABLE).ok()?.parse().ok()?;
    OpenOptions::new()
        .append(true)
        .custom_flags(OFlags::NONBLOCK.bits() as i32)
        .open(format!("/dev/fd/{number}"))
        .ok()
}

impl Units {
    /// What was reported since the last call.
    pub fn read(&mut self) -> Count {
        let mut count = Count::default();
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = rustix::io::read(&self.from, &mut buffer) {
            if let Some(outer) = &mut self.outer {
                // A watchdog that does not read must not stop anybody.
                let _ = outer.write_all(&buffer[..length]);
            }
            self.take(&buffer[..length], &mut count);
        }
        count
    }

    /// What it waits for on purpose, where it last said that it does.
    pub fn wait(&self) -> Option<&Wait> {
        self.wait
            .as_ref()
            .filter(|wait| wait.until > Instant::now())
    }

    fn take(&mut self, bytes: &[u8], count: &mut Count) {
        /// Longer than any line that means something, even after a torn one.
        const LONG: usize = 1024;
        for &byte in bytes {
            if byte != b'\n' {
                if self.line.len() < LONG {
                    self.line.push(byte);
                }
                continue;
            }
            // The end is enough: a line that a full pipe tore stands before the next one.
            if let Some((left, what)) = waiting(&self.line) {
                let until = Instant::now().checked_add(left);
                self.wait = until.map(|until| Wait { until, what });
            } else if self.line.ends_with(b"work") {
                count.work += 1;
                self.wait = None;
            } else if self.line.ends_with(b"discovery") {
                count.discovery += 1;
                self.wait = None;
            }
            self.line.clear();
        }
    }
}

/// `waiting SECONDS WHAT`; what is waited for may be left out.
fn waiting(line: &[u8]) -> Option<(Duration, String)> {
    /// Longer is not believed anyway, and no clock has an end before.
    const LONG: f64 = 1e8;
    let line = String::from_utf8_lossy(line);
    let (_, said) = line.split_once("waiting ")?;
    let (seconds, what) = said.split_once(' ').unwrap_or((said, ""));
    let seconds = seconds
        .parse::<f64>()
        .ok()
        .filter(|seconds| *seconds >= 0.0)?;
    Some((Duration::from_secs_f64(seconds.min(LONG)), what.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_wherever_they_were_cut() {
        let (mut units, reporter) = open().unwrap();
        let write = |text: &str| rustix::io::write(&reporter.0, text.as_bytes()).unwrap();
        write("work\nwork\ndisc");
        assert_eq!(
            units.read(),
            Count {
                work: 2,
                discovery: 0
            }
        );
        write("overy\nnonsense\nwowork\n\n");
        assert_eq!(
            units.read(),
            Count {
                work: 1,
                discovery: 1
            }
        );
        write(&"x".repeat(10_000));
        write("\nwork\n");
        assert_eq!(
            units.read(),
            Count {
                work: 1,
                discovery: 0
            }
        );
        assert_eq!(units.read(), Count::default());
    }

    #[test]
    fn who_waits_is_believed_for_so_long_as_it_says_and_until_it_goes_on() {
        let (mut units, reporter) = open().unwrap();
        let mut said = |text: &str| {
            rustix::io::write(&reporter.0, text.as_bytes()).unwrap();
            let count = units.read();
            let left = |wait: &Wait| wait.until.duration_since(Instant::now()).as_secs();
            let wait = units.wait().map(|wait| (left(wait), wait.what.clone()));
            (count.work + count.discovery, wait)
        };
        // What is waited for is no unit, whatever its last word is.
        let network = Some((59, "the network".into()));
        assert_eq!(said("work\nwaiting 60 the network\n"), (1, network.clone()));
        assert_eq!(said("nonsense\nwai"), (0, network));
        assert_eq!(said("ting 90.5\n"), (0, Some((90, String::new()))));
        assert_eq!(said("work\n"), (1, None));
        assert_eq!(said("wowaiting 60 x\ndiscovery\n"), (1, None));
        assert_eq!(said("waiting 60 x\nwaiting 0\n"), (0, None));
        assert!(said("waiting 1e300 x\n").1.is_some());
        for none in [
            "waiting\n",
            "waiting soon x\n",
            "waiting -1 x\n",
            "waiting nan\n",
        ] {
            assert_eq!(said(&format!("work\n{none}")), (1, None), "{none}");
        }
    }
}
