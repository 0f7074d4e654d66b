//! What removing, restoring and purging have in common: the proof that a file may go, the quarantine, the
//! journal that undoes all.
//!
//! | module | what |
//! | --- | --- |
//! | [`args`] | the options that the programs share |
//! | [`setup`] | what a program needs, made ready and checked before anything is changed |
//! | [`candidate`] | a finding, read once |
//! | [`proof`] | every question about one file, and the decision by their answers |
//! | [`calibre`] | whether Calibre has the library open |
//! | [`tree`] | files below one folder, reached without following any link |
//! | [`quarantine`] | where files wait, and the move that replaces nothing |
//! | [`journal`] | what is about to be done, on disk before it is done |
//! | [`forget`] | the commands by which Calibre forgets what is gone |
//! | [`limits`], [`confirm`] | how much may go at once, and the consent of a person |
//! | [`outcome`], [`stats`] | what became of one file, and of all |

pub mod args;
pub mod calibre;
pub mod candidate;
pub mod confirm;
pub mod forget;
pub mod journal;
pub mod limits;
mod links;
mod needed;
pub mod outcome;
pub mod proof;
pub mod quarantine;
mod records;
mod server;
pub mod setup;
pub mod stats;
pub mod tree;
