//! `/proc/PID/stat`.

use std::{str::SplitAsciiWhitespace, time::Duration};

use rustix::process::Pid;

use super::TICK;

/// What a line of `/proc/PID/stat` says, as far as we care.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The process.
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
    /// Reads the line; the name may hold anything, parentheses and newlines among it.
    pub(super) fn parse(line: &[u8]) -> Option<Stat> {
        let open = line.iter().position(|&byte| byte == b'(')?;
        let close = line.iter().rposition(|&byte| byte == b')')?;
        let pid = str::from_utf8(&line[..open]).ok()?.trim().parse().ok()?;
        let fields: Vec<&str> = after_name(line)?.collect();
        let field = |n: usize| fields.get(n - 3).copied();
        let count = |n| field(n)?.parse::<u64>().ok();
        // Of a process that is just being reaped, the kernel says -1.
        let known = |raw: &i32| *raw > 0;
        let process = |n| Pid::from_raw(field(n)?.parse().ok().filter(known)?);
        let ticks = count(14)? + count(15)? + count(16)? + count(17)?;
        Some(Stat {
            pid: Pid::from_raw(pid)?,
            name: String::from_utf8_lossy(&line[open + 1..close]).into_owned(),
            state: field(3)?.chars().next()?,
            parent: process(4),
            group: process(5),
            cpu: TICK.saturating_mul(ticks.try_into().unwrap_or(u32::MAX)),
            start: count(22)?,
        })
    }

    /// The signals that the process ignores, below the real-time ones: bit 0 is signal 1.
    pub(super) fn ignored(line: &[u8]) -> Option<u64> {
        after_name(line)?.nth(33 - 3)?.parse().ok()
    }

    /// Has it ended, and only waits to be waited for?
    pub fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// The fields from the one that proc(5) calls number 3 on.
fn after_name(line: &[u8]) -> Option<SplitAsciiWhitespace<'_>> {
    let close = line.iter().rposition(|&byte| byte == b')')?;
    let rest = str::from_utf8(line.get(close + 1..)?).ok()?;
    Some(rest.split_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_hides_nothing() {
        let line = b"12 (a) R (1 ) S 5 12 7 0 -1 4194304 1 2 3 4 100 20 30 1 20 0 1 0 987 1 1\n";
        let stat = Stat::parse(line).unwrap();
        assert_eq!(stat.pid, Pid::from_raw(12).unwrap());
        assert_eq!(stat.name, "a) R (1 ");
        assert_eq!((stat.state, stat.parent), ('S', Pid::from_raw(5)));
        assert_eq!(stat.group, Pid::from_raw(12));
        assert_eq!(stat.cpu, Duration::from_millis(1510));
        assert_eq!(stat.start, 987);
    }

    #[test]
    fn one_that_is_just_being_reaped_has_neither_parent_nor_group() {
        let line = b"12 (a) X 0 -1 -1 0 -1 4194304 1 2 3 4 0 0 0 0 20 0 1 0 987 1 1\n";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.parent, stat.group), (None, None));
    }

    #[test]
    fn half_a_line_is_no_process() {
        for line in [
            &b""[..],
            b"12",
            b"12 (a",
            b"12 (a)",
            b"12 (a) S 5 12 7",
            b") (",
        ] {
            assert_eq!(Stat::parse(line), None);
        }
    }
}
