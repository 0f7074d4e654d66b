//! What a run came to: the counts of its summary, and its report for people.

use std::{collections::BTreeMap, io, path::PathBuf};

use orphan_scan::{
    classes::{self, Answer},
    report::{Part, Report, Sum, may_write},
};
use wire::{Exit, Fatal, OrFatal, records::Summary};

use crate::report::{End, Outcome};

/// So many failures are told by name.
const SHOWN: usize = 10;

/// Counts of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    outcomes: BTreeMap<Outcome, Sum>,
    /// The same, by the reasons that are told apart.
    reasons: BTreeMap<(Outcome, &'static str), Sum>,
    failures: Vec<String>,
    /// Where reports are wanted.
    reports: Option<Reports>,
}

#[derive(Clone, Debug)]
struct Reports {
    files: Vec<PathBuf>,
    /// The library, for paths relative to it.
    roots: [PathBuf; 2],
    part: Part,
}

/// What a report says beside the counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Remarks {
    /// What a person must know before believing it.
    pub warnings: Vec<String>,
    /// Where the journal is, and how to undo.
    pub notes: Vec<String>,
    /// Was it all?
    pub complete: bool,
}

fn add(sum: &mut Sum, bytes: u64) {
    sum.files += 1;
    sum.bytes += bytes;
}

impl Tally {
    /// Nothing yet; the reports will go into these files. Their folders are looked at now, since after
    /// the last removal it is too late to say that there is none.
    ///
    /// # Errors
    /// A file cannot be made there (2).
    pub(crate) fn new(files: &[PathBuf], roots: [PathBuf; 2]) -> Result<Tally, Fatal> {
        for file in files {
            may_write(file).or_fatal(Exit::Usage, format_args!("{}: write", file.display()))?;
        }
        let reports = (!files.is_empty()).then(|| Reports {
            files: files.to_vec(),
            roots,
            part: Part::default(),
        });
        Ok(Tally {
            reports,
            ..Tally::default()
        })
    }

    /// Files and bytes of an outcome.
    pub(crate) fn of(&self, outcome: Outcome) -> (u64, u64) {
        let sum = self.outcomes.get(&outcome).copied().unwrap_or_default();
        (sum.files, sum.bytes)
    }

    /// One file's end.
    pub(crate) fn count(&mut self, end: &End<'_>) {
        add(self.outcomes.entry(end.outcome).or_default(), end.size);
        let kind = end.reason.kind;
        if !kind.is_empty() {
            let sum = self.reasons.entry((end.outcome, kind)).or_default();
            add(sum, end.size);
        }
        if end.outcome == Outcome::Failed && self.failures.len() < SHOWN {
            let failure = format!("failed: {}: {}", end.path.display(), end.reason.why);
            self.failures.push(failure);
        }
        let class = end
            .class
            .and_then(|class| classes::Class::named(class.name()));
        if let (Some(reports), Some(class)) = (&mut self.reports, class) {
            let inside = |root| end.path.strip_prefix(root).ok();
            let relative = reports.roots.iter().find_map(inside).unwrap_or(end.path);
            let goes = match end.outcome {
                Outcome::Kept | Outcome::Failed => Answer::No,
                _ => Answer::Yes,
            };
            let relative = relative.as_os_str().as_encoded_bytes();
            reports.part.add(class, goes, relative, end.size);
        }
    }

    /// What a restore or a purge left where it is, and why: a line for each reason.
    pub(crate) fn left(&self) -> Vec<String> {
        let left = |outcome| matches!(outcome, Outcome::Kept | Outcome::Failed);
        let reasons = self.reasons.iter().filter(|((of, _), _)| left(*of));
        let told = reasons.map(|((of, kind), sum)| format!("{} {}: {kind}", sum.files, of.name()));
        told.collect()
    }

    /// Puts those that there are into a summary.
    pub(crate) fn fill(&self, summary: &mut Summary) {
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
    pub(crate) fn report(self, remarks: Remarks) -> Result<(), Fatal> {
        let outcomes = self.outcomes();
        let Some(reports) = self.reports else {
            return Ok(());
        };
        let report = Report {
            tool: "orphan-rm".into(),
            subject: reports.roots[0].to_string_lossy().into_owned(),
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
