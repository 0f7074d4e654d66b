//! Reads and hashes files on many threads.
//!
//! On a cold disk the number of readers decides, on a warm cache the number of cores. So there are
//! as many threads as a flash disk wants readers, and permits bound what they do at once: one from
//! the device to read, one of `-j` to hash. A thread gives its read permit back before it hashes the
//! last piece: a file that came in one piece is hashed while the next one is read.

use std::{
    cell::RefCell,
    io, mem,
    num::NonZeroUsize,
    path::Path,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::SystemTime,
};

use hash_files::{
    Cache, Digest, HashError,
    digest::{Reading, agreed, look},
};
use rayon::{ScopeFifo, ThreadPool, ThreadPoolBuilder};
use sha1::{Digest as _, Sha1};
use wire::{Exit, OrFatal, Record, Writer, crash, progress::Unit, records::Summary, stop};

use crate::{
    archives::Archives,
    feed::{Backlog, Batch, Feed},
    order::Order,
    permits::{LONGEST_PIECE, Permits, Readers},
    task::{Failure, Outcome, Task},
};

/// More threads than this have nothing to do.
const MOST_THREADS: usize = 256;

/// A file larger than this is worth a batch of its own.
const LARGE: u64 = 1 << 20;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; LONGEST_PIECE]);
}

/// Threads that hash, and what they share.
pub(crate) struct Pool<'a> {
    out: &'a Writer,
    cache: Option<&'a Cache>,
    threads: ThreadPool,
    readers: Readers,
    hashers: Option<Permits>,
    order: Option<Order<Option<Outcome>>>,
    pub(crate) backlog: Backlog,
    /// The files are archives: hash their members.
    tar: bool,
    /// An archive may have held more than was hashed.
    partial: AtomicBool,
    hits: AtomicU64,
    error: OnceLock<io::Error>,
}

/// What the command line says about the pool.
pub(crate) struct Settings {
    /// Files to hash at once; without a number, one for each core.
    pub jobs: Option<NonZeroUsize>,
    /// Files to read at once from each device; without a number, as many as suit the device.
    pub io_threads: Option<NonZeroUsize>,
    pub ordered: bool,
    pub tar: bool,
}

