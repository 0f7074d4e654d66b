//! What is tried again, and how long anything is waited for.
//!
//! | module | what |
//! | --- | --- |
//! | [`attempt`] | a step that failed |
//! | [`timeout`] | a file whose way has come to a stand |
//! | [`outage`] | a server that is away |
//! | [`shutdown`] | the end of all patience, after a signal |

pub mod attempt;
pub mod outage;
pub mod shutdown;
pub mod timeout;
