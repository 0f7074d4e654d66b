//! What the tests share: fresh folders, the real binaries run in them, waiting for a condition, and
//! a throw-away PostgreSQL.

pub mod cluster;
pub mod run;
pub mod wait;

pub use cluster::Cluster;
pub use run::{Run, Workdir};
pub use wait::wait_for;
