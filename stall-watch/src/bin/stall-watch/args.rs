//! The command line.

use std::{
    ffi::OsString,
    fmt,
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use clap::Parser;
use stall_watch::sampler::ProgressSignal;
use wire::{path::printable, records::EVENT, schema, value::positive_duration};

use crate::code::Code;

/// Let a command run while it makes progress; end it, with all that it started, when it stalls
///
/// Progress is anything that the command or a descendant does: bytes on stdout or stderr (half a line counts),
/// CPU time, bytes read, written, sent or received, moving offsets of open files, or units of work: one line
/// each, `work` or `discovery`, on the descriptor that STALL_PROGRESS_FD names. The line `waiting SECONDS WHAT`
/// there announces a wait on purpose: until then the command is not stalled.
///
/// Bytes of TCP sockets are counted. UDP and Unix sockets are seen by the length of their queues alone.
/// Transfers by splice, sendfile or io_uring are seen where they use TCP or move the offset of a file.
///
/// stdin belongs to the command. Its output passes through unchanged; a terminal is handed to the command, and
/// counts as bytes written. A command whose output waits for its reader is not stalled.
///
/// When the command itself ends, its exit code is passed on and watching stops. Descendants that are left run
/// on; those that hold its output may write for --kill-after.
#[derive(Parser)]
#[command(name = "stall-watch", version, after_help = AFTER, args_override_self = true)]
pub(crate) struct Args {
    /// End the command after this long without progress
    #[arg(long, value_name = "TIME", default_value = "240s", value_parser = positive_duration)]
    pub stall: Duration,

    /// End the command after this long in any case, restarts included [default: never]
    #[arg(long, value_name = "TIME", value_parser = positive_duration)]
    pub max: Option<Duration>,

    /// Longest wait on purpose that is accepted without progress in between
    #[arg(long, value_name = "TIME", default_value = "2h", value_parser = positive_duration)]
    pub wait: Duration,

    /// Interval between two looks at the command
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = positive_duration)]
    pub sample: Duration,

    /// Time from TERM to KILL
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = positive_duration)]
    pub kill_after: Duration,

    /// What counts as progress
    #[arg(
        long,
        value_enum,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "output,cpu,io,units"
    )]
    pub signals: Vec<ProgressSignal>,

    /// CPU time between two looks, of all processes together, that counts as progress
    #[arg(long, value_name = "TIME", default_value = "0.1s", value_parser = positive_duration)]
    pub cpu_min: Duration,

    /// Restart a stalled command at most N times, after 1, 2, 4 … 60 s; what it has read from stdin is
    /// not read again
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub restart: u32,

    /// Append event records to this file; /dev/fd/3 is descriptor 3
    #[arg(long, value_name = "FILE")]
    pub events: Option<PathBuf>,

    /// Feed systemd's watchdog (NOTIFY_SOCKET) while the command is not stalled
    #[arg(long)]
    pub watchdog: bool,

    /// Print the record type and exit
    #[arg(long, value_enum, value_name = "FORM", exclusive = true)]
    pub schema: Option<schema::Form>,

    /// Print nothing, not even why the command was ended
    #[arg(short, long)]
    pub quiet: bool,

    /// Warn before the command counts as stalled
    #[arg(short, long)]
    pub verbose: bool,

    /// The command and its arguments
    #[arg(
        required_unless_present = "schema",
        trailing_var_arg = true,
        value_name = "COMMAND"
    )]
    pub command: Vec<OsString>,
}

const AFTER: &str = "\
Examples:
  stall-watch -- mbs-upload --journal j <hashed.ndjson >uploads.ndjson
  stall-watch --stall 5m --restart 3 --events events.ndjson -- ./nightly.sh
  stall-watch --signals units --stall 20m -- mbs-upload …   (output alone is no progress)
  parallel stall-watch --max 1h -- convert {} ::: *.epub

Exit codes, as timeout(1):
  124  stalled, or over time, also when KILL was needed
  125  stall-watch itself failed, or usage error
  126  the command was found but cannot be run
  127  the command was not found
  else the command's own; a signal that ended the command ends stall-watch, too (128 + its number)
SIGTERM, SIGINT, SIGHUP and SIGQUIT are passed to the command; a second one kills all processes. SIGUSR1
prints a line of progress on stderr and is not passed on.";

impl Args {
    /// Reads the command line. An error was said already.
    pub(crate) fn read() -> Result<Args, Code> {
        Args::try_parse().map_err(|error| {
            let _ = error.print();
            match error.exit_code() {
                0 => Code::Exit(0),
                _ => Code::OWN_FAILURE,
            }
        })
    }

    /// A line on stderr.
    pub(crate) fn complain(&self, what: fmt::Arguments<'_>) {
        if !self.quiet {
            self.say(what);
        }
    }

    /// The same, where it was asked for.
    pub(crate) fn say(&self, what: fmt::Arguments<'_>) {
        let line = printable(&format!("stall-watch: {what}"));
        // Nobody is left to be told when standard error is closed.
        let _ = writeln!(io::stderr(), "{line}");
    }

    /// The program's name for messages.
    pub(crate) fn program(&self) -> String {
        self.command
            .first()
            .map_or(String::new(), |name| name.to_string_lossy().into_owned())
    }

    /// How often it is looked at: often enough for the limits, too.
    pub(crate) fn sample_interval(&self) -> Duration {
        self.sample.min(self.stall / 4)
    }
}

/// `--schema`.
pub(crate) fn print_schema(form: schema::Form) -> anyhow::Result<Code> {
    io::stdout().write_all(schema::print(form, &[&EVENT]).as_bytes())?;
    Ok(Code::Exit(0))
}
