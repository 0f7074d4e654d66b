//! The command line.

use std::{
    ffi::OsString,
    fmt,
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use clap::Parser;
use stall_watch::signals::Sign;
use wire::{path::printable, records::EVENT, schema, value};

use crate::code::Code;

/// Let a command live while it makes progress; end it, and all that it started, when it stands still
///
/// Progress is what the command or any of its descendants does: bytes on stdout or stderr (half a line
/// counts), CPU time, bytes read or written, sent or received (TCP is counted; of UDP and Unix sockets
/// only the queues are seen), offsets of open files, or units of work, reported a line each (`work` or
/// `discovery`) on the descriptor that STALL_PROGRESS_FD names. A line `waiting SECONDS WHAT` there says
/// that it waits on purpose, for so long at most; until then it is not stalled.
///
/// Input is the command's own. Its output passes through as it is; a terminal it gets itself, and what
/// it writes there counts as bytes written. A command whose output waits for its reader is not stalled.
///
/// When the command itself has ended, its code is ours, and nobody is watched any more. What it left
/// behind is let go; what of that still holds its output may write for --kill-after.
#[derive(Parser)]
#[command(name = "stall-watch", version, after_help = AFTER, args_override_self = true)]
pub(crate) struct Args {
    /// End it when it has made no progress for so long
    #[arg(long, value_name = "TIME", default_value = "240s", value_parser = value::positive_duration)]
    pub stall: Duration,

    /// End it after so long in any case, restarts included [default: never]
    #[arg(long, value_name = "TIME", value_parser = value::positive_duration)]
    pub max: Option<Duration>,

    /// Believe a command that says that it waits on purpose for so long, without progress in between
    #[arg(long, value_name = "TIME", default_value = "2h", value_parser = value::positive_duration)]
    pub wait: Duration,

    /// Look at it so often
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = value::positive_duration)]
    pub sample: Duration,

    /// After TERM wait so long before KILL
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = value::positive_duration)]
    pub kill_after: Duration,

    /// What counts as progress
    #[arg(
        long,
        value_enum,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "output,cpu,io,units"
    )]
    pub signals: Vec<Sign>,

    /// CPU time of all its processes that counts as progress, between two looks
    #[arg(long, value_name = "TIME", default_value = "0.1s", value_parser = value::positive_duration)]
    pub cpu_min: Duration,

    /// When it stalled, start it again, so often at most, after 1, 2, 4 … 60 s; it should not need what
    /// it has read from stdin
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub restart: u32,

    /// Append event records to this file; /dev/fd/3 is descriptor 3
    #[arg(long, value_name = "FILE")]
    pub events: Option<PathBuf>,

    /// Feed systemd's watchdog (NOTIFY_SOCKET) for the command, as long as it is not stalled
    #[arg(long)]
    pub watchdog: bool,

    /// Print the record type and exit
    #[arg(long, value_enum, value_name = "FORM", exclusive = true)]
    pub schema: Option<schema::Form>,

    /// Say nothing, not even why the command was ended
    #[arg(short, long)]
    pub quiet: bool,

    /// Say when it is about to be taken for stalled
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
  125  stall-watch itself failed, or was called in a wrong way
  126  the command was found but cannot be run
  127  the command was not found
  else the command's own; where a signal ended it, so it does stall-watch (128 + its number)
SIGTERM, SIGINT, SIGHUP and SIGQUIT are handed on; a second one kills all processes. SIGUSR1 is answered
with a line on stderr that says how far the command is, and is not handed on.";

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
    pub(crate) fn pace(&self) -> Duration {
        self.sample.min(self.stall / 4)
    }
}

/// `--schema`.
pub(crate) fn print_schema(form: schema::Form) -> anyhow::Result<Code> {
    io::stdout().write_all(schema::print(form, &[&EVENT]).as_bytes())?;
    Ok(Code::Exit(0))
}
