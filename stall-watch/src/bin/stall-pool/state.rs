//! What is remembered across the pool's own end: the records that `--status` prints, in a file that is
//! replaced as a whole, and on the disk before anything follows from it.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use jiff::Timestamp;
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use stall_watch::units::Count;
use wire::{
    Exit, Fatal, Line, OrFatal, Record,
    records::{self, RecordType},
};

use crate::worker::{Phase, Rules, State, Waits, Worker};

/// Where everything is.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    state: PathBuf,
    logs: Option<PathBuf>,
}

impl Paths {
    /// Of an absolute path, so that it is the same wherever the workers go.
    pub(crate) fn new(state: &Path, logs: Option<&Path>) -> io::Result<Paths> {
        Ok(Paths {
            state: std::path::absolute(state)?,
            logs: logs.map(std::path::absolute).transpose()?,
        })
    }

    fn beside(&self, name: &str) -> PathBuf {
        let mut path = OsString::from(&self.state);
        path.push(name);
        path.into()
    }

    /// The log of one worker.
    pub(crate) fn log(&self, worker: u32) -> PathBuf {
        match &self.logs {
            Some(logs) => logs.join(format!("{worker}.log")),
            None => self.beside(&format!(".{worker}.log")),
        }
    }

    /// The lock that the workers hold.
    pub(crate) fn worker_lock(&self) -> PathBuf {
        self.beside(".workers.lock")
    }

    /// Makes the folders, and keeps every other pool away from this state until the file is dropped.
    pub(crate) fn lock(&self) -> anyhow::Result<File> {
        let folder = self.state.parent().unwrap_or(Path::new("/"));
        for folder in [Some(folder), self.logs.as_deref()].into_iter().flatten() {
            let shown = format!("{}: make", folder.display());
            match fs::create_dir(folder) {
                // Above it nothing is made: a misspelt path would be another pool's.
                Err(_) if folder.is_dir() => {}
                made => made.or_fatal(Exit::Usage, shown)?,
            }
        }
        let path = self.beside(".lock");
        let shown = |act: &str| format!("{}: {act}", path.display());
        let file = File::options().append(true).create(true).open(&path);
        let file = file.or_fatal(Exit::Usage, shown("open"))?;
        let mut tries = 0;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(file),
                // Whoever only looks has it for a moment.
                Err(Errno::WOULDBLOCK) if tries < 20 => {
                    tries += 1;
                    sleep(Duration::from_millis(5));
                }
                Err(Errno::WOULDBLOCK) => return Err(self.taken().into()),
                Err(error) => Err(error).or_fatal(Exit::GaveUp, shown("lock"))?,
            }
        }
    }

    /// Another pool has this state.
    pub(crate) fn taken(&self) -> Fatal {
        self.refused("lock", "another pool has it; see --status")
    }

    fn refused(&self, act: &str, reason: impl std::fmt::Display) -> Fatal {
        let state = self.state.display();
        Fatal::new(Exit::Refused, format_args!("{state}: {act}: {reason}"))
    }

    /// Does a pool run that has this state?
    pub(crate) fn is_locked(&self) -> bool {
        File::open(self.beside(".lock"))
            .is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockShared).is_err())
    }

    /// Replaces the state, wholly or not at all.
    pub(crate) fn save(&self, text: &[u8]) -> io::Result<()> {
        let new = self.beside(".new");
        let mut file = File::create(&new)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&new, &self.state)?;
        let folder = self.state.parent().unwrap_or(Path::new("/"));
        File::open(folder)?.sync_all()
    }

    /// What a former pool, or the one that runs, has written; nothing where there was none.
    pub(crate) fn load(&self) -> anyhow::Result<Option<Saved>> {
        let text = match fs::read(&self.state) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.refused("read", error).into()),
        };
        let saved = Saved::parse(&text);
        let saved = saved.map_err(|why| self.refused("read", format_args!("no state: {why}")))?;
        Ok(Some(saved))
    }
}

/// A state.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    pub(crate) pool: records::Pool,
    pub(crate) workers: Vec<records::Worker>,
}

