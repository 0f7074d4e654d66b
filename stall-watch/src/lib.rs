//! Is a command getting anywhere, and how is it ended, all of it?
//!
//! | module | what |
//! | --- | --- |
//! | [`group`] | a command with all its descendants: started, signalled, ended for certain |
//! | [`sampler`] | what it has done since the last look: output, CPU time, bytes, offsets, units |
//! | [`sockets`] | how far those of its sockets are |
//! | [`watch`] | what follows from that; no clock, no I/O |
//! | [`relay`] | its output on its way through |
//! | [`units`] | the descriptor on which it reports units of work |
//! | [`evidence`] | why it stands still |
//! | [`events`] | records of all that, for whoever wants to know |
//! | [`caught`] | the signals that its watchdog is sent |
//! | [`disk`] | the devices under a path |
//! | [`load`] | how busy they are, and the memory |
//! | [`proc`] | the files of /proc that all this is read from |

pub mod caught;
pub mod disk;
pub mod events;
pub mod evidence;
pub mod group;
pub mod load;
pub mod proc;
pub mod relay;
pub mod sampler;
pub mod sockets;
pub mod units;
pub mod watch;
