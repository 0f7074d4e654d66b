//! The order of the queries. A transaction may commit between any two of them, and another order would
//! miss its rows: [`CommitGaps`] says why.

use mbs_hashes::source::Source;

use crate::commit_gaps::{CommitGaps, OpenTransactions};

/// What the database is asked; time passes between the queries.
pub(crate) trait Queries {
    /// The highest id.
    fn highest(&mut self) -> anyhow::Result<Option<i64>>;

    /// The transactions that are open now.
    fn open_transactions(&mut self) -> anyhow::Result<OpenTransactions>;

    /// Hands over each row above `top` or within `gaps`, as of one moment.
    fn rows(
        &mut self,
        top: Option<i64>,
        gaps: &[(i64, i64)],
        each: &mut dyn FnMut(&Source<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()>;
}

/// Writes what is there above `after`. `commit_gaps` is there afterwards even if that fails.
pub(crate) fn first(
    database: &mut impl Queries,
    after: i64,
    commit_gaps: &mut Option<CommitGaps>,
    write: impl FnMut(&Source<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let highest = database.highest()?;
    let commit_gaps = commit_gaps.insert(CommitGaps::new(after, highest));
    next(database, commit_gaps, write)
}

/// Writes what has turned up since the last time.
pub(crate) fn next(
    database: &mut impl Queries,
    commit_gaps: &mut CommitGaps,
    mut write: impl FnMut(&Source<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    commit_gaps.before_pass(&database.open_transactions()?);
    let top = Some(commit_gaps.top()).filter(|&top| top > i64::MIN);
    let gaps: Vec<(i64, i64)> = commit_gaps.ranges().collect();
    database.rows(top, &gaps, &mut |row| match row.id {
        Some(id) if !commit_gaps.see(id) => Ok(()),
        _ => write(row),
    })?;
    commit_gaps.after_pass();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// A database in which all that others do is done between two of our questions.
    struct Fake {
        /// What others do before each question, one after the other: who, and what.
        script: std::vec::IntoIter<Vec<(usize, Does)>>,
        next_id: i64,
        open: Vec<(u32, Vec<i64>)>,
        table: BTreeSet<i64>,
    }

    #[derive(Clone, Copy, Debug)]
    enum Does {
        Insert,
        Commit,
    }

    impl Fake {
        fn new(script: Vec<Vec<(usize, Does)>>) -> Fake {
            Fake {
                script: script.into_iter(),
                next_id: 1,
                open: vec![(0, Vec::new()); 3],
                table: BTreeSet::new(),
            }
        }

        fn others(&mut self) {
            for (who, does) in self.script.next().unwrap_or_default() {
                let (turn, ids) = &mut self.open[who];
                match does {
                    Does::Insert => {
                        ids.push(self.next_id);
                        self.next_id += 1;
                    }
                    Does::Commit => {
                        self.table.extend(ids.drain(..));
                        *turn += 1;
                    }
                }
            }
        }
    }

    impl Queries for Fake {
        fn highest(&mut self) -> anyhow::Result<Option<i64>> {
            self.others();
            Ok(self.table.last().copied())
        }

        fn open_transactions(&mut self) -> anyhow::Result<OpenTransactions> {
            self.others();
            let open = self.open.iter().enumerate();
            let open = open.filter(|(_, (_, ids))| !ids.is_empty());
            Ok(OpenTransactions {
                open: open
                    .map(|(who, (turn, _))| format!("{who}/{turn}"))
                    .collect(),
                ..OpenTransactions::default()
            })
        }

        fn rows(
            &mut self,
            top: Option<i64>,
            gaps: &[(i64, i64)],
            each: &mut dyn FnMut(&Source<'_>) -> anyhow::Result<()>,
        ) -> anyhow::Result<()> {
            self.others();
            let above = (top.map_or(i64::MIN, |top| top + 1), i64::MAX);
            for &(first, last) in [above].iter().chain(gaps) {
                for id in self.table.range(first..=last) {
                    each(&Source {
                        id: Some(*id),
                        ..Source::default()
                    })?;
                }
            }
            Ok(())
        }
    }

    /// What is written of all that is committed, when the script is over.
    fn written(script: Vec<Vec<(usize, Does)>>) -> (Vec<i64>, Vec<i64>) {
        let questions = script.len();
        let mut fake = Fake::new(script);
        let (mut commit_gaps, mut seen) = (None, Vec::new());
        let mut write = |row: &Source<'_>| {
            seen.extend(row.id);
            Ok(())
        };
        first(&mut fake, i64::MIN, &mut commit_gaps, &mut write).unwrap();
        let commit_gaps = commit_gaps.as_mut().unwrap();
        for _ in 0..questions / 2 + 4 {
            next(&mut fake, commit_gaps, &mut write).unwrap();
        }
        seen.sort_unstable();
        (seen, fake.table.into_iter().collect())
    }

    #[test]
    fn open_transactions_are_asked_for_before_the_rows_and_after_the_highest_id() {
        use Does::{Commit, Insert};
        // 1 commits after 2 was seen, just between two questions, whichever they are.
        for moment in 1..8 {
            let mut script = vec![Vec::new(); 8];
            script[0] = vec![(0, Insert), (1, Insert), (1, Commit)];
            script[moment].push((0, Commit));
            let (seen, table) = written(script);
            assert_eq!(seen, table, "it commits before question {moment}");
        }
        // It begins after the highest id was asked for, and below what the first pass sees.
        let script = vec![
            vec![(1, Insert), (1, Commit)],
            vec![(0, Insert)],
            vec![(1, Insert), (1, Commit)],
            vec![],
            vec![(0, Commit)],
        ];
        let (seen, table) = written(script);
        assert_eq!(seen, table);
    }

    proptest! {
        #[test]
        fn nothing_that_commits_between_two_questions_is_missed(
            script in prop::collection::vec(
                prop::collection::vec(
                    (0..3usize, prop_oneof![Just(Does::Insert), Just(Does::Commit)]),
                    0..5,
                ),
                0..30,
            )
        ) {
            let (seen, table) = written(script);
            prop_assert_eq!(seen, table);
        }
    }
}
