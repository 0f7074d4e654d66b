//! What runs through the tool: a file to upload, what went wrong, what became of it. No I/O.

pub mod check;
pub mod claim;
pub mod failure;
pub mod job;
pub mod origin;
pub mod outcome;
pub mod owners;
pub mod sample;
pub mod stage;
