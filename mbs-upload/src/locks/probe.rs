//! Do locks hold on this way to the database? A pooler may lend each statement, or each transaction,
//! another session: then a lock is taken in one, given back in another, and keeps nobody out; or it
//! stays in a session of the pooler's for ever.

use std::time::{Duration, Instant, SystemTime};

use mbs_hashes::{Failure, Session};

/// So often, since a pooler may by chance lend the same session twice.
const ROUNDS: u32 = 3;
/// How long a closed connection's locks may outlive it.
const LINGERS: Duration = Duration::from_secs(10);

/// What two connections saw of one lock.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Observed {
    /// The session in which the first connection took it.
    taken_in: String,
    /// The session of the second, in a transaction.
    rival_in: String,
    /// Did the second one get it, too?
    rival_got_it: bool,
}

/// Takes a lock on `first`, tries it on another connection, and looks whether it is held still.
///
/// # Errors
/// [`Failure::Unsafe`] where it would hold for nobody; the database is out of reach.
pub(super) fn probe(
    first: &Session,
    another: impl Fn() -> Result<Session, Failure>,
) -> Result<(), Failure> {
    let rival = another()?;
    for round in 0..ROUNDS {
        // One of its own each time: what a pooler keeps of it is in nobody's way.
        let key = key(round);
        let taken_in = text(&first.query(&format!(
            "SELECT pg_backend_pid() WHERE pg_try_advisory_lock({key})"
        ))?);
        let verdict = rival.read(|open| {
            let answer = open.query(&format!(
                "SELECT pg_backend_pid(), pg_try_advisory_xact_lock({key})::int"
            ))?;
            let seen = Observed {
                taken_in: taken_in.clone(),
                rival_in: text(&answer),
                rival_got_it: answer[0]
                    .get(1)
                    .is_none_or(|got| got.as_deref() != Some("0")),
            };
            if let Some(why) = unsound(&seen) {
                return Ok(Some(why));
            }
            // Meanwhile the other session is taken up by the rival's transaction.
            held(first, key, &taken_in)
        });
        let verdict = match verdict {
            // One that takes no transactions, for instance.
            Err(Failure::Database(error)) if error.as_db_error().is_some() => {
                return Err(Failure::Unsafe(format!(
                    "no lock holds there: {error}: {ADVICE}"
                )));
            }
            other => other?,
        };
        first.query(&format!(
            "SELECT pg_advisory_unlock({key}) WHERE pg_backend_pid() = {}",
            if taken_in.is_empty() { "0" } else { &taken_in }
        ))?;
        if let Some(why) = verdict {
            return Err(Failure::Unsafe(format!("{why}: {ADVICE}")));
        }
    }
    ends_with_its_connection(first, rival)
}

const ADVICE: &str = "a pooler is in the way: name the server itself";

/// Is the lock held by the session that took it?
fn held(first: &Session, key: i64, taken_in: &str) -> Result<Option<&'static str>, Failure> {
    let held = first.query(&format!(
        "SELECT pg_backend_pid() FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 \
         AND (classid::bigint << 32) | objid::bigint = {key} AND pid = pg_backend_pid()"
    ))?;
    Ok((text(&held) != taken_in).then_some("a lock is not held after the statement that took it"))
}

fn unsound(seen: &Observed) -> Option<&'static str> {
    if seen.taken_in.is_empty() {
        Some("a lock that nobody knows of is held already")
    } else if seen.rival_got_it || seen.rival_in == seen.taken_in {
        Some("two connections share one session, so that both get one lock")
    } else {
        None
    }
}

/// A pooler may keep a session, and its locks, after its client is gone.
fn ends_with_its_connection(first: &Session, rival: Session) -> Result<(), Failure> {
    let key = key(ROUNDS);
    rival.query(&format!("SELECT pg_try_advisory_lock({key})"))?;
    drop(rival);
    let deadline = Instant::now() + LINGERS;
    loop {
        let free = first.query(&format!(
            "SELECT pg_advisory_unlock({key}) WHERE pg_try_advisory_lock({key})"
        ))?;
        if !free.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let why = "a closed connection's lock stays held";
            return Err(Failure::Unsafe(format!("{why}: {ADVICE}")));
        }
        wire::stop::sleep(Duration::from_millis(20));
    }
}

/// A number that nobody else takes.
fn key(round: u32) -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    crate::model::claim::probe(
        std::process::id(),
        now.unwrap_or_default().as_nanos(),
        round,
    ) as i64
}

fn text(rows: &[Vec<Option<String>>]) -> String {
    let first = rows.first().and_then(|row| row.first()?.clone());
    first.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_believed_only_when_the_second_of_two_sessions_is_kept_out() {
        let seen = |taken_in: &str, rival_in: &str, rival_got_it| {
            let [taken_in, rival_in] = [taken_in, rival_in].map(Into::into);
            unsound(&Observed {
                taken_in,
                rival_in,
                rival_got_it,
            })
            .is_none()
        };
        assert!(seen("1", "2", false));
        assert!(!seen("1", "2", true));
        assert!(!seen("1", "1", true) && !seen("1", "1", false));
        assert!(!seen("", "2", false));
    }
}
