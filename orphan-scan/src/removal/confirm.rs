//! Before the first file goes: the plan is shown, and a person confirms the exact number.

use std::{
    fs::OpenOptions,
    io::{self, IsTerminal, Read, Write},
    path::Path,
};

use wire::{Exit, Fatal, Writer, path::printable, stop};

use super::{
    args::ConfirmArgs,
    forget::Forget,
    limits::{Consent, consent, sentence},
};

/// What a person must know.
#[derive(Debug)]
pub struct Plan<'p> {
    /// Candidates.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What becomes of them.
    pub fate: String,
    /// Files that Calibre has on record.
    pub tracked: &'p [Forget],
    /// The library.
    pub library: &'p Path,
}

/// Commands that are shown; all of them are in a file afterwards.
const SHOWN: usize = 5;

impl Plan<'_> {
    /// The plan, a line each.
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "at most {}, {} ({} bytes), {}",
            self.count,
            bytesize::ByteSize(self.bytes),
            self.bytes,
            self.fate
        )];
        if !self.tracked.is_empty() {
            lines.push(format!(
                "{} of them are on record in Calibre, which will report missing formats until it is \
                 told to forget them; so for each:",
                self.tracked.len()
            ));
            let shown = self.tracked.iter().take(SHOWN);
            lines.extend(shown.map(|gone| gone.command(self.library)));
            if self.tracked.len() > SHOWN {
                lines.push("… and so on; all commands will be in remove_format.sh there".into());
            }
        }
        lines
    }

    /// Tells, and asks on the terminal where that is needed.
    ///
    /// # Errors
    /// No consent (3).
    pub fn confirm(&self, args: &ConfirmArgs, out: &Writer) -> Result<(), Fatal> {
        let refuse = |why: String| Fatal::new(Exit::Refused, format_args!("confirm: {why}"));
        let consent = consent(self.count, args.confirm_threshold, args.confirm.as_deref());
        // Whoever is asked sees the plan with the question, even with --quiet.
        if !(matches!(consent, Consent::Ask) && io::stderr().is_terminal()) {
            for line in self.lines() {
                out.warn(&self.library.display().to_string(), "plan", &line);
            }
        }
        let typed = sentence(self.count);
        match consent {
            Consent::Given => Ok(()),
            Consent::Wrong => Err(refuse(format!(
                "there are {} candidates, so --confirm must be {typed:?}",
                self.count
            ))),
            Consent::Ask => match out.progress().suspend(|| ask(&self.lines(), &typed)) {
                Ok(answer) if answer.trim() == typed => Ok(()),
                Ok(_) => Err(refuse(format!("{typed:?} was not typed"))),
                Err(_) if stop::requested() => Err(refuse("asked to stop".into())),
                Err(error) => Err(refuse(format!(
                    "{} candidates must be confirmed, and there is no terminal to ask on ({error}): \
                     give --confirm {typed:?}",
                    self.count
                ))),
            },
        }
    }
}

/// Standard input holds the findings, so the terminal itself is asked. A signal ends the wait.
fn ask(lines: &[String], typed: &str) -> io::Result<String> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    for line in lines {
        writeln!(terminal, "{}", printable(line))?;
    }
    write!(terminal, "Type {typed} to go on: ")?;
    terminal.flush()?;
    let mut answer = Vec::new();
    let mut piece = [0; 256];
    while !answer.ends_with(b"\n") {
        if stop::requested() {
            writeln!(terminal)?;
            return Err(io::ErrorKind::Interrupted.into());
        }
        // ^Z and fg wake it, too.
        if !stop::wait_readable(&terminal, None)? {
            continue;
        }
        match terminal.read(&mut piece)? {
            0 => break,
            length => answer.extend_from_slice(&piece[..length]),
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
