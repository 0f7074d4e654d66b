//! What may run beside what: the input's jobs, handed to the workers so that no two of them meet.
//!
//! | module | what |
//! | --- | --- |
//! | [`feed`] | the reader of the input |
//! | [`scheduler`] | which job may start now; pure |
//! | [`separate`] | books of equal names, kept apart |
//! | [`work_queue`] | the scheduler under a lock, shared by all threads |
//! | [`worker`] | takes jobs and reports their outcomes |

pub mod feed;
pub mod scheduler;
pub mod separate;
pub mod work_queue;
pub mod worker;
