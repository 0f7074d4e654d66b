//! What is done about a failure: the step is tried again, the server waited for, or the file given up.

use crate::{
    model::failure::Failure,
    retry::{
        attempt::{Next, chance},
        outage::Standing,
        shutdown::STOPPED,
    },
    steps::{Step, UploadTask},
};

/// Failures of one file in all its steps, as a multiple of those that one step may have.
const IN_ALL: u32 = 4;

/// Absences of the server in a row during one step. A file that takes the server down each time
/// must come to an end like others that fail.
const ABSENCES: u32 = 8;

/// What to do about a failure.
pub(super) enum AfterFailure {
    Again,
    Failed,
    /// The server is gone; nobody knows how this file ends.
    Gone(String),
}

/// Tries of one step that failed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tries {
    failed: u32,
    absences: u32,
}

/// Steps of which one try may have been done unheard.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct UnconfirmedSteps {
    pub(super) add: bool,
}

impl UploadTask<'_> {
    /// What is to be done after a failure; when it is to be tried again, the time has come.
    pub(super) fn judge(&mut self, failure: &Failure, tries: &mut Tries) -> AfterFailure {
        let retry = self.with.retry;
        match retry.outage.standing(failure, || self.with.api.ping()) {
            Standing::Gone(why) => return AfterFailure::Gone(why),
            Standing::Back if tries.absences < ABSENCES => {
                tries.absences += 1;
                return AfterFailure::Again;
            }
            Standing::Back | Standing::There => tries.failed += 1,
        }
        let in_all = self.failures >= retry.policy.retries.saturating_mul(IN_ALL);
        match retry.policy.next(failure, tries.failed, chance()) {
            Next::Wait(pause) if !in_all => {
                self.failures += 1;
                let _waiting = wire::waiting::announce(&failure.to_string(), pause);
                match retry.shutdown.sleep(pause) {
                    false => AfterFailure::Again,
                    true => {
                        // Who only insisted on an answer must see that the run is over, too.
                        retry.outage.give_up(STOPPED);
                        AfterFailure::Gone(STOPPED.into())
                    }
                }
            }
            _ => AfterFailure::Failed,
        }
    }

    /// Asks the server until it answers, as often as a step may be tried.
    pub(super) fn insist<T>(
        &mut self,
        mut ask: impl FnMut(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        // These are no tries of the file's.
        let failures = std::mem::take(&mut self.failures);
        let mut tries = Tries::default();
        let end = loop {
            match ask(self) {
                Ok(answer) => break Ok(answer),
                Err(failure) => match self.judge(&failure, &mut tries) {
                    AfterFailure::Again => {}
                    AfterFailure::Failed => break Err(failure),
                    AfterFailure::Gone(why) => break Err(Failure::NotReached(why)),
                },
            }
        };
        self.failures = failures;
        end
    }

    /// Remembers what this failure leaves open.
    pub(super) fn note_doubt(&mut self, failure: &Failure) {
        if failure.is_strain() {
            self.job.stage.strained();
        }
        if failure.is_unconfirmed() {
            self.is_unconfirmed = true;
            if let Step::Add { .. } = self.step {
                self.unconfirmed.add = true;
                self.unadded += u32::from(matches!(failure, Failure::Down(_) | Failure::Server(_)));
            }
        }
    }
}
