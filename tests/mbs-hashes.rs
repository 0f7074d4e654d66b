//! mbs-hashes, run against real PostgreSQL servers.
