//! Is a command getting anywhere, and how is it ended, all of it?
//!
//! | module | what |
//! | --- | --- |
//! | [`group`] | a command with all its descendants: started, signalled, ended for certain |
//! | [`signals`] | what it has done since the last look: output, CPU time, bytes, offsets, units |
//! | [`watch`] | what follows from that; no clock, no I/O |
//! | [`relay`] | its output on its way through |
//! | [`units`] | the descriptor on which it reports units of work |
//! | [`evidence`] | why it stands still |
//! | [`proc`] | the files of /proc that all this is read from |

pub mod evidence;
pub mod group;
pub mod proc;
pub mod relay;
pub mod signals;
pub mod units;
pub mod watch;
