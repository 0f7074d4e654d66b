//! What the tests share: fresh folders, the real binaries run in them, waiting for a condition, and
//! a throw-away PostgreSQL, with a pgbouncer before it.

pub mod cluster;
mod database;
pub mod pooler;
pub mod run;
pub mod wait;

pub use cluster::Cluster;
pub use database::Database;
pub use pooler::Pooler;
pub use run::{Run, Workdir};
pub use wait::wait_for;