impl<'a> Pool<'a> {
    /// Starts the threads.
    ///
    /// # Errors
    /// Not even one can be started.
    pub(crate) fn new(
        out: &'a Writer,
        cache: Option<&'a Cache>,
        settings: &Settings,
    ) -> anyhow::Result<Pool<'a>> {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let jobs = settings.jobs.map_or(cores, NonZeroUsize::get);
        let readers = Readers::new(settings.io_threads);
        // The members of archives are ordered when one archive is read after another.
        let wanted = match settings.tar && settings.ordered {
            true => 1,
            false => readers.most().max(jobs).min(MOST_THREADS),
        };
        Ok(Pool {
            out,
            cache,
            threads: start(crash::affordable_threads(wanted))
                .or_fatal(Exit::GaveUp, "threads: start one")?,
            readers,
            // Where every core may be used, the scheduler limits better than permits can.
            hashers: (jobs < cores).then(|| Permits::new(jobs)),
            order: (settings.ordered && !settings.tar).then(Order::new),
            backlog: Backlog::default(),
            tar: settings.tar,
            partial: AtomicBool::new(false),
            hits: AtomicU64::new(0),
            error: OnceLock::new(),
        })
    }

    /// Hashes what `source` feeds, in bounded memory, and returns the summary. After a stop request
    /// or an error of standard output it finishes the files in progress and drops the others.
    ///
    /// # Errors
    /// Of `source`, or of standard output.
    pub(crate) fn run(
        self,
        source: impl FnOnce(&Feed<'_, '_, '_>) -> anyhow::Result<Summary>,
    ) -> anyhow::Result<Summary> {
        let fed = self.threads.in_place_scope_fifo(|scope| {
            let feed = Feed::new(&self, scope);
            let fed = source(&feed);
            feed.send();
            fed
        });
        if let Some(cache) = self.cache {
            cache.flush();
            self.warn_of(cache);
            let hits = self.hits.load(Ordering::Relaxed);
            let found = format!("{hits} files were known");
            self.out.verbose("cache", "look up", &found);
        }
        if let Some(error) = self.error.into_inner() {
            return Err(error.into());
        }
        let mut summary = fed?;
        summary.complete &= !self.partial.into_inner();
        Ok(summary)
    }

    /// Is there no use in more tasks?
    pub(crate) fn ended(&self) -> bool {
        self.error.get().is_some() || stop::requested()
    }

    /// Have some threads nothing to do?
    pub(crate) fn has_idle_threads(&self) -> bool {
        self.tar || self.backlog.len() < self.threads.current_num_threads()
    }

    /// Performs the tasks of a batch one after another. Before a large file it leaves the others to
    /// other threads.
    pub(crate) fn work<'s>(&'s self, scope: &ScopeFifo<'s>, mut batch: Batch) {
        while let Some((number, task)) = batch.next() {
            let share = || {
                let rest = mem::take(&mut batch);
                if rest.len() > 0 {
                    scope.spawn_fifo(move |scope| self.work(scope, rest));
                }
            };
            let perform = || BUFFER.with_borrow_mut(|buffer| self.perform(task, buffer, share));
            let outcome = if self.ended() { None } else { perform() };
            match &self.order {
                None => self.write(outcome),
                Some(order) => order.deliver(number, outcome, |outcome| self.write(outcome)),
            }
        }
    }

    fn write(&self, outcome: Option<Outcome>) {
        if let Some(outcome) = outcome {
            self.print(&outcome);
        }
        self.backlog.done();
    }

    fn print(&self, outcome: &Outcome) {
        if self.error.get().is_none()
            && let Err(error) = outcome.write(self.out)
        {
            // The first error counts.
            let _ = self.error.set(error);
        }
    }

    /// Nothing for an archive, whose outcomes are written as they come.
    fn perform(&self, task: Task, buffer: &mut [u8], share: impl FnOnce()) -> Option<Outcome> {
        Some(match task {
            Task::Pass(record) => Outcome::Pass(record),
            Task::Fail(failure) => Outcome::Fail(failure),
            Task::Hash(path, record) if self.tar => {
                self.archive(&path, record.as_ref(), buffer);
                return None;
            }
            Task::Hash(path, record) => match self.digest(&path, buffer, share) {
                Ok((unit, digest)) => Outcome::hashed(unit, &path, record.as_ref(), &digest),
                Err(error) => Outcome::Fail(Failure::of_hash(&path, record, &error)),
            },
        })
    }

    fn archive(&self, path: &Path, record: Option<&Record>, buffer: &mut [u8]) {
        let archives = Archives {
            readers: &self.readers,
            hashers: self.hashers.as_ref(),
        };
        let whole = archives.hash(path, record, buffer, &mut |outcome| {
            self.print(&outcome);
            !self.ended()
        });
        if !whole {
            self.partial.store(true, Ordering::Relaxed);
        }
    }

    fn digest(
        &self,
        path: &Path,
        buffer: &mut [u8],
        share: impl FnOnce(),
    ) -> Result<(Unit, Digest), HashError> {
        let mut share = Some(share);
        let mut read = || agreed(|| self.read(path, buffer, &mut share));
        let Some(cache) = self.cache else {
            return Ok((Unit::Work, read()?));
        };
        let stamp = look(path)?;
        if let Some(sha1) = cache.get(path, &stamp) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok((Unit::Discovery, Digest { sha1, stamp }));
        }
        let begun = SystemTime::now();
        let digest = read()?;
        cache.put(path, &digest, begun);
        self.warn_of(cache);
        Ok((Unit::Work, digest))
    }

    fn read(
        &self,
        path: &Path,
        buffer: &mut [u8],
        share: &mut Option<impl FnOnce()>,
    ) -> Result<Digest, HashError> {
        let mut reading = Reading::open(path)?;
        let stamp = reading.stamp();
        if stamp.size > LARGE
            && let Some(share) = share.take()
        {
            share();
        }
        let device = self.readers.of(stamp.dev);
        let mut permit = Some(device.permits.take());
        let mut sha1 = Sha1::new();
        while !reading.ended() {
            let piece = reading.fill(&mut buffer[..device.piece])?;
            if reading.ended() {
                permit = None;
            }
            let _core = self.hashers.as_ref().map(Permits::take);
            sha1.update(piece);
        }
        drop(permit);
        reading.finish(path, sha1)
    }

    fn warn_of(&self, cache: &Cache) {
        if let Some(why) = cache.trouble() {
            self.out
                .warn("cache", "use", &format!("{why}; going on without it"));
        }
    }
}

/// Starts as many of the wanted threads as the system allows.
fn start(wanted: usize) -> Result<ThreadPool, rayon::ThreadPoolBuildError> {
    let started = ThreadPoolBuilder::new().num_threads(wanted).build();
    match started {
        Err(_) if wanted > 1 => start(wanted / 2),
        started => started,
    }
}
