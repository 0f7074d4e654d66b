//! How busy a machine is: its disks, what waits for them, its memory.

use std::{fs, path::Path, time::Duration};

use crate::disk::Machine;

/// Figures over an interval, in percent. What is not known is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Of the time, how much the busiest of the disks had something to do.
    pub disk: Option<f64>,
    /// Of the time, how much some process stood still for want of a disk (PSI).
    pub io: Option<f64>,
    /// Of the memory, how much is in use and cannot be had at once.
    pub memory: Option<f64>,
}

/// Counters at one moment.
#[derive(Clone, Debug)]
pub struct Reading {
    at: Duration,
    /// Milliseconds in which each disk had something to do.
    busy: Vec<Option<u64>>,
    /// Microseconds in which some process stood still for want of a disk.
    waited: Option<u64>,
    memory: Option<f64>,
}

impl Reading {
    /// Reads the counters of these disks; `at` is the time since any fixed moment.
    pub fn take(machine: &Machine, disks: &[String], at: Duration) -> Reading {
        let text = |name: &str| fs::read_to_string(machine.proc.join(Path::new(name)));
        let stats = text("diskstats").unwrap_or_default();
        Reading {
            at,
            busy: disks.iter().map(|disk| busy(&stats, disk)).collect(),
            waited: text("pressure/io").ok().and_then(|text| waited(&text)),
            memory: text("meminfo").ok().and_then(|text| memory(&text)),
        }
    }

    /// What happened between an earlier reading and this one.
    pub fn since(&self, earlier: &Reading) -> Figures {
        let time = self.at.saturating_sub(earlier.at).as_secs_f64();
        let share = |before: u64, now: u64, unit: f64| {
            // A counter that went back is another's: the device was taken out, and one put in.
            let spent = now.checked_sub(before)? as f64 * unit;
            (time > 0.0).then(|| (100.0 * spent / time).min(100.0))
        };
        let disks: Option<Vec<f64>> = earlier
            .busy
            .iter()
            .zip(&self.busy)
            .map(|(before, now)| share((*before)?, (*now)?, 1e-3))
            .collect();
        Figures {
            disk: disks.and_then(|disks| disks.into_iter().reduce(f64::max)),
            io: (|| share(earlier.waited?, self.waited?, 1e-6))(),
            memory: self.memory,
        }
    }
}

/// The 13th word of a disk's line in /proc/diskstats: iostats.rst of the kernel.
fn busy(stats: &str, disk: &str) -> Option<u64> {
    let mut lines = stats.lines().map(|line| line.split_ascii_whitespace());
    let line = lines.find(|words| words.clone().nth(2) == Some(disk))?;
    line.clone().nth(12)?.parse().ok()
}

fn waited(pressure: &str) -> Option<u64> {
    let line = pressure.lines().find(|line| line.starts_with("some"))?;
    line.split_once("total=")?.1.trim().parse().ok()
}

fn memory(info: &str) -> Option<f64> {
    let field = |name: &str| -> Option<f64> {
        let line = info.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().next()?.parse().ok()
    };
    let total = field("MemTotal:").filter(|total| *total > 0.0)?;
    Some(100.0 * (1.0 - field("MemAvailable:")? / total).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATS: &str = " 259       0 nvme0n1 1 2 3 4 5 6 7 8 0 9000 11 0 0 0 0 0 0
 259       1 nvme0n1p1 1 2 3 4 5 6 7 8 0 77 11 0 0 0 0 0 0
   8       0 sda 1 2 3 4 5 6 7 8 0 100 11\n";

    fn reading(at: u64, busy: &[Option<u64>], waited: Option<u64>) -> Reading {
        Reading {
            at: Duration::from_secs(at),
            busy: busy.to_vec(),
            waited,
            memory: None,
        }
    }

    #[test]
    fn the_disk_s_own_line_is_read_and_no_partition_s() {
        assert_eq!(busy(STATS, "nvme0n1"), Some(9000));
        assert_eq!(busy(STATS, "sda"), Some(100));
        assert_eq!(busy(STATS, "sd"), None);
    }

    #[test]
    fn the_busiest_disk_counts_and_none_can_be_more_than_busy() {
        let before = reading(10, &[Some(1000), Some(0)], Some(0));
        let now = reading(20, &[Some(3000), Some(9500)], Some(2_000_000));
        let figures = now.since(&before);
        assert_eq!((figures.disk, figures.io), (Some(95.0), Some(20.0)));
        let now = reading(20, &[Some(30_000), Some(0)], None);
        assert_eq!(now.since(&before).disk, Some(100.0));
    }

    /// original.md 8.D.10: without a figure every decision failed, memory's too.
    #[test]
    fn what_cannot_be_had_is_left_out_and_takes_nothing_with_it() {
        let before = reading(10, &[Some(1000), None], Some(5));
        let now = reading(20, &[Some(900), None], None);
        assert_eq!(now.since(&before), Figures::default());
        assert_eq!(before.since(&before).io, None);
        let memory = memory("MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable:  250 kB\n");
        assert_eq!(memory, Some(75.0));
    }

    #[test]
    fn pressure_is_told_by_its_total() {
        let text = "some avg10=0.00 avg60=1.11 avg300=17.90 total=1097609495\nfull total=1\n";
        assert_eq!(waited(text), Some(1_097_609_495));
    }
}
