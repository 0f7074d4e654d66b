//! What the tests share: fresh folders, the real binaries, waiting, a throw-away PostgreSQL.

pub mod cluster;

pub use cluster::Cluster;
