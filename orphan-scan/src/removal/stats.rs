//! What a run came to: the counts of its summary, and its report for people.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use wire::{Exit, Fatal, OrFatal, records::Summary};

use super::{
    args::ReportArgs,
    outcome::{FileOutcome, Outcome},
};
use crate::{
    classes::{self, Removable},
    report::{Part, Report, Sum, may_write},
};

/// This many failures are named in a report.
const SHOWN: usize = 10;

/// Counts of a run.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    outcomes: BTreeMap<Outcome, Sum>,
    /// The same, by reason.
    reasons: BTreeMap<(Outcome, &'static str), Sum>,
    failures: Vec<String>,
    /// Where reports are wanted.
    reports: Option<Reports>,
}

#[derive(Clone, Debug)]
struct Reports {
    tool: &'static str,
    files: Vec<PathBuf>,
    /// The library.
    library: PathBuf,
    part: Part,
}

/// What a report says beside the counts.
#[derive(Clone, Debug, Default)]
pub struct Remarks {
    /// What a person must know before believing it.
    pub warnings: Vec<String>,
    /// Where the journal is, and how to undo.
    pub notes: Vec<String>,
    /// Was it all?
    pub complete: bool,
}

impl Stats {
    /// Nothing yet; the reports will go into these files. Their folders are looked at now, since after
    /// the last removal it is too late to say that there is none.
    ///
    /// # Errors
    /// A file cannot be made there (2).
    pub fn new(tool: &'static str, args: &ReportArgs, library: &Path) -> Result<Stats, Fatal> {
        let files = &args.report;
        for file in files {
            may_write(file).or_fatal(Exit::Usage, format_args!("{}: write", file.display()))?;
        }
        let reports = (!files.is_empty()).then(|| Reports {
            tool,
            files: files.to_vec(),
            library: library.into(),
            part: Part::default(),
        });
        Ok(Stats {
            reports,
            ..Stats::default()
        })
    }

    /// Files and bytes of an outcome.
    pub fn of(&self, outcome: Outcome) -> (u64, u64) {
        let sum = self.outcomes.get(&outcome).copied().unwrap_or_default();
        (sum.files, sum.bytes)
    }

    /// Counts one file.
    pub fn count(&mut self, end: &FileOutcome<'_>) {
        let (file, size) = (end.file, end.file.size());
        self.outcomes.entry(end.outcome).or_default().add(size);
        let kind = end.reason.kind;
        if !kind.is_empty() {
            self.reasons
                .entry((end.outcome, kind))
                .or_default()
                .add(size);
        }
        if end.outcome == Outcome::Failed && self.failures.len() < SHOWN {
            let failure = format!("failed: {}: {}", file.path.display(), end.reason.why);
            self.failures.push(failure);
        }
        let class = classes::Class::named(file.class.name());
        if let (Some(reports), Some(class)) = (&mut self.reports, class) {
            let goes = match end.outcome {
                Outcome::Kept | Outcome::Failed => Removable::No,
                _ => Removable::Yes,
            };
            let shown = match file.relative.as_os_str().is_empty() {
                true => &file.path,
                false => &file.relative,
            };
            let shown = shown.as_os_str().as_encoded_bytes();
            reports.part.add(class, goes, shown, size);
        }
    }

    /// What a restore or a purge left where it is, and why: a line for each reason.
    pub fn left(&self) -> Vec<String> {
        let left = |outcome| matches!(outcome, Outcome::Kept | Outcome::Failed);
        let reasons = self.reasons.iter().filter(|((of, _), _)| left(*of));
        let lines = reasons.map(|((of, kind), sum)| format!("{} {}: {kind}", sum.files, of.name()));
        lines.collect()
    }

    /// Puts those that there are into a summary.
    pub fn fill(&self, summary: &mut Summary) {
        let files = |outcome| Some(self.of(outcome).0).filter(|&files| files > 0);
        let bytes = |outcome| files(outcome).map(|_| self.of(outcome).1);
        summary.removed = files(Outcome::Removed);
        summary.removed_bytes = bytes(Outcome::Removed);
        summary.kept = files(Outcome::Kept);
        summary.removal_failed = files(Outcome::Failed);
        summary.would_remove = files(Outcome::WouldRemove);
        summary.would_remove_bytes = bytes(Outcome::WouldRemove);
        summary.verified = files(Outcome::Verified);
        summary.restored = files(Outcome::Restored);
        summary.purged = files(Outcome::Purged);
        summary.purged_bytes = bytes(Outcome::Purged);
    }

    /// Each outcome, and below it its reasons, the most frequent first.
    fn outcomes(&self) -> Vec<(String, Sum)> {
        let mut rows = Vec::new();
        for (outcome, sum) in &self.outcomes {
            rows.push((outcome.name().to_string(), *sum));
            let mut reasons: Vec<_> = self
                .reasons
                .iter()
                .filter(|((of, _), _)| of == outcome)
                .collect();
            reasons.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.files));
            rows.extend(
                reasons
                    .into_iter()
                    .map(|((_, kind), sum)| (format!("{}: {kind}", outcome.name()), *sum)),
            );
        }
        rows
    }

    /// Writes the reports.
    ///
    /// # Errors
    /// One cannot be written (255).
    pub fn report(self, remarks: Remarks) -> Result<(), Fatal> {
        let outcomes = self.outcomes();
        let Some(reports) = self.reports else {
            return Ok(());
        };
        let report = Report {
            tool: reports.tool.into(),
            subject: reports.library.to_string_lossy().into_owned(),
            at: jiff::Timestamp::now().to_string(),
            part: reports.part,
            outcomes,
            warnings: remarks.warnings.into_iter().chain(self.failures).collect(),
            notes: remarks.notes,
            complete: remarks.complete && !wire::stop::requested(),
        };
        for file in &reports.files {
            let wrote: io::Result<()> = report.write(file);
            let shown = file.display();
            wrote.or_fatal(Exit::GaveUp, format_args!("{shown}: write the report"))?;
        }
        Ok(())
    }
}
