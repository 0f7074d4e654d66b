//! The frame around every `main`: the flags that all tools share, signals, and how the run ends.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use crate::{
    Exit, Fatal, Writer, csv,
    path::printable,
    progress::{Mode, Progress},
    records::Kind,
    schema,
    sink::StdoutError,
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
        let ended = match output.schema {
            Some(form) => self.print_schema(form),
            None => self
                .open(output)
                .and_then(|writer| step(writer).map_err(Into::into)),
        };
        let exit = ended.unwrap_or_else(|error| self.explain(&error));
        stop::die_if_requested();
        exit.into()
    }

    fn open(self, output: &Output) -> Result<Writer, anyhow::Error> {
        stop::install()?;
        let columns = output.csv.then(|| csv::Columns::of(self.emits));
        let progress = Progress::new(output.progress, output.quiet);
        Ok(Writer::stdout(
            self.name,
            columns,
            progress,
            output.quiet,
            output.verbose,
        )?)
    }

    fn print_schema(self, form: schema::Form) -> Result<Exit, anyhow::Error> {
        io::stdout()
            .write_all(schema::print(form, self.emits).as_bytes())
            .map_err(StdoutError::wrap)?;
        Ok(Exit::Done)
    }

    fn explain(self, error: &anyhow::Error) -> Exit {
        if !self.acts && error.chain().any(StdoutError::is_closed_pipe) {
            return Exit::Done;
        }
        let line = printable(&format!("{}: {error:#}", self.name));
        // Nobody is left to be told when standard error is closed.
        let _ = writeln!(io::stderr(), "{line}");
        error
            .downcast_ref::<Fatal>()
            .map_or(Exit::GaveUp, |fatal| fatal.exit)
    }
}
