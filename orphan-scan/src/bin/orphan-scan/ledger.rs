//! The ledger: what was walked against the findings. Both sides are counted where they happen, so
//! that an entry without a finding, or with two, shows.

use orphan_scan::{classes::Class, report::Sum};
use wire::records::Summary;

/// One thread's counts, or those of all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Entries that were met and not gone when looked at.
    pub(crate) walked: Sum,
    /// Entries that were gone.
    pub(crate) vanished: u64,
    /// Findings of records to which no entry was met, and that are not known to be missing.
    pub(crate) unwalked: u64,
    /// Folders that could not be looked into.
    pub(crate) blind: u64,
    /// Files that were hashed, and those whose digest was in the cache.
    pub(crate) hashed: u64,
    pub(crate) cached: u64,
    /// Findings by class.
    classes: [Sum; Class::ALL.len()],
}

impl Counts {
    /// One finding was written.
    pub(crate) fn count(&mut self, class: Class, bytes: u64) {
        self.classes[class as usize].add(bytes);
    }

    /// The findings of a class.
    pub(crate) fn of(&self, class: Class) -> Sum {
        self.classes[class as usize]
    }

    /// Takes in another thread's.
    pub(crate) fn merge(&mut self, other: &Counts) {
        self.walked.merge(other.walked);
        self.vanished += other.vanished;
        self.unwalked += other.unwalked;
        self.blind += other.blind;
        self.hashed += other.hashed;
        self.cached += other.cached;
        for (sum, more) in self.classes.iter_mut().zip(other.classes) {
            sum.merge(more);
        }
    }
}

/// Everything that must balance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) counts: Counts,
    /// Distinct tracked paths in this shard, and those found.
    pub(crate) rows: u64,
    pub(crate) found: u64,
    /// Distinct known contents, those met and those not; nothing without `--known`.
    pub(crate) known: Option<(u64, u64, u64)>,
}

impl Ledger {
    /// What does not balance, one line each.
    pub(crate) fn flaws(&self) -> Vec<String> {
        let mut findings = Sum::default();
        for class in Class::ALL
            .into_iter()
            .filter(|class| *class != Class::Missing)
        {
            findings.merge(self.counts.of(class));
        }
        let missing = self.counts.of(Class::Missing).files;
        let unwalked = self.counts.unwalked;
        let (known, met, unmet) = self.known.unwrap_or_default();
        let sides = [
            (
                "entries walked and findings",
                self.counts.walked.files + unwalked,
                findings.files,
            ),
            (
                "bytes walked and bytes of findings",
                self.counts.walked.bytes,
                findings.bytes,
            ),
            (
                "tracked paths, and those found, missing or unknown",
                self.rows,
                self.found + missing + unwalked,
            ),
            ("known contents, and those met or not", known, met + unmet),
        ];
        let flaws = sides.into_iter().filter(|(_, left, right)| left != right);
        flaws
            .map(|(what, left, right)| format!("{what} do not balance: {left} and {right}"))
            .collect()
    }

    /// Puts the counts into the summary.
    pub(crate) fn fill(&self, summary: &mut Summary) {
        let counts = &self.counts;
        summary.walked = Some(counts.walked.files);
        summary.walked_bytes = Some(counts.walked.bytes);
        summary.vanished = Some(counts.vanished);
        summary.rows = Some(self.rows);
        summary.rows_found = Some(self.found);
        summary.rows_unknown = Some(counts.unwalked);
        if let Some((known, met, unmet)) = self.known {
            summary.known = Some(known);
            summary.known_matched = Some(met);
            summary.known_unmatched = Some(unmet);
        }
        for class in Class::ALL {
            let sum = counts.of(class);
            let (files, bytes) = match class {
                Class::Tracked => (&mut summary.tracked, &mut summary.tracked_bytes),
                Class::InUse => (&mut summary.in_use, &mut summary.in_use_bytes),
                Class::DuplicateOfServer => (
                    &mut summary.duplicate_of_server,
                    &mut summary.duplicate_of_server_bytes,
                ),
                Class::NotUploaded => (&mut summary.not_uploaded, &mut summary.not_uploaded_bytes),
                Class::Unknown => (&mut summary.unknown, &mut summary.unknown_bytes),
                Class::Internal => (&mut summary.internal, &mut summary.internal_bytes),
                Class::Foreign => (&mut summary.foreign, &mut summary.foreign_bytes),
                Class::ExtraData => (&mut summary.extra_data, &mut summary.extra_data_bytes),
                Class::HealCandidate => (
                    &mut summary.heal_candidate,
                    &mut summary.heal_candidate_bytes,
                ),
                Class::CaseMismatch => {
                    (&mut summary.case_mismatch, &mut summary.case_mismatch_bytes)
                }
                Class::Unreadable => (&mut summary.unreadable, &mut summary.unreadable_bytes),
                Class::Untracked => (&mut summary.untracked, &mut summary.untracked_bytes),
                Class::UntrackedOnServer => (
                    &mut summary.untracked_on_server,
                    &mut summary.untracked_on_server_bytes,
                ),
                Class::Missing => {
                    summary.missing = Some(sum.files);
                    continue;
                }
            };
            (*files, *bytes) = (Some(sum.files), Some(sum.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balanced() -> Ledger {
        let mut ledger = Ledger {
            rows: 3,
            found: 2,
            known: Some((5, 2, 3)),
            ..Ledger::default()
        };
        for (class, bytes) in [
            (Class::Tracked, 7),
            (Class::InUse, 0),
            (Class::Untracked, 9),
        ] {
            ledger.counts.walked.add(bytes);
            ledger.counts.count(class, bytes);
        }
        ledger.counts.count(Class::Missing, 0);
        ledger
    }

    #[test]
    fn an_entry_without_a_finding_or_with_two_shows() {
        assert_eq!(balanced().flaws(), Vec::<String>::new());
        let spoils: [fn(&mut Ledger); 5] = [
            |ledger| ledger.counts.walked.add(0),
            |ledger| ledger.counts.count(Class::Foreign, 0),
            |ledger| ledger.counts.count(Class::Missing, 0),
            |ledger| ledger.counts.walked.bytes += 1,
            |ledger| ledger.known = Some((5, 2, 2)),
        ];
        for spoil in spoils {
            let mut ledger = balanced();
            spoil(&mut ledger);
            assert_eq!(ledger.flaws().len(), 1, "{:?}", ledger.flaws());
        }
    }

    #[test]
    fn the_summary_has_every_class() {
        let mut summary = Summary::default();
        balanced().fill(&mut summary);
        let line = wire::Line::of(&summary);
        let text = String::from_utf8_lossy(line.open_bytes()).into_owned();
        for class in Class::ALL {
            assert!(text.contains(&format!("\"{class}\":")), "{class}: {text}");
        }
        assert!(text.contains("\"untracked_bytes\":9"));
    }
}
