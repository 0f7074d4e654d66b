//! What is tried again, and how long anything is waited for.
//!
//! | module | what |
//! | --- | --- |
//! | [`attempt`] | a step that failed |
//! | [`stall`] | a file whose way has come to a stand |
//! | [`outage`] | a server that is away |
//! | [`halt`] | the end of all patience, after a signal |

pub mod attempt;
pub mod halt;
pub mod outage;
pub mod stall;
