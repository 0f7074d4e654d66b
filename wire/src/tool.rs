//! The frame around every `main`: the flags that all tools share, signals, and how the run ends.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    Exit, Fatal, OrFatal, Writer, crash, csv,
    out_file::OutFile,
    path::printable,
    progress::{Mode, Progress},
    records::Kind,
    schema,
    sink::{self, Sink},
    stop,
};

/// A tool as its callers see it.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    /// The name of the program.
    pub name: &'static str,
    /// The types that its stream holds, those of records passed through included.
    pub emits: &'static [&'static Kind],
    /// Does it change anything in the world? When its reader goes away, a tool that only reads has
    /// done its part (0); one that acts has not (255).
    pub acts: bool,
}

/// The flags that every tool has.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub struct Output {
    /// Write to FILE, which is replaced as a whole when the run has ended with 0 or 1; until then the
    /// records are in FILE.partial, which a second run is refused (3)
    #[arg(short, long = "output", value_name = "FILE", conflicts_with = "schema")]
    pub out: Option<PathBuf>,
    /// Print the record types and exit
    #[arg(long, value_enum, value_name = "FORM")]
    pub schema: Option<schema::Form>,
    /// Write CSV instead of JSON lines; lists are joined by ';'
    #[arg(long)]
    pub csv: bool,
    /// Show progress on standard error
    #[arg(long, value_enum, value_name = "HOW", default_value_t)]
    pub progress: Mode,
    /// Say nothing but errors
    #[arg(short, long)]
    pub quiet: bool,
    /// Say more on standard error
    #[arg(short, long)]
    pub verbose: bool,
}

impl Tool {
    /// Runs `step` with a writer on stdout and turns what comes of it into the exit code, or into
    /// death by the signal that asked the tool to stop.
    pub fn run<E: Into<anyhow::Error>>(
        self,
        output: &Output,
        step: impl FnOnce(Writer) -> Result<Exit, E>,
    ) -> ExitCode {
        let mut file = None;
        let contained = crash::exit_with(self.name, Exit::GaveUp as u8).map_err(Into::into);
        let ended = contained.and_then(|()| match output.schema {
            Some(form) => self.print_schema(form),
            None => self
                .open(output, &mut file)
                .and_then(|writer| step(writer).map_err(Into::into)),
        });
        let mut exit = ended.unwrap_or_else(|error| self.explain(&error));
        if let Some(file) = file {
            exit = self.settle(file, exit);
        }
        stop::die_if_requested();
        exit.into()
    }

    fn open(self, output: &Output, file: &mut Option<OutFile>) -> anyhow::Result<Writer> {
        stop::install()?;
        let sink = match &output.out {
            Some(path) if path != Path::new("-") => file.insert(OutFile::open(path)?).sink()?,
            _ => Sink::stdout()?,
        };
        let columns = output.csv.then(|| csv::Columns::of(self.emits));
        let progress = Progress::new(output.progress, output.quiet);
        let writer = Writer::new(
            self.name,
            sink,
            columns,
            progress,
            output.quiet,
            output.verbose,
        );
        Ok(writer.or_fatal(Exit::GaveUp, "threads: start one")?)
    }

    /// Only what went to its end takes the place of what was there.
    fn settle(self, file: OutFile, exit: Exit) -> Exit {
        let end = matches!(exit, Exit::Done | Exit::SomeFailed) && !stop::requested();
        match file.settle(end) {
            Ok(None) => exit,
            Ok(Some(left)) => {
                self.say(&left);
                exit
            }
            Err(error) => self.explain(&error.into()),
        }
    }

    fn print_schema(self, form: schema::Form) -> Result<Exit, anyhow::Error> {
        let mut out = Sink::stdout()?;
        let printed = out.take(&[schema::print(form, self.emits).as_bytes()]);
        match printed.and_then(|()| out.flush()) {
            // To print it is no act, whatever the tool is.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(Exit::Done),
        }
    }

    fn explain(self, error: &anyhow::Error) -> Exit {
        if !self.acts && sink::reader_is_gone() {
            return Exit::Done;
        }
        self.say(&format!("{error:#}"));
        error
            .downcast_ref::<Fatal>()
            .map_or(Exit::GaveUp, |fatal| fatal.exit)
    }

    fn say(self, text: &str) {
        let line = printable(&format!("{}: {text}", self.name));
        // Nobody is left to be told when standard error is closed.
        let _ = writeln!(io::stderr(), "{line}");
    }
}
