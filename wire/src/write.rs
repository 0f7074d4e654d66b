//! The one door to stdout: whole lines only, and a failed item both reported and counted.

use std::{
    io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use crate::{
    Exit, Line, Lines, Record, csv,
    path::printable,
    progress::{Progress, Unit},
    records::Summary,
    sink::Sink,
    stop,
};

/// Half of the 100 ms that a record may wait when its producer pauses.
const FLUSH_EVERY: Duration = Duration::from_millis(50);

/// Writes records from any thread, and knows at the end how the run went.
pub struct Writer {
    shared: Arc<Shared>,
    flusher: Option<JoinHandle<()>>,
    csv: Option<csv::Columns>,
    verbose: bool,
    quiet: bool,
}

struct Shared {
    tool: &'static str,
    sink: Mutex<Sink>,
    wake: Condvar,
    records: AtomicU64,
    errors: AtomicU64,
    progress: Progress,
}

/// Warns on standard error, without the right to write records.
#[derive(Clone)]
pub struct Diagnostics {
    shared: Arc<Shared>,
    quiet: bool,
}

impl std::fmt::Debug for Diagnostics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Diagnostics")
    }
}

/// What failed at an item, for its `error` record and for standard error.
#[derive(Clone, Copy, Debug)]
pub struct ItemError<'a> {
    /// What was tried: one word.
    pub op: &'static str,
    /// Why it failed: one line.
    pub message: &'a str,
    /// May it succeed when tried again?
    pub retry: bool,
}

impl Writer {
    pub(crate) fn new(
        tool: &'static str,
        mut sink: Sink,
        csv: Option<csv::Columns>,
        progress: Progress,
        quiet: bool,
        verbose: bool,
    ) -> io::Result<Writer> {
        if let Some(columns) = &csv {
            sink.header = columns.header().into_bytes();
        }
        let shared = Arc::new(Shared {
            tool,
            sink: Mutex::new(sink),
            wake: Condvar::new(),
            records: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            progress,
        });
        let flusher = {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name("flush".into())
                .spawn(move || shared.keep_flushing())?
        };
        Ok(Writer {
            shared,
            flusher: Some(flusher),
            csv,
            verbose,
            quiet,
        })
    }

    /// Adds columns to the CSV form, of fields that no record type names: a user's own. To be called
    /// before the first record.
    pub fn add_columns(&mut self, names: impl IntoIterator<Item = &'static str>) {
        if let Some(columns) = &mut self.csv {
            columns.add(names);
            self.shared.lock().header = columns.header().into_bytes();
        }
    }

    /// Writes a record: an item done.
    ///
    /// # Errors
    /// stdout is closed or its disk is full: pass it up, [`Tool::run`](crate::Tool::run) knows what
    /// it means.
    pub fn write(&self, line: &Line) -> io::Result<()> {
        self.write_as(Unit::Work, line)
    }

