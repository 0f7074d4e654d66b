//! Locks that hold among all uploaders of one database, on whatever machines: advisory locks of
//! PostgreSQL, all on one connection of this process.
//!
//! Within the process the [scheduler](crate::queue::scheduler) keeps apart what shares a claim. That is also why one
//! connection does: to its own session the server would grant a lock twice.
//!
//! The locks of a file, its book's and its content's, are taken all or none, and whoever has to wait
//! for one holds none meanwhile; so nobody waits in a circle, in whatever order lists are. They are
//! held over check, creation and adding. For the moment of a creation the names of its authors and its
//! series are held, too ([`Locks::wait_for`]); whoever has those waits for nobody. When the connection is lost, they are lost. Then sending
//! pauses until it is back, each file under way takes its locks again, and asks again what has
//! become of its content and of its book meanwhile.

pub mod concurrent;
mod connect;
mod guard;
mod index;
mod line;
mod probe;
mod same;
mod turn;
mod waiting;

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

pub use connect::connect;
pub use guard::{LockGuard, LockState};
pub use index::{INDEX, SLOW};
use mbs_hashes::Settings;
pub use same::{Same, Sample, same};
pub use turn::Turn;
use wire::Diagnostics;

use crate::{
    known::Content,
    model::{claim::Claim, failure::Failure},
    retry::shutdown::Shutdown,
};
use line::{Backend, Line};
use waiting::Announced;

/// How long others may hold what a file needs before that is a failure of the file. Theirs may be a
/// large file on a slow line, tried several times.
pub const OTHERS_WITHIN: Duration = Duration::from_secs(3600);
/// How often what others hold is tried again.
pub const AGAIN: Duration = Duration::from_millis(500);
/// How long one try to connect may take.
const CONNECT: Duration = Duration::from_secs(30);
/// How often one question may lose the connection.
const LOSSES: u32 = 5;
/// The longest pause between two tries to get the connection back.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The way to the locks; may be shared by all threads.
#[derive(Debug)]
pub struct Locks {
    settings: Settings,
    /// How long a database that went away is waited for.
    outage: Duration,
    /// Nobody waits once it is requested.
    shutdown: Shutdown,
    diagnostics: Diagnostics,
    state: Mutex<State>,
    /// Counts the connections; what was locked on an earlier one is not locked any more.
    epoch: AtomicU64,
    announced: Mutex<Announced>,
}

#[derive(Debug)]
struct State {
    line: Option<Line>,
    /// The server's name for the last one.
    backend: Backend,
    /// It did not come back in time: nobody waits for it again.
    gone: Option<String>,
}

/// A file of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct There {
    /// Its row.
    pub source: Option<i64>,
    /// Its ebook.
    pub ebook: Option<i64>,
}

fn too_long() -> Failure {
    Failure::Refused("another uploader is at work on this book or content".into())
}

impl Locks {
    /// Connects. `outage` is how long a connection that is lost later is waited for, unless `shutdown` is
    /// requested; `diagnostics` tells of that.
    ///
    /// # Errors
    /// The database is out of reach, or locks taken there would hold for nobody else.
    pub fn open(
        mut settings: Settings,
        outage: Duration,
        shutdown: &Shutdown,
        diagnostics: Diagnostics,
    ) -> Result<Locks, mbs_hashes::Failure> {
        settings.connect_timeout.get_or_insert(CONNECT);
        let object = settings.to_string();
        let line = Line::first(&settings, |why| diagnostics.warn(&object, "connect", why))?;
        Ok(Locks {
            settings,
            outage,
            shutdown: shutdown.clone(),
            diagnostics,
            state: Mutex::new(State {
                backend: line.backend.clone(),
                line: Some(line),
                gone: None,
            }),
            epoch: AtomicU64::new(0),
            announced: Mutex::default(),
        })
    }

    /// The database, as messages name it.
    pub fn database(&self) -> String {
        self.settings.to_string()
    }

