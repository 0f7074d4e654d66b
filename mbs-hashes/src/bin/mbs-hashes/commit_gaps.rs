//! Finds the gaps between ids that late commits may still fill, so that `--follow` misses no row that commits late and writes none
//! twice.
//!
//! A transaction takes its id from a sequence when it inserts, but others see the row only when it
//! commits. So a lower id can turn up after a higher one. Neither "id above the highest" nor a time
//! stamp finds it. An id below the highest that was not seen is therefore a *gap*, and every pass
//! looks into the gaps as well as above the highest id: both are look-ups in the primary key.
//!
//! A gap that nobody can fill any more (a rollback, a deleted row) is given up by this reasoning:
//!
//! 1. A pass saw the id T. Whoever holds an id below T took it before that pass, and was in a
//!    transaction then, since ids are handed out in order.
//! 2. A list of all open transactions is made after that pass and before every later one; what is in
//!    the first list and in each later one may hold such an id. (`pg_locks` shows every open
//!    transaction by its own lock, to every role. On a standby it does not show those of the primary;
//!    there the oldest open transaction number tells.)
//! 3. As soon as none is left, all of them had ended before the pass that follows, and so that pass
//!    sees what they committed. After it, no id below T can turn up.
//!
//! This supposes that an id is taken in the transaction that inserts its row, as the server does.

use std::collections::{BTreeMap, HashSet};

/// The transactions that are open at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OpenTransactions {
    /// All of them but our own, by their virtual ids.
    pub(crate) open: HashSet<String>,
    /// All numbers below are of transactions that have ended.
    pub(crate) oldest: i64,
    /// All numbers from here on were not handed out yet.
    pub(crate) next: i64,
}

impl OpenTransactions {
    /// On servers before 14 a prepared transaction has another name than it had before, so which of
    /// the open ones it was cannot be told.
    fn has_prepared(&self) -> bool {
        self.open.iter().any(|name| name.starts_with("-1/"))
    }
}

/// What was seen and what may still turn up.
#[derive(Debug)]
pub(crate) struct CommitGaps {
    top: i64,
    /// Ranges of ids below `top`, first to last, that were not seen and may still turn up.
    gaps: BTreeMap<i64, i64>,
    mark: Option<Mark>,
    /// After the pass that now runs, no id up to here can turn up.
    settled: Option<i64>,
}

/// Ids up to `top` can turn up as long as one of the transactions in `watch` is open.
#[derive(Debug)]
struct Mark {
    top: i64,
    watch: Option<OpenTransactions>,
}

impl CommitGaps {
    /// Nothing seen yet, and nothing wanted up to `after`. `highest` is the highest id at a time
    /// before the first pass.
    pub(crate) fn new(after: i64, highest: Option<i64>) -> CommitGaps {
        CommitGaps {
            top: after,
            gaps: BTreeMap::new(),
            mark: highest.map(|top| Mark { top, watch: None }),
            settled: None,
        }
    }

    /// To be called before each pass, with the transactions that are open then.
    pub(crate) fn before_pass(&mut self, now: &OpenTransactions) {
        self.settled = None;
        let Some(mark) = &mut self.mark else {
            return;
        };
        let watch = mark.watch.get_or_insert_with(|| now.clone());
        watch.open.retain(|name| now.open.contains(name));
        if watch.open.is_empty() && !now.has_prepared() && now.oldest >= watch.next {
            self.settled = Some(mark.top);
            self.mark = None;
        }
    }

    /// Notes a row. Says whether it is seen for the first time.
    pub(crate) fn see(&mut self, id: i64) -> bool {
        if id > self.top {
            let first = self
                .top
                .max(self.settled.unwrap_or(i64::MIN))
                .saturating_add(1);
            if first < id {
                self.gaps.insert(first, id - 1);
            }
            self.top = id;
            return true;
        }
        let Some((&first, &last)) = self.gaps.range(..=id).next_back() else {
            return false;
        };
        if id > last {
            return false;
        }
        self.gaps.remove(&first);
        if first < id {
            self.gaps.insert(first, id - 1);
        }
        if id < last {
            self.gaps.insert(id + 1, last);
        }
        true
    }

    /// To be called after each pass that has come to its end.
    pub(crate) fn after_pass(&mut self) {
        if let Some(settled) = self.settled.take() {
            let above = self.gaps.split_off(&settled.saturating_add(1));
            let across = self.gaps.values().next_back().copied();
            self.gaps = above;
            if let Some(last) = across.filter(|&last| last > settled) {
                self.gaps.insert(settled + 1, last);
            }
        }
        if self.mark.is_none() && !self.gaps.is_empty() {
            self.mark = Some(Mark {
                top: self.top,
                watch: None,
            });
        }
    }

    /// The highest id seen; the next pass reads what is above it.
    pub(crate) fn top(&self) -> i64 {
        self.top
    }