    /// Writes finished records, each an item done.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn write_lines(&self, lines: &Lines) -> io::Result<()> {
        lines
            .iter()
            .try_for_each(|line| self.put(Unit::Work, line, b""))
    }

    /// Writes a record and says whether it was work or only looked at.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn write_as(&self, unit: Unit, line: &Line) -> io::Result<()> {
        self.put(unit, line.open_bytes(), b"}\n")
    }

    /// Passes a record on as it came. Error records are counted among the failed, wherever that was.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn pass(&self, record: &Record) -> io::Result<()> {
        if record.kind() == "error" {
            self.shared.errors.fetch_add(1, Ordering::Relaxed);
        }
        self.put(Unit::Discovery, record.line(), b"\n")
    }

    /// Reports a failed item: its `error` record made of `input` (or of `known`, what the source
    /// knows of it, its type being `was`), a line on standard error, and a count that makes the exit
    /// code 1.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn fail(&self, input: &Record, object: &str, error: ItemError<'_>) -> io::Result<()> {
        let mut line = Line::new("error");
        line.text("was", input.kind());
        self.write_error(&mut line, object, error, Some(input))
    }

    /// As [`Writer::fail`], for an item without an input record: `fields` adds what is known of it.
    /// `was` is the type that the record would have had, where that is known.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn fail_new(
        &self,
        was: Option<&str>,
        object: &str,
        error: ItemError<'_>,
        fields: impl FnOnce(&mut Line),
    ) -> io::Result<()> {
        let mut line = Line::new("error");
        line.opt_text("was", was);
        fields(&mut line);
        self.write_error(&mut line, object, error, None)
    }

    fn write_error(
        &self,
        line: &mut Line,
        object: &str,
        error: ItemError<'_>,
        input: Option<&Record>,
    ) -> io::Result<()> {
        line.text("tool", self.shared.tool)
            .text("op", error.op)
            .text("message", error.message)
            .flag("retry", error.retry);
        if let Some(input) = input {
            line.inherit(input);
        }
        self.report(object, error.op, error.message);
        self.write(line)
    }

    /// Reports a failed item whose outcome is a record of the tool's own type, as the tools that act
    /// do. `line` is that record.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn fail_as(&self, line: &Line, object: &str, op: &str, message: &str) -> io::Result<()> {
        self.report(object, op, message);
        self.write(line)
    }

    fn report(&self, object: &str, op: &str, message: &str) {
        self.shared.errors.fetch_add(1, Ordering::Relaxed);
        self.shared.say(object, op, message);
    }

    /// A warning on standard error: something is odd, nothing failed. Silent with `-q`.
    pub fn warn(&self, object: &str, act: &str, reason: &str) {
        if !self.quiet {
            self.shared.say(object, act, reason);
        }
    }

    /// For threads that warn and may outlive the stream.
    pub fn diagnostics(&self) -> Diagnostics {
        Diagnostics {
            shared: Arc::clone(&self.shared),
            quiet: self.quiet,
        }
    }

    /// A message on standard error for those who asked with `-v`.
    pub fn verbose(&self, object: &str, act: &str, reason: &str) {
        if self.verbose {
            self.shared.say(object, act, reason);
        }
    }

    /// The progress shown to the person and the watchdog; [`Writer::write`] steps it.
    pub fn progress(&self) -> &Progress {
        &self.shared.progress
    }

    /// Sends all that waits on its way.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn flush(&self) -> io::Result<()> {
        self.shared.lock().flush()
    }

    /// Ends the stream with its summary, of which the tool, the counts and an interrupted run's
    /// `complete: false` are filled in here, and says how the tool ends.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn finish(mut self, mut summary: Summary) -> io::Result<Exit> {
        summary.tool = self.shared.tool.into();
        summary.records = self.shared.records.load(Ordering::Relaxed);
        summary.failed = self.shared.errors.load(Ordering::Relaxed);
        summary.complete &= !stop::requested();
        match self.csv {
            None => self.put(Unit::Discovery, Line::of(&summary).open_bytes(), b"}\n")?,
            // The header, where there was no record.
            Some(_) => self.shared.take(&[])?,
        }
        self.flush()?;
        self.close();
        // Also where they failed in an earlier step: what is joined, or looked at only at its end, must not
        // seem whole.
        Ok(if summary.failed > 0 {
            Exit::SomeFailed
        } else {
            Exit::Done
        })
    }

    fn put(&self, unit: Unit, line: &[u8], end: &[u8]) -> io::Result<()> {
        self.shared.records.fetch_add(1, Ordering::Relaxed);
        self.shared.progress.step(unit);
        match &self.csv {
            None => self.shared.take(&[line, end]),
            Some(columns) => {
                let closed = [line, end].concat();
                let record = Record::parse(closed).map_err(io::Error::other)?;
                self.shared.take(&[columns.row(&record).as_bytes()])
            }
        }
    }

    fn close(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_one();
        if let Some(flusher) = self.flusher.take() {
            let _ = flusher.join();
        }
        self.shared.progress.finish(self.shared.tool);
    }
}

impl Drop for Writer {
    /// A tool that ends early still hands over what it had written.
    fn drop(&mut self) {
        if self.flusher.is_some() {
            let _ = self.flush();
            self.close();
        }
    }
}

impl Diagnostics {
    /// As [`Writer::warn`].
    pub fn warn(&self, object: &str, act: &str, reason: &str) {
        if !self.quiet {
            self.shared.say(object, act, reason);
        }
    }
}

impl Shared {
    fn say(&self, object: &str, act: &str, reason: &str) {
        let tool = self.tool;
        self.progress
            .line(&printable(&format!("{tool}: {object}: {act}: {reason}")));
    }

    fn lock(&self) -> MutexGuard<'_, Sink> {
        // The lock is never held over code that can panic half-way through a line.
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, parts: &[&[u8]]) -> io::Result<()> {
        self.lock().take(parts)
    }

    fn keep_flushing(&self) {
        let mut sink = self.lock();
        while !sink.closed {
            sink = match self.wake.wait_timeout(sink, FLUSH_EVERY) {
                Ok((sink, _)) => sink,
                Err(poisoned) => poisoned.into_inner().0,
            };
            sink.flush_later_errors();
            drop(sink);
            self.progress.tick(self.tool);
            sink = self.lock();
        }
    }
}
