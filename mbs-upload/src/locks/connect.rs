//! The first connection: is it this server's database, and is it quick?

use std::time::Duration;

use mbs_hashes::Settings;
use wire::{Exit, Fatal, Writer};

use crate::{
    locks::{INDEX, Locks, SLOW, Same, Sample, same},
    retry::{
        attempt::{Policy, with_retries},
        shutdown::Shutdown,
    },
};

/// Connects to the database that keeps uploaders apart, and makes sure that it is this server's.
///
/// # Errors
/// Refused when it is another server's; gave up when it, or the server, is out of reach.
pub fn connect(
    settings: Settings,
    (address, sample): (&str, Sample<'_>),
    policy: Policy,
    (outage, shutdown): (Duration, &Shutdown),
    out: &Writer,
) -> Result<Locks, Fatal> {
    let object = settings.to_string();
    if let Some(oddity) = &settings.oddity {
        out.warn("password file", "read", oddity);
    }
    let locks = Locks::open(settings, outage, shutdown, out.diagnostics())
        .map_err(|failure| failure.fatal(&object, "connect"))?;
    match with_retries(policy, || same(sample, &locks)) {
        Ok(Same::Yes | Same::Unknown(_)) => {
            // Who may not know does not keep us from working.
            if let Ok(false) = with_retries(policy, || locks.indexed()) {
                let advice = format!("{}: {}", SLOW, INDEX);
                out.warn(&object, "index", &advice);
            }
            Ok(locks)
        }
        Ok(Same::No(why)) => Err(Fatal::new(
            Exit::Refused,
            format!("{object}: compare: not the database of {}: {why}", address),
        )),
        Err(failure) => Err(Fatal::new(
            Exit::GaveUp,
            format!("{object}: compare with {}: {failure}", address),
        )),
    }
}
