//! What a tool cannot go on after: no memory, or a panic in any of its threads, be it that a library
//! could start none. A thread that dies in silence lets others wait for it for ever; so the process ends,
//! with one line and 255, as it does when anything else is not to be had. What a kill cannot lose, this
//! does not lose either.

use std::{
    io::{self, Write},
    panic,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::process::{Resource, getrlimit};
use signal_hook::{consts::SIGABRT, flag};

use crate::path::printable;

/// What a thread may take of the address space: its stack, and where its allocations come from.
const A_THREAD: u64 = 96 << 20;

/// From here on every fault ends the process with `code`.
///
/// # Errors
/// SIGABRT cannot be taken over.
pub fn exit_with(tool: &'static str, code: u8) -> io::Result<()> {
    // std has no other answer to memory that is not to be had than to say so and abort.
    flag::register_conditional_shutdown(SIGABRT, code.into(), Arc::new(AtomicBool::new(true)))?;
    let told = AtomicBool::new(false);
    panic::set_hook(Box::new(move |info| {
        if !told.swap(true, Ordering::Relaxed) {
            let why = info.payload_as_str().unwrap_or("no reason given");
            let place = info
                .location()
                .map_or(String::new(), |at| format!(" ({at})"));
            let line = printable(&format!("{tool}: internal: go on: {why}{place}"));
            let _ = writeln!(io::stderr(), "{line}");
        }
        end(code);
    }));
    Ok(())
}

#[expect(
    clippy::exit,
    reason = "other threads may wait for the one that cannot go on"
)]
fn end(code: u8) {
    std::process::exit(code.into());
}

/// So many threads of those wanted as there is address space for (`ulimit -v`), and one at least.
pub fn affordable_threads(wanted: usize) -> usize {
    let space = getrlimit(Resource::As).current.unwrap_or(u64::MAX);
    let threads = usize::try_from(space / A_THREAD).unwrap_or(usize::MAX);
    wanted.min(threads).max(1)
}
