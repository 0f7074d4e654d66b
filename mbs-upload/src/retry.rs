//! What is tried again, and how long anything is waited for.
//!
//! | module | what |
//! | --- | --- |
//! | [`attempt`] | a step that failed |
//! | [`timeout`] | an upload that makes no progress |
//! | [`outage`] | a server that is away |
//! | [`shutdown`] | the end of all waiting, after a signal |

pub mod attempt;
pub mod outage;
pub mod shutdown;
pub mod timeout;

use std::{sync::Arc, time::Duration};

use attempt::Policy;
use outage::Outage;
use shutdown::Shutdown;
use timeout::Limits;

/// How failures are dealt with in this run.
#[derive(Clone, Debug)]
pub struct Retry {
    /// How often a step is tried.
    pub policy: Policy,
    /// How long a file may take.
    pub limits: Limits,
    /// How long the server may be away, and a file in its engine's queue.
    pub longest_outage: Duration,
    /// Whether it is away.
    pub outage: Arc<Outage>,
    /// The end of all waiting.
    pub shutdown: Shutdown,
}
