//! Bringing e-book files into MyBookshelf2, each once: never a book lost, never one doubled.
//!
//! | module | what |
//! | --- | --- |
//! | [`args`] | the command line |
//! | [`http`], [`failure`] | requests, and what the server's many kinds of answers mean |
//! | [`login`], [`api`] | one login, its token kept alive; requests with it |
//! | [`engine`] | the WebSocket to the task engine, shared by all workers |
//! | [`offer`], [`language`] | the server's languages, genres and series |
//! | [`check`], [`upload`], [`extract`], [`matching`], [`ebook`] | the steps of an upload |
//! | [`told`], [`book`], [`fit`], [`naming`], [`wanted`], [`placed`] | metadata as the server takes it |
//! | [`links`], [`path_map`] | links in place of copies, and what paths are called on the server (from `wire`) |
//! | [`origin`] | where a file's bytes are, read only as long as they are those that were hashed |
//! | [`preflight`], [`unfit`], [`shown`] | what can be known before anything is sent |
//! | [`rivals`] | signs of another uploader on the same server |
//! | [`claim`], [`claims`] | what must not be worked on twice at a time, here and by other uploaders |
//! | [`known`] | contents that the server is known to have (the set of `mbs-hashes`) |
//! | [`journal`] | what was done in all runs, so that a killed one can be gone on with |
//! | [`job`], [`jobs`], [`plan`], [`floor`] | what is to be done, and what may be done at the same time |
//! | [`errand`], [`attempt`] | one file's way through the steps, and when a step is tried again |
//! | [`stall`], [`outage`], [`halt`] | a file that comes to a stand; a server that is away; the end of the grace |
//! | [`run`], [`outcome`], [`report`] | the whole run, and the record of each file's end |
//! | [`pace`], [`rate`], [`eta`], [`stage`], [`under_way`], [`metrics`] | how the run goes, for people and for Prometheus |
//! | [`throttle`], [`tuner`], [`gate`] | how many files are in flight, where that is to be found out |

pub mod api;
pub mod args;
pub mod attempt;
pub mod book;
pub mod check;
pub mod claim;
pub mod claims;
pub mod ebook;
pub mod engine;
pub mod errand;
pub mod eta;
pub mod extract;
pub mod failure;
pub mod fit;
pub mod floor;
pub mod gate;
pub mod halt;
pub mod http;
pub mod job;
pub mod jobs;
pub mod journal;
pub mod language;
pub mod links;
pub mod login;
pub mod matching;
pub mod metrics;
pub mod naming;
pub mod offer;
pub mod origin;
pub mod outage;
pub mod outcome;
pub mod pace;
pub mod placed;
pub mod plan;
pub mod preflight;
pub mod rate;
pub mod report;
pub mod rivals;
pub mod run;
pub mod server;
pub mod shown;
pub mod stage;
pub mod stall;
pub mod throttle;
pub mod told;
pub mod tuner;
pub mod under_way;
pub mod unfit;
pub mod upload;
pub mod wanted;

pub use mbs_hashes::known;
pub use wire::path_map;
