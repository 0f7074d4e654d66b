//! What is tracked and was not found.

use std::{io, path::Path, sync::PoisonError};

use orphan_scan::{
    classes::{Class, Classification, Removable},
    needs::{Found, find},
};
use wire::path::encode;

use super::Walker;
use crate::finding::Finding;

/// What is known of a record to which the walk met no entry.
#[derive(Clone, Debug)]
struct Unmet<'a> {
    /// What is at its path now.
    found: Found,
    /// A folder above it could not be looked into, or it or one went while the walk was on.
    unlooked: bool,
    /// Nothing was at its path when the scan began, either.
    was_absent: bool,
    /// The file that Calibre would take for it.
    mends: Option<&'a Path>,
}

impl Walker<'_> {
    /// The rows that nothing accounts for.
    pub(super) fn missing(&mut self) -> io::Result<()> {
        let job = self.job;
        for row in job.tracked.missing() {
            let below = row.path();
            if job
                .shard
                .is_some_and(|shard| !crate::shard::holds(shard, &below))
            {
                continue;
            }
            let path = self.path(&below);
            let found = find(&path);
            if let Found::There(file) = found
                && job.is_alias(file)
            {
                job.tracked.settle(row.number);
                continue;
            }
            let mends = {
                let mending = job.mending.lock();
                let mending = mending.unwrap_or_else(PoisonError::into_inner);
                mending.get(&row.number).cloned()
            };
            let classified = judge(&Unmet {
                found,
                unlooked: job.was_unlooked(&below),
                // A list of another day says nothing of today's records.
                was_absent: job.partial || job.needed.was_absent(&below),
                mends: mends.as_deref(),
            });
            if classified.class != Class::Missing {
                self.counts.unwalked += 1;
            }
            let finding = Finding {
                path: &path,
                classified: &classified,
                seen: None,
                content: None,
                row: Some((&row, job.listed_root)),
            };
            self.tell(&below, &finding, None)?;
        }
        Ok(())
    }
}

/// Missing is only what is known not to be there. A row may be unmet by the walk and be there all the same.
fn judge(unmet: &Unmet<'_>) -> Classification {
    let unknown = |why: String| Classification {
        class: Class::Unknown,
        why: why.into(),
        removable: Removable::Unknown,
    };
    match (&unmet.found, unmet.mends) {
        (Found::There(_), _) => unknown(
            "it is there, but the walk did not come to it: a link or another file system is in between, \
             or it came later"
                .into(),
        ),
        (Found::Unknown(why), _) => unknown(format!("it is not known whether it is there: {why}")),
        (Found::Missing, _) if unmet.unlooked => unknown(
            "it is not known whether it is there: a folder could not be looked into, or went meanwhile"
                .into(),
        ),
        (Found::Missing, _) if !unmet.was_absent => {
            unknown("it was there when the scan began, and was moved or removed since".into())
        }
        (Found::Missing, mends) => Classification {
            class: Class::Missing,
            why: match mends {
                Some(mends) => {
                    let (shown, _) = encode(mends);
                    format!("it is not there, and {shown} would mend it").into()
                }
                None => "it is not there".into(),
            },
            removable: Removable::No,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_looked_into_is_unknown_never_missing() {
        let missing = Unmet {
            found: Found::Missing,
            unlooked: false,
            was_absent: true,
            mends: None,
        };
        let class = |unmet: &Unmet<'_>| judge(unmet).class;
        assert_eq!(class(&missing), Class::Missing);
        let mended = Unmet {
            mends: Some(Path::new("/x")),
            ..missing.clone()
        };
        assert_eq!(class(&mended), Class::Missing);
        assert!(judge(&mended).why.contains("/x"));
        for unmet in [
            Unmet {
                unlooked: true,
                ..mended.clone()
            },
            Unmet {
                was_absent: false,
                ..mended.clone()
            },
            Unmet {
                found: Found::Unknown("Permission denied".into()),
                ..mended.clone()
            },
            Unmet {
                found: Found::There((1, 2)),
                ..mended
            },
        ] {
            let classified = judge(&unmet);
            assert_eq!(classified.class, Class::Unknown, "{unmet:?}");
            assert_eq!(classified.removable, Removable::Unknown);
        }
    }
}
