//! The steps of an task.

use crate::{api::extract::Since, metadata::wanted::Wanted};

/// The step that is next.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Check,
    Send,
    Extract {
        file: String,
        since: Since,
    },
    Describe {
        upload: i64,
    },
    Place {
        upload: i64,
        wanted: Wanted,
    },
    Create {
        upload: i64,
        wanted: Wanted,
    },
    Add {
        upload: i64,
        wanted: Wanted,
        ebook: i64,
    },
}

impl Step {
    /// What a file waits for in this step.
    pub(super) fn waits_for(&self) -> &'static str {
        match self {
            Step::Check => "the answer to the check",
            Step::Send => "its bytes to be sent",
            Step::Extract { .. } => "the engine's metadata task",
            Step::Describe { .. } => "what the engine found",
            Step::Place { .. } => "the search for its ebook",
            Step::Create { .. } => "its ebook to be made",
            Step::Add { .. } => "the file to be added to its ebook",
        }
    }
}
