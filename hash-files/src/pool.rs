//! Many threads that read and hash, one that feeds them.
//!
//! On a cold disk the number of readers decides, on a warm cache the number of cores. So there are
//! as many threads as a flash disk wants readers, each takes one file at a time from a short queue,
//! and permits bound what they do at once: one from the device to read, one of `-j` to hash. The
//! permit to read goes back before the last piece is hashed: a file that came in one piece is hashed
//! while the next one is read.

use std::{
    io,
    num::NonZeroUsize,
    ops::ControlFlow,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::SystemTime,
};

use hash_files::{
    Cache, Digest, HashError,
    digest::{Reading, agreed, look},
};
use sha1::{Digest as _, Sha1};
use wire::{Exit, OrFatal, Record, Writer, crash, progress::Unit, stop};

use crate::{
    archives::Archives,
    order::Order,
    permits::{LONGEST_PIECE, Permits, Readers},
    queue::Queue,
    task::{Outcome, Task},
};

/// Tasks that wait for a thread: enough that none idles, few enough to forget about.
const QUEUE: usize = 256;

/// How the pool works.
pub(crate) struct Pool<'a> {
    out: &'a Writer,
    cache: Option<&'a Cache>,
    threads: usize,
    readers: Readers,
    hashers: Option<Permits>,
    order: Option<Order<Option<Outcome>>>,
    /// Files are archives, and their members what is hashed.
    tar: bool,
    partial: AtomicBool,
    hits: AtomicU64,
    broken: AtomicBool,
    error: Mutex<Option<io::Error>>,
}