impl Saved {
    fn parse(text: &[u8]) -> Result<Saved, String> {
        let mut pool = None;
        let mut workers = Vec::new();
        for line in text
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let record = Record::parse(line.to_vec())?;
            match record.kind() {
                "pool" => pool = Some(record.decode()?),
                "worker" => workers.push(record.decode()?),
                _ => {}
            }
        }
        let pool = pool.ok_or("no line of type pool")?;
        Ok(Saved { pool, workers })
    }

    /// As lines.
    pub(crate) fn text(&self) -> Vec<u8> {
        let mut text = line(&self.pool);
        for worker in &self.workers {
            text.extend(line(worker));
        }
        text
    }

    /// What must not be lost: all but what is counted or measured every moment.
    pub(crate) fn durable(&self) -> Saved {
        let mut durable = self.clone();
        durable.pool.at.clear();
        let pool = &mut durable.pool;
        (pool.disk, pool.io, pool.memory) = (None, None, None);
        for worker in &mut durable.workers {
            (worker.work, worker.discovery, worker.idle) = (0, 0, None);
            // Until when one waits that runs changes with each word of it.
            if worker.begun.is_some() {
                worker.until = None;
            }
        }
        durable
    }
}

fn line<T: RecordType + serde::Serialize>(record: &T) -> Vec<u8> {
    [Line::of(record).open_bytes(), b"}\n"].concat()
}

/// A time of the pool's clock, which counts from 1970.
pub(crate) fn shown(time: Duration) -> String {
    Timestamp::from_second(time.as_secs() as i64)
        .ok()
        .and_then(|at| {
            at.checked_add(Duration::from_nanos(time.subsec_nanos().into()))
                .ok()
        })
        .unwrap_or(Timestamp::MAX)
        .to_string()
}

/// The same back.
pub(crate) fn time(text: &str) -> Option<Duration> {
    let at: Timestamp = text.parse().ok()?;
    Duration::try_from(at.duration_since(Timestamp::UNIX_EPOCH)).ok()
}

/// A worker as a record, but for what its process knows.
pub(crate) fn record(number: u32, worker: &Worker, now: Duration) -> records::Worker {
    let (mut since, mut until, mut code, mut reason) = (None, None, None, None);
    match &worker.state {
        State::Running { since: at } => {
            since = Some(*at);
            until = worker.waits.as_ref().map(|waits| waits.until);
            let what = |waits: &Waits| format!("waits on purpose: {}", waits.what);
            reason = worker.waits.as_ref().map(what);
        }
        State::Ending { since: at, .. } => since = Some(*at),
        State::Waiting { until: at } => until = Some(*at),
        State::Held if worker.due > now => until = Some(worker.due),
        State::Held => {}
        State::Paused { reason: why } => reason = Some(why.clone()),
        State::Done { code: with } => code = Some(i64::from(*with)),
    }
    records::Worker {
        worker: number.into(),
        state: worker.word(now).into(),
        begun: since.map(shown),
        until: until.map(shown),
        starts: worker.starts.into(),
        attempts: worker.failed.into(),
        restarted: worker.restarted.map(shown),
        failing: worker.failing,
        phase: worker.phase.map(|phase| match phase {
            Phase::Discovery => "discovery".into(),
            Phase::Work => "work".into(),
        }),
        work: worker.units.work,
        discovery: worker.units.discovery,
        idle: worker.runs().then(|| worker.idle().as_secs_f64()),
        code,
        reason,
        ..records::Worker::default()
    }
}

/// A worker from its record. One that ran is to be started again.
pub(crate) fn worker(record: &records::Worker, rules: &Rules) -> Worker {
    let mut worker = Worker::new(rules);
    let at = |text: &Option<String>| text.as_deref().and_then(time);
    worker.starts = record.starts as u32;
    worker.failed = record.attempts as u32;
    worker.restarted = at(&record.restarted);
    worker.failing = record.failing;
    let runs = record.begun.is_some();
    worker.due = at(&record.until)
        .filter(|_| !runs)
        .unwrap_or(Duration::ZERO);
    worker.units = Count {
        work: record.work,
        discovery: record.discovery,
    };
    match record.state.as_str() {
        "paused" => {
            worker.state = State::Paused {
                reason: record.reason.clone().unwrap_or_default(),
            };
        }
        "done" => {
            worker.state = State::Done {
                code: record.code.unwrap_or(0) as i32,
            };
        }
        "waiting" | "cooldown" => worker.state = State::Waiting { until: worker.due },
        _ => {}
    }
    worker
}

#[cfg(test)]
mod tests;
