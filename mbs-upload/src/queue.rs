//! What may run beside what: jobs that wait, and those that may start now.
//!
//! | module | what |
//! | --- | --- |
//! | [`scheduler`] | which job may start now; pure |
//! | [`separate`] | books of equal names, kept apart |
//! | [`work_queue`] | the scheduler under a lock, shared by all threads |

pub mod scheduler;
pub mod separate;
pub mod work_queue;
