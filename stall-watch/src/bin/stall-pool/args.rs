//! The command line.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::Parser;
use stall_watch::{disk::Machine, sampler::ProgressSignal};
use wire::{
    Exit, OrFatal, Tool,
    records::{EVENT, POOL, SUMMARY, WORKER},
    tool::Output,
    value::{self, positive_duration},
};

use crate::{params::Params, scale::Bounds, worker::Rules};

/// The tool as its callers see it.
pub(crate) const TOOL: Tool = Tool {
    name: "stall-pool",
    emits: &[&POOL, &WORKER, &EVENT, &SUMMARY],
    acts: true,
};

/// Keep N copies of a command running, fewer while the disk or memory is short
///
/// A worker that makes no progress is ended, with all that it started, and restarted. Progress is what
/// stall-watch counts. A worker may report units of work: one line each, `work` or `discovery`, on the descriptor
/// that STALL_PROGRESS_FD names. After a unit of discovery --discovery-stall applies, else --stall. The line
/// `waiting SECONDS WHAT` there announces a wait on purpose: until then the worker is not stalled.
///
/// The first restart is immediate, the next comes after --cooldown, then twice that, and so on. A worker is paused
/// after --attempts restarts in a row without work within --verify. Exit codes 0 and 1 mean that a worker is
/// done; 2 and 3 pause it; 255 delays all starts by --cooldown; any other code is a failure.
///
/// While the disk is saturated, a stalled worker is not restarted: it is asked to end, and comes back when the
/// disk is calm. Workers end with their pool. After the pool was killed, the next one with the same --state
/// ends the workers that are left, and starts them again with the counters of the state.
#[derive(Parser)]
#[command(name = "stall-pool", version, after_help = AFTER, args_override_self = true)]
pub(crate) struct Args {
    /// Number of workers
    #[arg(short, long, value_name = "N", default_value_t = 4)]
    pub(crate) workers: u32,
    /// Fewest workers at a time
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) min: u32,
    /// Most workers at a time
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(crate) max: u32,

    /// Restart a worker after this long without progress
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = positive_duration)]
    pub(crate) stall: Duration,
    /// The same after a unit of discovery
    #[arg(long, value_name = "TIME", default_value = "20m", value_parser = positive_duration)]
    pub(crate) discovery_stall: Duration,
    /// Longest wait on purpose that is accepted without progress in between
    #[arg(long, value_name = "TIME", default_value = "2h", value_parser = positive_duration)]
    pub(crate) wait: Duration,
    /// What counts as progress
    #[arg(
        long,
        value_enum,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "output,cpu,io,units"
    )]
    pub(crate) signals: Vec<ProgressSignal>,
    /// CPU time of a worker between two looks that counts as progress
    #[arg(long, value_name = "TIME", default_value = "0.1s", value_parser = positive_duration)]
    pub(crate) cpu_min: Duration,
    /// Interval between two looks at a worker
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = positive_duration)]
    pub(crate) sample: Duration,

    /// Pause a worker after N restarts in a row without work
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) attempts: u32,
    /// Time between two restarts of a worker, doubled by each restart without work
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = positive_duration)]
    pub(crate) cooldown: Duration,
    /// Work must be back this long after a restart
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = positive_duration)]
    pub(crate) verify: Duration,
    /// Time to end for a worker that is asked to; for all together when the pool ends
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = positive_duration)]
    pub(crate) grace: Duration,
    /// Time from TERM to KILL for a stalled worker
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = positive_duration)]
    pub(crate) kill_after: Duration,

    /// Watch the disks that hold this path
    #[arg(long, value_name = "PATH", help_heading = "Scaling")]
    pub(crate) disk: Option<PathBuf>,
    /// Interval between two readings of disk and memory
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = positive_duration, help_heading = "Scaling")]
    pub(crate) interval: Duration,
    /// The disk is saturated from this percentage on
    #[arg(
        long,
        value_name = "N",
        default_value_t = 90.0,
        help_heading = "Scaling"
    )]
    pub(crate) disk_high: f64,
    /// The disk is calm below this percentage
    #[arg(
        long,
        value_name = "N",
        default_value_t = 50.0,
        help_heading = "Scaling"
    )]
    pub(crate) disk_low: f64,
    /// Memory is short from this percentage on: one worker less, without a stall
    #[arg(
        long,
        value_name = "N",
        default_value_t = 85.0,
        help_heading = "Scaling"
    )]
    pub(crate) mem_high: f64,
    /// Memory is plenty below this percentage
    #[arg(
        long,
        value_name = "N",
        default_value_t = 70.0,
        help_heading = "Scaling"
    )]
    pub(crate) mem_low: f64,
    /// Shortest time from a change to the next worker less
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = positive_duration, help_heading = "Scaling")]
    pub(crate) down_cooldown: Duration,
    /// Shortest time from a change to the next worker more
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = positive_duration, help_heading = "Scaling")]
    pub(crate) up_cooldown: Duration,

    /// State of the pool, kept across restarts; FILE.* beside it belong to it
    #[arg(
        long,
        value_name = "FILE",
        default_value = "stall-pool.state",
        help_heading = "Files"
    )]
    pub(crate) state: PathBuf,
    /// Folder of the workers' logs, 1.log and so on [default: beside the state, FILE.1.log]
    #[arg(long, value_name = "DIR", help_heading = "Files")]
    pub(crate) logs: Option<PathBuf>,
    /// Size at which a new log begins
    #[arg(long, value_name = "SIZE", default_value = "10MB", value_parser = value::size, help_heading = "Files")]
    pub(crate) log_size: u64,
    /// Old logs to keep for each worker
    #[arg(long, value_name = "N", default_value_t = 5, help_heading = "Files")]
    pub(crate) log_keep: u32,
    /// Append event records to this file; /dev/fd/3 is descriptor 3
    #[arg(long, value_name = "FILE", help_heading = "Files")]
    pub(crate) events: Option<PathBuf>,
    /// Shell command to run when a worker stalls or is paused, with the event on its stdin
    #[arg(long, value_name = "COMMAND")]
    pub(crate) on_stall: Option<OsString>,
    /// Replace {NAME} in the command by VALUE
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) param: Vec<String>,
    /// Read NAME=VALUE lines from a file, again at SIGUSR2 for later starts
    #[arg(long, value_name = "FILE")]
    pub(crate) params: Option<PathBuf>,

    /// Print the state of the pool
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) status: bool,
    /// Print what a start would do
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) output: Output,

    /// Where /proc and /sys are, for tests
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    machine: PathBuf,

    /// The command and its arguments; {worker} becomes the worker's number, which is STALL_WORKER in its
    /// environment, {workers} the number of workers
    #[arg(
        required_unless_present_any = ["schema", "status"],
        trailing_var_arg = true,
        value_name = "COMMAND"
    )]
    pub(crate) command: Vec<OsString>,
}