impl<'a> Pool<'a> {
    /// A pool that hashes `jobs` files at once and reads `io_threads` from each device; without a
    /// number, as many as there are cores, and as suit the device.
    pub(crate) fn new(
        out: &'a Writer,
        cache: Option<&'a Cache>,
        jobs: Option<NonZeroUsize>,
        io_threads: Option<NonZeroUsize>,
        ordered: bool,
    ) -> Pool<'a> {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let jobs = jobs.map_or(cores, NonZeroUsize::get);
        let readers = Readers::new(io_threads);
        // More than can wait for them would have nothing to do.
        let threads = crash::affordable_threads(readers.most().max(jobs).min(QUEUE));
        Pool {
            out,
            cache,
            threads,
            readers,
            // Where every core may be used, the scheduler sees to it better than permits can.
            hashers: (jobs < cores).then(|| Permits::new(jobs)),
            order: ordered.then(Order::new),
            tar: false,
            partial: AtomicBool::new(false),
            hits: AtomicU64::new(0),
            broken: AtomicBool::new(false),
            error: Mutex::new(None),
        }
    }

    /// Takes files for tar archives. Where results are to be in order, one is read after another.
    pub(crate) fn of_archives(mut self, tar: bool) -> Pool<'a> {
        self.tar = tar;
        if tar && self.order.take().is_some() {
            self.threads = 1;
        }
        self
    }

    /// Did every archive tell of all its members?
    pub(crate) fn whole(&self) -> bool {
        !self.partial.load(Ordering::Relaxed)
    }

    /// Runs what `feed` pushes, in bounded memory: a push waits while all threads are busy. It
    /// answers `Break` when there is no use in more: standard output failed or a stop is requested.
    /// What was begun by then is finished, what was not is dropped.
    ///
    /// # Errors
    /// Of `feed`, or of standard output.
    pub(crate) fn run<T>(
        &self,
        feed: impl FnOnce(&mut dyn FnMut(Task) -> ControlFlow<()>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let tasks = Queue::new(QUEUE);
        let fed = thread::scope(|scope| {
            for started in 0..self.threads {
                let thread = thread::Builder::new().spawn_scoped(scope, || self.work(&tasks));
                // Fewer do it, too.
                if let (Err(error), 0) = (thread.map(drop), started) {
                    return Err(error).or_fatal(Exit::GaveUp, "threads: start one")?;
                }
            }
            let mut number = 0;
            let mut push = |task| {
                if self.ends() {
                    return ControlFlow::Break(());
                }
                tasks.give((number, task));
                number += 1;
                ControlFlow::Continue(())
            };
            let fed = feed(&mut push);
            tasks.close();
            fed
        });
        if let Some(cache) = self.cache {
            cache.flush();
            self.mind(cache);
            let hits = self.hits.load(Ordering::Relaxed);
            self.out
                .verbose("cache", "look up", &format!("{hits} files were known"));
        }
        let error = self
            .error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match error {
            Some(error) => Err(error.into()),
            None => fed,
        }
    }

    fn ends(&self) -> bool {
        self.broken.load(Ordering::Relaxed) || stop::requested()
    }

    fn work(&self, tasks: &Queue<(u64, Task)>) {
        let mut buffer = vec![0; LONGEST_PIECE];
        while let Some((number, task)) = tasks.take() {
            if let (true, Task::Hash(path, record)) = (self.tar, &task) {
                self.archive(path, record.as_ref(), &mut buffer);
                continue;
            }
            let outcome = (!self.ends()).then(|| self.perform(task, &mut buffer));
            match &self.order {
                None => self.write(outcome),
                Some(order) => order.deliver(number, outcome, |outcome| self.write(outcome)),
            }
        }
    }

    fn write(&self, outcome: Option<Outcome>) {
        let Some(outcome) = outcome else { return };
        if self.broken.load(Ordering::Relaxed) {
            return;
        }
        if let Err(error) = outcome.write(self.out) {
            *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            self.broken.store(true, Ordering::Relaxed);
        }
    }

    fn perform(&self, task: Task, buffer: &mut [u8]) -> Outcome {
        match task {
            Task::Pass(record) => Outcome::Pass(record),
            Task::Fail(failure) => Outcome::Fail(failure),
            Task::Hash(path, record) => match self.digest(&path, buffer) {
                Ok((unit, digest)) => Outcome::hashed(unit, &path, record.as_ref(), &digest),
                Err(error) => Outcome::failed(&path, record, &error),
            },
        }
    }

    fn archive(&self, path: &Path, record: Option<&Record>, buffer: &mut [u8]) {
        if self.ends() {
            return;
        }
        let archives = Archives {
            readers: &self.readers,
            hashers: self.hashers.as_ref(),
        };
        let whole = archives.hash(path, record, buffer, &mut |outcome| {
            self.write(Some(outcome));
            !self.ends()
        });
        if !whole {
            self.partial.store(true, Ordering::Relaxed);
        }
    }

    fn digest(&self, path: &Path, buffer: &mut [u8]) -> Result<(Unit, Digest), HashError> {
        let Some(cache) = self.cache else {
            return Ok((Unit::Work, agreed(|| self.read(path, buffer))?));
        };
        let stamp = look(path)?;
        if let Some(sha1) = cache.get(path, &stamp) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok((Unit::Discovery, Digest { sha1, stamp }));
        }
        let begun = SystemTime::now();
        let digest = agreed(|| self.read(path, buffer))?;
        cache.put(path, &digest, begun);
        self.mind(cache);
        Ok((Unit::Work, digest))
    }

    fn read(&self, path: &Path, buffer: &mut [u8]) -> Result<Digest, HashError> {
        let mut reading = Reading::open(path)?;
        let device = self.readers.of(reading.stamp().dev);
        let mut turn = Some(device.permits.take());
        let mut sha1 = Sha1::new();
        while !reading.ended() {
            let piece = reading.fill(&mut buffer[..device.piece])?;
            if reading.ended() {
                turn = None;
            }
            let _core = self.hashers.as_ref().map(Permits::take);
            sha1.update(piece);
        }
        drop(turn);
        reading.finish(path, sha1)
    }

    fn mind(&self, cache: &Cache) {
        if let Some(why) = cache.trouble() {
            self.out
                .warn("cache", "use", &format!("{why}; going on without it"));
        }
    }
}
