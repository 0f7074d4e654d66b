//! The steps of a file's way out of the library and back.

/// How far one file has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is about to be moved away.
    Removing,
    /// It is in the quarantine.
    Removed,
    /// It could not be moved, or was moved back at once.
    NotRemoved,
    /// It is about to be put back in the same run.
    Returning,
    /// It was put back.
    Returned,
    /// It is about to be put back by `--restore`.
    Restoring,
    /// It was.
    Restored,
    /// It is about to be deleted for good.
    Purging,
    /// It is.
    Purged,
    /// The links were looked at again, after all files up to this one.
    Looked,
}

impl Step {
    pub(super) const ALL: [(Step, &'static str); 10] = [
        (Step::Removing, "removing"),
        (Step::Removed, "removed"),
        (Step::NotRemoved, "not_removed"),
        (Step::Returning, "returning"),
        (Step::Returned, "returned"),
        (Step::Restoring, "restoring"),
        (Step::Restored, "restored"),
        (Step::Purging, "purging"),
        (Step::Purged, "purged"),
        (Step::Looked, "looked"),
    ];

    /// The word for it in a journal.
    pub(super) fn name(self) -> &'static str {
        Step::ALL[self as usize].1
    }

    /// The step of this name.
    pub(super) fn named(name: &str) -> Option<Step> {
        let found = Step::ALL.into_iter().find(|(_, known)| *known == name);
        found.map(|(step, _)| step)
    }

    /// Must its line be on disk before the tool goes on?
    pub(super) fn is_lasting(self) -> bool {
        match self {
            Step::Removing | Step::Returning | Step::Restoring | Step::Purging => true,
            // Of what is gone no place tells, and nothing is said to be done before this.
            Step::Purged | Step::Looked => true,
            Step::Removed | Step::NotRemoved | Step::Returned | Step::Restored => false,
        }
    }

    /// As the last line of a journal, does it tell that the run did not come to its end?
    pub(super) fn is_amid(self) -> bool {
        !self.is_later() && self != Step::Looked
    }

    /// Is it a step of `--restore` or `--purge`?
    pub fn is_later(self) -> bool {
        matches!(
            self,
            Step::Restoring | Step::Restored | Step::Purging | Step::Purged
        )
    }

    /// Is the file certainly in the library, or certainly gone, so that nothing is left to undo?
    pub fn is_settled(self) -> bool {
        matches!(
            self,
            Step::NotRemoved | Step::Returned | Step::Restored | Step::Purged
        )
    }
}
