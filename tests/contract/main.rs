//! The server's protocol, table by table. Without more, a sandbox is started for each test; with
//! `MBS_API`, `MBS_WS`, `MBS_USER` and `MBS_PASSWORD_FILE` any server is held to it, and what
//! needs the sandbox's own knobs says that it is skipped. Each run makes things of its own, with
//! names nobody else has, and removes what the API lets it remove.

// Helpers outside of test functions may fail and speak like these.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod adding;
mod check;
mod client;
mod ebooks;
mod engine;
mod faults;
mod fork;
mod login;
mod metadata;
mod naming;
mod program;
mod schema;
mod search;
mod sessions;
mod socket;
mod upload;
