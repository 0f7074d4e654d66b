//! The server's protocol, table by table. Without more, a sandbox is started for each test; with
//! `MBS_API`, `MBS_WS`, `MBS_USER` and `MBS_PASSWORD_FILE` any server is held to it, and what
//! needs the sandbox's own knobs says that it is skipped. Each run makes things of its own, with
//! names nobody else has, and removes what the API lets it remove.

// Helpers outside of test functions may fail and speak like these.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "contract/adding.rs"]
mod adding;
#[path = "contract/check.rs"]
mod check;
#[path = "contract/client.rs"]
mod client;
#[path = "contract/ebooks.rs"]
mod ebooks;
#[path = "contract/engine.rs"]
mod engine;
#[path = "contract/faults.rs"]
mod faults;
#[path = "contract/fork.rs"]
mod fork;
#[path = "contract/login.rs"]
mod login;
#[path = "contract/metadata.rs"]
mod metadata;
#[path = "contract/naming.rs"]
mod naming;
#[path = "contract/program.rs"]
mod program;
#[path = "contract/schema.rs"]
mod schema;
#[path = "contract/search.rs"]
mod search;
#[path = "contract/sessions.rs"]
mod sessions;
#[path = "contract/socket.rs"]
mod socket;
#[path = "contract/upload.rs"]
mod upload;
