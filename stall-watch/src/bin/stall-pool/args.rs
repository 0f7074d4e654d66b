//! The command line.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::Parser;
use stall_watch::{disk::Machine, signals::Sign};
use wire::{
    Exit, OrFatal, Tool,
    records::{EVENT, POOL, SUMMARY, WORKER},
    tool::Output,
    value,
};

use crate::{life::Rules, params::Params, scale::Bounds};

/// The tool as its callers see it.
pub(crate) const TOOL: Tool = Tool {
    name: "stall-pool",
    emits: &[&POOL, &WORKER, &EVENT, &SUMMARY],
    acts: true,
};

/// Keep N copies of a command alive, and only as many as the disk can bear
///
/// A worker that makes no progress is ended, with all that it started, and started again. Progress is
/// what stall-watch takes for it; a worker that reports units (a line `work` or `discovery` each, on the
/// descriptor that STALL_PROGRESS_FD names) has --discovery-stall after a unit of discovery, else --stall.
/// One that says there that it waits on purpose (`waiting SECONDS WHAT`) is not stalled until then.
///
/// A first restart is made at once, the next after --cooldown, then after twice that. After --attempts
/// restarts in a row that brought no work back within --verify the worker is paused. Exit codes 0 and 1
/// of a worker mean that it has done its part; 2 and 3 pause it; 255 holds all starts for --cooldown;
/// anything else is a failure.
///
/// A worker that stalls while the disk is saturated is not restarted: it is asked to end, and comes back
/// when the disk is calm. Workers end with their pool. When the pool is killed, the next one with the
/// same --state ends what is left of them, and starts them again with the counters of the state.
#[derive(Parser)]
#[command(name = "stall-pool", version, after_help = AFTER, args_override_self = true)]
pub(crate) struct Args {
    /// So many at a time
    #[arg(short, long, value_name = "N", default_value_t = 4)]
    pub(crate) workers: u32,
    /// Never fewer
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) min: u32,
    /// Never more
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(crate) max: u32,

    /// A worker may make no progress for so long
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = value::positive_duration)]
    pub(crate) stall: Duration,
    /// The same while it finds out what there is to do
    #[arg(long, value_name = "TIME", default_value = "20m", value_parser = value::positive_duration)]
    pub(crate) discovery_stall: Duration,
    /// Believe a worker that says that it waits on purpose for so long, without progress in between
    #[arg(long, value_name = "TIME", default_value = "2h", value_parser = value::positive_duration)]
    pub(crate) wait: Duration,
    /// What counts as progress
    #[arg(
        long,
        value_enum,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "output,cpu,io,units"
    )]
    pub(crate) signals: Vec<Sign>,
    /// CPU time of a worker that counts as progress, between two looks
    #[arg(long, value_name = "TIME", default_value = "0.1s", value_parser = value::positive_duration)]
    pub(crate) cpu_min: Duration,
    /// Look at each worker so often
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = value::positive_duration)]
    pub(crate) sample: Duration,

    /// Pause a worker after so many restarts in a row that brought no work back
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) attempts: u32,
    /// From one restart of a worker to the next, doubled by each that brought no work back
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = value::positive_duration)]
    pub(crate) cooldown: Duration,
    /// After a restart work must be back within this time
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = value::positive_duration)]
    pub(crate) verify: Duration,
    /// A worker that is asked to end may take so long; all of them together when the pool ends
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = value::positive_duration)]
    pub(crate) grace: Duration,
    /// One that stalled has so long from TERM to KILL
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = value::positive_duration)]
    pub(crate) kill_after: Duration,

    /// Look at the disks that hold this path
    #[arg(long, value_name = "PATH", help_heading = "Scaling")]
    pub(crate) disk: Option<PathBuf>,
    /// Take figures so often
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = value::positive_duration, help_heading = "Scaling")]
    pub(crate) interval: Duration,
    /// From here on the disk is saturated, in percent
    #[arg(
        long,
        value_name = "N",
        default_value_t = 90.0,
        help_heading = "Scaling"
    )]
    pub(crate) disk_high: f64,
    /// Below this it is calm
    #[arg(
        long,
        value_name = "N",
        default_value_t = 50.0,
        help_heading = "Scaling"
    )]
    pub(crate) disk_low: f64,
    /// From here on memory is short: one worker less, without a stall
    #[arg(
        long,
        value_name = "N",
        default_value_t = 85.0,
        help_heading = "Scaling"
    )]
    pub(crate) mem_high: f64,
    /// Below this there is plenty
    #[arg(
        long,
        value_name = "N",
        default_value_t = 70.0,
        help_heading = "Scaling"
    )]
    pub(crate) mem_low: f64,
    /// From a change to the next one down
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = value::positive_duration, help_heading = "Scaling")]
    pub(crate) down_cooldown: Duration,
    /// From a change to the next one up
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = value::positive_duration, help_heading = "Scaling")]
    pub(crate) up_cooldown: Duration,

    /// What is remembered across a restart of the pool; FILE.* beside it belong to it
    #[arg(
        long,
        value_name = "FILE",
        default_value = "stall-pool.state",
        help_heading = "Files"
    )]
    pub(crate) state: PathBuf,
    /// The workers' logs, 1.log and so on [default: beside the state, FILE.1.log]
    #[arg(long, value_name = "DIR", help_heading = "Files")]
    pub(crate) logs: Option<PathBuf>,
    /// Begin a new log from this size on
    #[arg(long, value_name = "SIZE", default_value = "10MB", value_parser = value::size, help_heading = "Files")]
    pub(crate) log_size: u64,
    /// Keep so many old ones of each worker
    #[arg(long, value_name = "N", default_value_t = 5, help_heading = "Files")]
    pub(crate) log_keep: u32,
    /// Append event records to this file; /dev/fd/3 is descriptor 3
    #[arg(long, value_name = "FILE", help_heading = "Files")]
    pub(crate) events: Option<PathBuf>,
    /// Run this by sh when a worker stalls or is paused, with the event on its stdin
    #[arg(long, value_name = "COMMAND")]
    pub(crate) on_stall: Option<OsString>,
    /// Put VALUE where the command has {NAME}
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) param: Vec<String>,
    /// The same from a file, a line each; read again on SIGUSR2, for starts from then on
    #[arg(long, value_name = "FILE")]
    pub(crate) params: Option<PathBuf>,

    /// Print how the pool of --state stands
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) status: bool,
    /// Print what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) output: Output,

    /// Where /proc and /sys are, for tests
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    machine: PathBuf,

    /// The command and its arguments; {worker} in it is the worker's number, as STALL_WORKER is in its
    /// environment, {workers} how many there are
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
  TERM, INT, HUP, QUIT  end the workers, one after another, within --grace; a second one kills them
  USR1                  print how the pool stands
  USR2                  read --params again, and give paused workers another try
  RTMIN+1, RTMIN+2      one worker less, one more

Exit codes:
  0    all workers are done             1    all are done, some with 1
  2    usage                            3    another pool has this state; nothing was done
  255  some worker is paused, or the pool could not go on";

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
            sample: self.pace(),
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
    pub(crate) fn pace(&self) -> Duration {
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
