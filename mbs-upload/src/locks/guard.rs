//! The claims of one file under way.

use std::{sync::atomic::Ordering, time::Instant};

use crate::{
    known::Content,
    locks::{AGAIN, Locks, OTHERS_WITHIN, There},
    model::{claim::Claim, failure::Failure},
};

/// Locks held as long as this lives and the connection does.
#[derive(Debug)]
pub struct LockGuard<'a> {
    claims: &'a Locks,
    wanted: Vec<Claim>,
    /// The connection on which they are held.
    epoch: Option<u64>,
}

/// How a file stands just before a step that must not be taken twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockState {
    /// Its claims were held all the time, and the server does not have it.
    Held,
    /// They are held again; others may have made its ebook meanwhile.
    Regained,
    /// The server has it by now.
    There(There),
}

impl<'a> LockGuard<'a> {
    pub(super) fn new(claims: &'a Locks, wanted: &[Claim]) -> LockGuard<'a> {
        let mut guard = LockGuard {
            claims,
            wanted: Vec::new(),
            epoch: None,
        };
        guard.want(wanted);
        guard
    }

    fn want(&mut self, more: &[Claim]) {
        self.wanted.extend(more);
        // A lock that is granted twice would have to be given back twice.
        self.wanted.sort_unstable();
        self.wanted.dedup();
    }

    /// Takes all of them or none, at once.
    pub(super) fn take(&mut self) -> Result<bool, Failure> {
        let (taken, epoch) = self.claims.ask(|line| line.take(&self.wanted))?;
        self.epoch = taken.then_some(epoch);
        Ok(taken)
    }

    fn holds(&self) -> bool {
        self.epoch == Some(self.claims.epoch.load(Ordering::Relaxed))
    }

    /// Takes further claims where that needs no waiting. Else none at all is held any more, and
    /// [`LockGuard::confirm`] will wait for all of them.
    pub fn extend_by(&mut self, more: &[Claim]) -> Result<(), Failure> {
        let mut further = more.to_vec();
        further.retain(|claim| !self.wanted.contains(claim));
        further.sort_unstable();
        further.dedup();
        let answer = self.claims.ask(|line| line.take(&further));
        match &answer {
            Ok((true, epoch)) if self.epoch == Some(*epoch) => {}
            Ok((taken, epoch)) => {
                self.give_back();
                if *taken {
                    self.claims.release(&further, *epoch);
                }
            }
            Err(_) => self.give_back(),
        }
        self.want(&further);
        answer.map(drop)
    }

    /// Gives all of them back before waiting for something else.
    pub fn give_back(&mut self) {
        if let Some(epoch) = self.epoch.take() {
            self.claims.release(&self.wanted, epoch);
        }
    }

    /// Makes sure of the claims, waiting for them where they were lost, and asks for the content.
    ///
    /// # Errors
    /// As [`Locks::take`]; [`Failure::Refused`] when others hold them for too long.
    pub fn confirm(&mut self, content: &Content) -> Result<LockState, Failure> {
        let mut regained = false;
        loop {
            if !self.holds() {
                regained = true;
                self.wait()?;
            }
            let (there, epoch) = self.claims.ask(|line| line.there(content))?;
            match there {
                Some(there) => return Ok(LockState::There(there)),
                None if self.epoch != Some(epoch) => {}
                None if regained => return Ok(LockState::Regained),
                None => return Ok(LockState::Held),
            }
        }
    }

    /// Are all of them held at this moment, at once taken again if they were lost? For what must not be
    /// done beside others, but need not be done.
    pub fn is_held(&mut self) -> Result<bool, Failure> {
        let (_, epoch) = self.claims.ask(|line| line.query("SELECT 1"))?;
        match self.epoch == Some(epoch) {
            true => Ok(true),
            false => self.take(),
        }
    }

    /// Are both held on one connection, so that neither was lost since the other was taken?
    pub fn is_with(&self, other: &LockGuard<'_>) -> bool {
        self.epoch.is_some() && self.epoch == other.epoch
    }

    pub(super) fn wait(&mut self) -> Result<(), Failure> {
        let start = Instant::now();
        let deadline = start + OTHERS_WITHIN;
        let _waiting = wire::waiting::announce("another uploader's lock", OTHERS_WITHIN);
        while !self.take()? {
            let object = self.claims.database();
            let name = |_| "a book, content, author or series that a file needs".into();
            self.claims
                .tell_of_wait(&object, &self.wanted, start.elapsed(), name);
            // A signal leaves a file under way its grace.
            if Instant::now() >= deadline || self.claims.shutdown.sleep(AGAIN) {
                return Err(super::too_long());
            }
        }
        Ok(())
    }
}

impl Drop for LockGuard<'_> {
    fn drop(&mut self) {
        self.give_back();
    }
}