const AFTER: &str = "\
Examples:
  stall-pool --workers 4 --disk /srv/books -- ./shard.sh {worker} {workers}
  stall-pool --state pool.state --status | jq -r '[.worker, .state, .reason] | @tsv'

Signals:
  TERM, INT, HUP, QUIT  end the workers, one after another, within --grace; a second signal kills them
  USR1                  print a line of progress
  USR2                  read --params again and retry paused workers
  RTMIN+1, RTMIN+2      one worker less, one worker more

Exit codes:
  0    all workers are done             1    all are done, some with 1
  2    usage                            3    another pool has this state; nothing was done
  255  a worker is paused, or the pool could not go on";

impl Args {
    /// What cannot be said to clap.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let usage = |message: &str| Err(wire::Fatal::new(Exit::Usage, message));
        if self.runs() && self.output.out.is_some() {
            usage(
                "--output: a pool that runs writes no records; --events FILE appends its events",
            )?;
        }
        if self.workers > self.max {
            let (workers, max) = (self.workers, self.max);
            usage(&format!("--workers {workers}: it is more than --max {max}"))?;
        }
        if self.min == 0 || self.min > self.workers {
            let min = self.min;
            usage(&format!("--min {min}: it must be from 1 to --workers"))?;
        }
        if self.disk_low > self.disk_high || self.mem_low > self.mem_high {
            usage("--disk-low, --mem-low: they cannot be above --disk-high, --mem-high")?;
        }
        Ok(())
    }

    /// Is there a pool to run, and not only something to print?
    pub(crate) fn runs(&self) -> bool {
        !self.status && !self.dry_run && self.output.schema.is_none()
    }

    pub(crate) fn rules(&self) -> Rules {
        Rules {
            stall: self.stall,
            discovery_stall: self.discovery_stall,
            sample: self.sample_interval(),
            wait: self.wait,
            attempts: self.attempts,
            cooldown: self.cooldown,
            verify: self.verify,
        }
    }

    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            min: self.min,
            max: self.max,
            disk_high: self.disk_high,
            disk_low: self.disk_low,
            mem_high: self.mem_high,
            mem_low: self.mem_low,
            down_cooldown: self.down_cooldown,
            up_cooldown: self.up_cooldown,
            interval: self.interval,
            disks: self.disk.is_some(),
        }
    }

    /// How often a worker is looked at: often enough for the limits, too.
    pub(crate) fn sample_interval(&self) -> Duration {
        self.sample.min(self.stall / 4)
    }

    pub(crate) fn machine(&self) -> Machine {
        Machine::under(&self.machine)
    }

    /// The disks that hold --disk.
    pub(crate) fn disks(&self) -> anyhow::Result<Vec<String>> {
        let Some(path) = &self.disk else {
            return Ok(Vec::new());
        };
        match self.machine().disks_of(path) {
            // How much is waited for a disk can be had all the same.
            Err(error) if error.kind() == std::io::ErrorKind::Unsupported => Ok(Vec::new()),
            other => Ok(other.or_fatal(Exit::Usage, format_args!("--disk {}", path.display()))?),
        }
    }

    /// The values of the placeholders.
    pub(crate) fn values(&self) -> anyhow::Result<Params> {
        Params::read(&self.param, self.params.as_deref(), &self.command)
    }

    /// The command as it is shown and recognised.
    pub(crate) fn shown(&self) -> String {
        let words: Vec<_> = self
            .command
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        words.join(" ")
    }

    /// Is the work cut into as many parts as there are workers?
    pub(crate) fn is_cut(&self) -> bool {
        let has = |word: &OsString| {
            word.as_encoded_bytes()
                .windows(9)
                .any(|w| w == b"{workers}")
        };
        self.command.iter().any(has)
    }
}
