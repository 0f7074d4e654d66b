//! Who is waited for. A lock may be held by a session that nobody uses any more: of a machine that died,
//! or of a pooler whose client was killed. Waiting for it in silence looks like a stall.

use std::{collections::HashSet, sync::PoisonError, time::Duration};

use crate::{
    locks::{Locks, line::Holder},
    model::claim::Claim,
};

/// So long nothing is said.
pub(super) const QUIET: Duration = Duration::from_secs(10);

/// What was announced: the lock and the session that holds it.
pub(super) type Announced = HashSet<(Claim, String)>;

impl Locks {
    /// After [`QUIET`] tells which lock is waited for, and who holds it; once for each.
    pub(super) fn tell_of_wait(
        &self,
        object: &str,
        claims: &[Claim],
        waited: Duration,
        name: impl Fn(Claim) -> String,
    ) {
        if waited < QUIET {
            return;
        }
        // A holder that cannot be named is waited for all the same.
        let Ok((holders, _)) = self.ask(|line| line.holders(claims)) else {
            return;
        };
        for holder in holders {
            let mut announced = self
                .announced
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if announced.insert((holder.claim, holder.pid.clone())) {
                self.diagnostics
                    .warn(object, "wait", &said(&holder, &name(holder.claim)));
            }
        }
    }
}

fn said(holder: &Holder, what: &str) -> String {
    let Holder {
        pid,
        name,
        since,
        idle,
        ..
    } = holder;
    let name = match name.as_str() {
        "" => "without an application_name".into(),
        name => format!("application_name {name}"),
    };
    let since = match since {
        Some(since) => format!("connected since {since}"),
        None => "since when is hidden from this role".into(),
    };
    let idle = idle
        .as_ref()
        .map_or_else(String::new, |idle| format!(", idle since {idle}"));
    format!(
        "{what} is locked by session {pid} ({name}, {since}{idle}); should nobody be at work there: SELECT pg_terminate_backend({pid})"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_the_holder_and_what_is_not_known_of_it() {
        let mut holder = Holder {
            claim: 7,
            pid: "42".into(),
            name: "mbs-upload".into(),
            since: Some("2026-01-01T00:00:00Z".into()),
            idle: Some("2026-01-02T00:00:00Z".into()),
        };
        let line = said(&holder, "its content");
        assert!(
            line.starts_with("its content is locked by session 42 (application_name mbs-upload, connected since 2026-01-01T00:00:00Z, idle since 2026-01-02"),
            "{line}"
        );
        (holder.name, holder.since, holder.idle) = (String::new(), None, None);
        let line = said(&holder, "x");
        assert!(
            line.contains("(without an application_name, since when is hidden from this role);"),
            "{line}"
        );
    }
}