    /// The gaps that the next pass has to look into, first and last id of each.
    pub(crate) fn ranges(&self) -> impl ExactSizeIterator<Item = (i64, i64)> {
        self.gaps.iter().map(|(&first, &last)| (first, last))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn gaps(commit_gaps: &CommitGaps) -> Vec<(i64, i64)> {
        commit_gaps.ranges().collect()
    }

    #[test]
    fn a_gap_is_filled_once() {
        let mut commit_gaps = CommitGaps::new(0, None);
        assert!(commit_gaps.see(1) && commit_gaps.see(5) && commit_gaps.see(3));
        assert_eq!(gaps(&commit_gaps), [(2, 2), (4, 4)]);
        assert!(
            !commit_gaps.see(3) && !commit_gaps.see(1) && !commit_gaps.see(5) && commit_gaps.see(4)
        );
        assert_eq!(gaps(&commit_gaps), [(2, 2)]);
    }

    #[test]
    fn a_gap_stays_while_a_transaction_of_its_time_is_open() {
        let open_transactions = |open: &[&str]| OpenTransactions {
            open: open.iter().map(|name| name.to_string()).collect(),
            ..OpenTransactions::default()
        };
        let mut commit_gaps = CommitGaps::new(0, None);
        commit_gaps.before_pass(&open_transactions(&["a"]));
        commit_gaps.see(1);
        commit_gaps.see(3);
        commit_gaps.after_pass();
        for open in [&["a", "b"][..], &["a", "c"]] {
            commit_gaps.before_pass(&open_transactions(open));
            commit_gaps.after_pass();
            assert_eq!(gaps(&commit_gaps), [(2, 2)]);
        }
        // "c" began after the gap was seen, so it cannot fill it.
        commit_gaps.before_pass(&open_transactions(&["c"]));
        assert_eq!(
            gaps(&commit_gaps),
            [(2, 2)],
            "the pass that follows must still look"
        );
        commit_gaps.after_pass();
        assert_eq!(gaps(&commit_gaps), []);
    }

    #[test]
    fn a_transaction_prepared_under_another_name_keeps_its_gap() {
        let mut commit_gaps = CommitGaps::new(0, Some(9));
        for name in ["3/4", "-1/77"] {
            commit_gaps.before_pass(&OpenTransactions {
                open: HashSet::from([name.to_string()]),
                ..OpenTransactions::default()
            });
            commit_gaps.see(9);
            commit_gaps.after_pass();
            assert_eq!(gaps(&commit_gaps), [(1, 8)]);
        }
    }

    /// A writer takes an id, and some steps later commits or rolls back.
    #[derive(Clone, Debug)]
    enum Step {
        Insert(usize),
        Commit(usize),
        Rollback(usize),
        Pass,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (0..4usize).prop_map(Step::Insert),
            2 => (0..4usize).prop_map(Step::Commit),
            1 => (0..4usize).prop_map(Step::Rollback),
            2 => Just(Step::Pass),
        ];
        prop::collection::vec(step, 0..120)
    }

    proptest! {
        /// Whatever the order of commits, every row is written, once, and gaps do not pile up.
        #[test]
        fn no_row_is_missed_and_none_doubled(steps in steps()) {
            let mut next_id = 1;
            let mut writers: Vec<(u32, Vec<i64>)> = vec![(0, Vec::new()); 4];
            let mut table = BTreeSet::new();
            let mut written = BTreeSet::new();
            let mut commit_gaps = CommitGaps::new(0, Some(0));
            let ends = (0..4).map(Step::Commit).chain([Step::Pass, Step::Pass, Step::Pass]);
            for step in steps.into_iter().chain(ends) {
                match step {
                    Step::Insert(w) => {
                        writers[w].1.push(next_id);
                        next_id += 1;
                    }
                    Step::Commit(w) => {
                        table.extend(writers[w].1.drain(..));
                        writers[w].0 += 1;
                    }
                    Step::Rollback(w) => {
                        writers[w].1.clear();
                        writers[w].0 += 1;
                    }
                    Step::Pass => {
                        let open = writers.iter().enumerate().filter(|(_, (_, ids))| !ids.is_empty());
                        commit_gaps.before_pass(&OpenTransactions {
                            open: open.map(|(w, (n, _))| format!("{w}/{n}")).collect(),
                            ..OpenTransactions::default()
                        });
                        let wanted: Vec<i64> = commit_gaps.ranges()
                            .chain([(commit_gaps.top() + 1, i64::MAX)])
                            .flat_map(|(first, last)| table.range(first..=last).copied())
                            .collect();
                        for id in wanted {
                            prop_assert!(commit_gaps.see(id));
                            prop_assert!(written.insert(id), "{id} is written twice");
                        }
                        commit_gaps.after_pass();
                    }
                }
            }
            prop_assert_eq!(&written, &table);
            prop_assert_eq!(commit_gaps.ranges().len(), 0);
        }
    }
}
