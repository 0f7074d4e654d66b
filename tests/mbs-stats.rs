//! mbs-stats, run against real PostgreSQL servers and a stand-in for the API.
