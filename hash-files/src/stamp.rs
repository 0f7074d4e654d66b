//! What a file system says of a file: enough to tell that it is another one, or was changed.

use std::time::{Duration, SystemTime};

use rustix::fs::Stat;

/// A file system may count time in steps of up to two seconds (FAT does). A file changed again
/// within the step in which it was read keeps its times, and nobody could tell.
pub(crate) const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// Size, times and identity of a file at one moment.
///
/// A program can set `mtime` back after a change; `ctime` it cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The device that holds it. It may be numbered differently after a reboot.
    pub dev: u64,
    /// Its number on that device.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// Last change of the bytes, in nanoseconds since 1970.
    pub mtime: i128,
    /// Last change of bytes, name or attributes, in nanoseconds since 1970.
    pub ctime: i128,
}

impl Stamp {
    /// The stamp in what the system said.
    pub fn of(stat: &Stat) -> Stamp {
        let nanoseconds =
            |seconds: i64, rest: u64| i128::from(seconds) * 1_000_000_000 + rest as i128;
        Stamp {
            dev: stat.st_dev,
            inode: stat.st_ino,
            size: stat.st_size.unsigned_abs(),
            mtime: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
            ctime: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
        }
    }

    /// `mtime` as records have it: RFC 3339 in UTC with nine decimals. A time beyond the years
    /// -9999 to 9999, which some file systems can hold, is shown as the nearest of them.
    pub fn mtime_text(&self) -> String {
        time_text(self.mtime)
    }

    /// Had the file been still for this long at `now`? One whose times lie in the future had not.
    pub fn still_for(&self, time: Duration, now: SystemTime) -> bool {
        since(self.mtime.max(self.ctime), now) >= time
    }

    /// How long before `now` anything of the file was changed; nothing if that lies in the future.
    pub fn changed_before(&self, now: SystemTime) -> Duration {
        since(self.ctime, now)
    }
}

/// Nanoseconds since 1970 as records have them; see [`Stamp::mtime_text`].
pub fn time_text(nanoseconds: i128) -> String {
    let nearest = if nanoseconds < 0 {
        jiff::Timestamp::MIN
    } else {
        jiff::Timestamp::MAX
    };
    let time = jiff::Timestamp::from_nanosecond(nanoseconds).unwrap_or(nearest);
    format!("{time:.9}")
}

fn since(then: i128, now: SystemTime) -> Duration {
    let now = match now.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => since.as_nanos() as i128,
        Err(before) => -(before.duration().as_nanos() as i128),
    };
    Duration::from_nanos(u64::try_from((now - then).max(0)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mtime: i128, ctime: i128) -> Stamp {
        Stamp {
            dev: 1,
            inode: 2,
            size: 3,
            mtime,
            ctime,
        }
    }

    #[test]
    fn times_are_text_with_nanoseconds() {
        assert_eq!(at(0, 0).mtime_text(), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(
            at(1_732_263_248_123_456_789, 0).mtime_text(),
            "2024-11-22T08:14:08.123456789Z"
        );
        assert_eq!(at(-1, 0).mtime_text(), "1969-12-31T23:59:59.999999999Z");
        assert!(
            at(i128::from(i64::MAX) * 1_000_000_000, 0)
                .mtime_text()
                .starts_with("9999-")
        );
    }

    #[test]
    fn a_file_is_still_when_both_its_times_are_old() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        let s = 1_000_000_000;
        let still = |mtime, ctime| at(mtime, ctime).still_for(Duration::from_secs(60), now);
        assert!(still(40 * s, 40 * s));
        assert!(!still(40 * s + 1, 0));
        assert!(!still(0, 40 * s + 1));
        assert!(!still(0, 200 * s));
    }
}
