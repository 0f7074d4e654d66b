//! Exit codes as timeout(1) has them.

use std::process::ExitCode;

use rustix::process::{Signal, WaitStatus, getpid, kill_process};

/// We failed, or were called in a wrong way.
pub(crate) const OWN_FAILURE: u8 = 125;

/// How we end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// With an exit code.
    Exit(u8),
    /// By this signal; a shell makes 128 + n of it.
    Signal(i32),
}

impl Code {
    /// The command stood still, or had its time, also where it had to be killed.
    pub(crate) const STALLED: Code = Code::Exit(124);
    /// We failed, or were called in a wrong way.
    pub(crate) const OWN_FAILURE: Code = Code::Exit(OWN_FAILURE);
    /// The command was found but could not be run.
    pub(crate) const CANNOT_RUN: Code = Code::Exit(126);
    /// There is no such command.
    pub(crate) const NOT_FOUND: Code = Code::Exit(127);

    /// The command's own end.
    pub(crate) fn of(status: WaitStatus) -> Code {
        match status.terminating_signal() {
            Some(signal) => Code::Signal(signal),
            None => Code::Exit(status.exit_status().unwrap_or(0) as u8),
        }
    }

    /// Ends as it says: the code for `main` to return, if a signal has not ended us.
    pub(crate) fn end(self) -> ExitCode {
        match self {
            Code::Exit(code) => code.into(),
            Code::Signal(signal) => {
                // KILL has no handler that could be put back, which is how one dies by any other.
                if signal == Signal::KILL.as_raw() && !getpid().is_init() {
                    let _ = kill_process(getpid(), Signal::KILL);
                }
                wire::stop::die_by(signal);
                ExitCode::from(128_u8.saturating_add(signal as u8))
            }
        }
    }
}
