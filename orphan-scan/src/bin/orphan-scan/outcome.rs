//! How a scan ended: the ledger, the reports, the summary.

use std::path::PathBuf;

use orphan_scan::{classes::Class, report::Report};
use wire::{Exit, OrFatal, records::Summary, write::ItemError};

use crate::{
    ledger::Ledger,
    list::List,
    preconditions::Database,
    scan::{Job, Scanned},
};

/// All that is known at the end.
pub(crate) struct Ended<'a> {
    pub(crate) job: &'a Job<'a>,
    pub(crate) scanned: Scanned,
    /// What the lists lack.
    pub(crate) flaws: Vec<String>,
    pub(crate) database: &'a Database,
    pub(crate) list: &'a List,
    pub(crate) reports: &'a [PathBuf],
}

impl Ended<'_> {
    /// Balances the ledger, writes the reports, and makes the summary.
    ///
    /// # Errors
    /// stdout or a report cannot be written.
    pub(crate) fn tell(self) -> anyhow::Result<Summary> {
        let ledger = self.ledger();
        let out = self.job.out;
        let flaws = match self.scanned.whole {
            true => ledger.flaws(),
            false => Vec::new(),
        };
        for flaw in &flaws {
            let item_error = ItemError {
                op: "balance the ledger",
                message: flaw,
                retry: false,
            };
            out.fail_new(None, &self.job.root.to_string_lossy(), item_error, |line| {
                line.path(self.job.root);
            })?;
        }
        let mut summary = Summary {
            complete: self.scanned.whole
                && self.scanned.counts.blind == 0
                && flaws.is_empty()
                && self.flaws.is_empty(),
            library: self.database.uuid.clone(),
            selection: self.job.partial.then(|| "--partial".into()),
            shard: self.job.shard.map(|shard| shard.to_string()),
            ..Summary::default()
        };
        ledger.fill(&mut summary);
        let complete = summary.complete;
        if !self.reports.is_empty() {
            let files = self.reports;
            let report = self.report(&ledger, flaws, complete);
            for file in files {
                let shown = file.display();
                report
                    .write(file)
                    .or_fatal(Exit::GaveUp, format_args!("{shown}: write the report"))?;
            }
        }
        Ok(summary)
    }

    fn ledger(&self) -> Ledger {
        let tracked = self.job.tracked;
        let (rows, found) = match self.job.shard {
            None => (tracked.distinct(), tracked.found()),
            Some(shard) => {
                let ours = tracked
                    .all()
                    .filter(|row| crate::shard::holds(shard, &row.path()));
                ours.fold((0, 0), |(rows, found), row| {
                    (rows + 1, found + u64::from(tracked.is_found(row.number)))
                })
            }
        };
        Ledger {
            counts: self.scanned.counts.clone(),
            rows,
            found,
            known: self
                .job
                .known
                .map(|known| (known.count(), known.met(), known.unmet())),
        }
    }

    fn report(self, ledger: &Ledger, unbalanced: Vec<String>, complete: bool) -> Report {
        let counts = &ledger.counts;
        let mut notes = vec![format!(
            "{} tracked files, {} found and {} missing; the database has {} rows",
            ledger.rows,
            ledger.found,
            counts.of(Class::Missing).files,
            self.database.rows
        )];
        if self.list.tracked.doubles() > 0 {
            let doubles = self.list.tracked.doubles();
            notes.push(format!(
                "{doubles} rows of the list name a path that another one names"
            ));
        }
        notes.push(match ledger.known {
            Some((known, met, unmet)) => format!(
                "the server is known to have {known} contents: {met} are here, {unmet} are not"
            ),
            None => "what the server has was not asked (--known)".into(),
        });
        notes.push(match &self.job.links {
            None => "whether the server's links lead here was not asked (--store)".into(),
            Some(Err(reason)) => (*reason).into(),
            Some(Ok(links)) => format!(
                "the store has {} links and {} other files; {} names of links lead to places that are \
                 not known here",
                links.count,
                links.entries - links.count,
                links.lost()
            ),
        });
        if counts.vanished > 0 {
            notes.push(format!(
                "{} entries were gone when looked at",
                counts.vanished
            ));
        }
        if unbalanced.is_empty() && self.scanned.whole {
            notes.push("the ledger balances, in files and in bytes".into());
        }
        notes.push("nothing was removed; orphan-rm proves each file again before it does".into());
        Report {
            tool: "orphan-scan".into(),
            subject: self.job.root.to_string_lossy().into_owned(),
            at: jiff::Timestamp::now().to_string(),
            part: self.scanned.part,
            outcomes: Vec::new(),
            warnings: self.flaws.into_iter().chain(unbalanced).collect(),
            notes,
            complete,
        }
    }
}
