//! What is tracked and was not found.

use std::{io, path::Path, sync::PoisonError};

use orphan_scan::classes::{Answer, Class, Verdict};
use wire::path::encode;

use super::Walker;
use crate::finding::Finding;

impl Walker<'_> {
    /// The rows that nothing accounts for.
    pub(super) fn missing(&mut self) -> io::Result<()> {
        let job = self.job;
        let known = job.answers.map(|answers| &answers.set);
        for row in job.tracked.missing(known) {
            let below = row.path();
            if job.shard.is_some_and(|shard| !shard.holds(&below)) {
                continue;
            }
            let path = self.path(&below);
            let mends = {
                let mending = job.mending.lock();
                let mending = mending.unwrap_or_else(PoisonError::into_inner);
                mending.get(&row.number).cloned()
            };
            let verdict = Verdict {
                class: Class::Missing,
                why: why_missing(&path, mends.as_deref()).into(),
                removable: Answer::No,
            };
            let finding = Finding {
                path: &path,
                verdict: &verdict,
                seen: None,
                content: None,
                row: Some((&row, job.listed_root)),
            };
            self.tell(&below, &finding, None)?;
        }
        Ok(())
    }
}

/// A row may be missing to the walk and be there all the same, behind a border.
fn why_missing(path: &Path, mends: Option<&Path>) -> String {
    match (path.symlink_metadata(), mends) {
        (Ok(about), _) if about.is_dir() => "a folder is in its place".into(),
        (Ok(_), _) => {
            "it is there, but the walk did not come to it: a link or another file system is \
                       in between, or it came later"
                .into()
        }
        (Err(error), _) if error.kind() == io::ErrorKind::PermissionDenied => {
            "it is not known whether it is there: a folder may not be entered".into()
        }
        (Err(_), Some(mends)) => {
            let (shown, _) = encode(mends);
            format!("it is not there, and {shown} would mend it")
        }
        (Err(_), None) => "it is not there".into(),
    }
}