    /// Takes all these claims, or says that others hold one of them.
    ///
    /// # Errors
    /// [`Failure::NoDatabase`] when the database does not come back in time, [`Failure::Busy`] when
    /// it could not do it just now.
    pub fn take(&self, claims: &[Claim]) -> Result<Option<LockGuard<'_>>, Failure> {
        let mut guard = LockGuard::new(self, claims);
        Ok(guard.take()?.then_some(guard))
    }

    /// Takes all these claims, waiting while others hold one of them. Only for what nobody holds who
    /// waits for other claims, since whoever waits here may hold some.
    ///
    /// # Errors
    /// As [`Locks::take`]; [`Failure::Refused`] when others hold them for too long.
    pub fn wait_for(&self, claims: &[Claim]) -> Result<LockGuard<'_>, Failure> {
        let mut guard = LockGuard::new(self, claims);
        guard.wait()?;
        Ok(guard)
    }

    /// Does the server have this content?
    pub fn there(&self, content: &Content) -> Result<Option<There>, Failure> {
        self.ask(|line| line.there(content)).map(|(there, _)| there)
    }

    /// Asks on the connection, made again where it is lost, and says on which one that was.
    fn ask<T>(
        &self,
        ask: impl Fn(&mut Line) -> Result<T, mbs_hashes::Failure>,
    ) -> Result<(T, u64), Failure> {
        let mut state = self.lock();
        let busy = |failure: mbs_hashes::Failure| Failure::Busy {
            after: None,
            message: format!("{}: locks: {failure}", self.settings),
        };
        for losses in 1.. {
            let line = match &mut state.line {
                Some(line) => line,
                None => self.back(&mut state, "the connection broke")?,
            };
            match ask(line) {
                Ok(answer) => return Ok((answer, self.epoch.load(Ordering::Relaxed))),
                Err(wrong @ mbs_hashes::Failure::Unsafe(_)) => return Err(self.gone(&wrong)),
                Err(lost) if lost.ends_session() => {
                    self.back(&mut state, &lost.to_string())?;
                    if losses >= LOSSES {
                        return Err(busy(lost));
                    }
                }
                Err(failure) if failure.may_pass() => return Err(busy(failure)),
                Err(other) => return Err(self.gone(&other)),
            }
        }
        unreachable!("the losses come to an end")
    }

    /// Gives back what was taken on this connection; with a lost one, it is given back already.
    fn release(&self, claims: &[Claim], epoch: u64) {
        if self.epoch.load(Ordering::Relaxed) != epoch {
            return;
        }
        let mut state = self.lock();
        if let Some(line) = &mut state.line
            && self.epoch.load(Ordering::Relaxed) == epoch
            && line.release(claims).is_err()
        {
            // Whatever became of it, a closed connection holds no locks.
            state.line = None;
        }
    }

    /// Gets the connection back. Whoever else needs it waits meanwhile, so nothing is sent.
    fn back<'a>(&self, state: &'a mut State, lost: &str) -> Result<&'a mut Line, Failure> {
        if let Some(why) = &state.gone {
            return Err(Failure::NoDatabase(why.clone()));
        }
        state.line = None;
        self.epoch.fetch_add(1, Ordering::Relaxed);
        let object = self.database();
        let paused = format!("{lost}; nothing is sent until the connection is back");
        self.diagnostics.warn(&object, "locks", &paused);
        let deadline = Instant::now() + self.outage;
        let _waiting = wire::waiting::announce(&object, self.outage);
        let mut pause = Duration::from_secs(1);
        loop {
            match Line::open(&self.settings, &state.backend) {
                Ok(line) => {
                    state.backend = line.backend.clone();
                    self.diagnostics.warn(&object, "locks", "connected again");
                    return Ok(state.line.insert(line));
                }
                Err(failure)
                    if failure.may_pass()
                        && Instant::now() + pause < deadline
                        && !self.shutdown.sleep(pause) =>
                {
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(failure) => {
                    let why = self.gone(&failure);
                    state.gone = Some(why.to_string());
                    return Err(why);
                }
            }
        }
    }

    fn gone(&self, failure: &mbs_hashes::Failure) -> Failure {
        Failure::NoDatabase(format!("{}: locks: {failure}", self.settings))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
