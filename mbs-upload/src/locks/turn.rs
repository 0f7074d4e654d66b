//! Whose turn a file is.

use crate::{
    locks::{LockGuard, Locks, OTHERS_WITHIN},
    model::{claim, failure::Failure, job::Job},
    retry::attempt::{Policy, with_retries},
};

/// Who may work on a file now.
#[derive(Debug)]
pub enum Turn<'a> {
    /// We, as long as the guard holds; there is none where nobody else is kept off.
    Ours(Option<LockGuard<'a>>),
    /// Another uploader is at work on its book or content.
    Theirs,
}

impl Locks {
    /// Takes the claims of `job` if nobody has them.
    ///
    /// # Errors
    /// As [`Locks::take`]; [`Failure::Refused`] when others hold them for too long.
    pub fn turn(&self, job: &Job, policy: Policy) -> Result<Turn<'_>, Failure> {
        if let Some(guard) = with_retries(policy, || self.take(&job.claims))? {
            return Ok(Turn::Ours(Some(guard)));
        }
        if let Some(off) = job.put_off {
            let content = claim::content(&job.content);
            let name = |claim| match claim == content {
                true => format!("its content, {},", job.content.sha1()),
                false => format!(
                    "its book, {:?},",
                    job.book.title.as_deref().unwrap_or_default()
                ),
            };
            self.tell_of_wait(&job.shown(), &job.claims, off.since.elapsed(), name);
        }
        match job.put_off {
            Some(off) if off.since.elapsed() > OTHERS_WITHIN => Err(super::too_long()),
            _ => Ok(Turn::Theirs),
        }
    }
}
