//! What a former pool has left: its state, and workers that outlived it.

use std::{
    collections::BTreeMap,
    thread::sleep,
    time::{Duration, Instant},
};

use stall_watch::proc::Proc;
use wire::{Exit, Fatal};

use crate::{
    args::Args,
    crew::Process,
    life::{End, Life, State},
    pool::Pool,
    scale::Scale,
    seat::{self, Look, Sitter},
    state::{self, Place, Saved},
};

/// A keeper says who it is at once; this is for a machine with much else to do.
const SITS: Duration = Duration::from_secs(5);

/// How things stand.
pub(crate) struct Found {
    pub(crate) pool: Pool,
    /// Workers that run.
    pub(crate) sitters: BTreeMap<u32, Sitter>,
    /// Workers that have ended meanwhile.
    pub(crate) ended: Vec<(u32, End)>,
}

impl Found {
    /// Goes on watching those that run.
    pub(crate) fn adopt(&self, place: &Place) -> anyhow::Result<BTreeMap<u32, Process>> {
        let adopt = |(number, sitter): (&u32, &Sitter)| {
            let process = Process::adopt(sitter, place.files(*number));
            Ok((*number, process?))
        };
        self.sitters.iter().map(adopt).collect()
    }
}

/// Finds out. Nothing is changed.
///
/// # Errors
/// [`Exit::Refused`]: workers of another command run.
pub(crate) fn restore(args: &Args, place: &Place, now: Duration) -> anyhow::Result<Found> {
    let rules = args.rules();
    let saved = place.load()?;
    let mut looks = BTreeMap::new();
    for number in place.seats() {
        looks.insert(number, settled(place, number)?);
    }
    let ours = saved.filter(|saved| is_ours(saved, args));
    if let (None, Some((number, sitter))) = (&ours, looks.iter().find_map(taken)) {
        let what = format!(
            "worker {number} of another command runs (process {}); end it, or use another --state",
            sitter.pid
        );
        return Err(Fatal::new(Exit::Refused, what).into());
    }
    let scale = Scale::new(args.bounds(), args.workers);
    let mut pool = Pool::new(rules, args.grace, args.workers, scale);
    let mut ended = Vec::new();
    if let Some(saved) = ours.filter(|saved| !saved.pool.finished) {
        let as_many = saved.pool.workers == u64::from(args.workers);
        if as_many {
            let changed = saved.pool.changed.as_deref().and_then(state::time);
            let (target, places) = (saved.pool.target as u32, saved.pool.places as u32);
            pool.scale.resume(target, places, changed);
        }
        pool.hold = saved.pool.hold.as_deref().and_then(state::time);
        for record in &saved.workers {
            let number = record.worker as u32;
            if as_many || number <= args.workers {
                pool.workers
                    .insert(number, state::life(record, now, &rules));
            }
        }
    }
    let sitters: BTreeMap<u32, Sitter> = looks.iter().filter_map(taken).collect();
    for (number, sitter) in &sitters {
        let life = pool
            .workers
            .entry(*number)
            .or_insert_with(|| Life::new(&rules));
        if !matches!(life.state, State::Running { .. }) {
            life.run(now, &rules);
            life.resume_phase(None, &rules);
        }
        life.starts = sitter.run.max(life.starts);
    }
    for (number, life) in &pool.workers {
        if life.runs() && !sitters.contains_key(number) {
            // What the seat says of an earlier start tells nothing of this one.
            let end = match looks.get(number) {
                Some(Look::Free(Some(sitter))) if sitter.run == life.starts => sitter.end.clone(),
                _ => None,
            };
            ended.push((*number, end.unwrap_or(End::Unknown)));
        }
    }
    Ok(Found {
        pool,
        sitters,
        ended,
    })
}

/// Does a state belong to this command? Where the work is cut, the number of parts belongs to it.
fn is_ours(saved: &Saved, args: &Args) -> bool {
    let as_many = saved.pool.workers == u64::from(args.workers);
    saved.pool.command == args.shown() && (as_many || !args.is_cut())
}

fn taken((number, look): (&u32, &Look)) -> Option<(u32, Sitter)> {
    match look {
        Look::Taken(Some(sitter)) => Some((*number, sitter.clone())),
        _ => None,
    }
}

/// A seat, once whoever takes it just now has said who it is.
fn settled(place: &Place, number: u32) -> anyhow::Result<Look> {
    let files = place.files(number);
    let begun = Instant::now();
    loop {
        let look = seat::look(&files.seat)?;
        let known = match &look {
            Look::Free(_) => true,
            Look::Taken(sitter) => sitter.as_ref().is_some_and(|s| s.lives(&Proc::default())),
        };
        if known {
            return Ok(look);
        }
        if begun.elapsed() >= SITS {
            return match look {
                // Its keeper was killed; what is left is ended first.
                Look::Taken(Some(_)) => Ok(look),
                _ => {
                    let seat = files.seat.display();
                    let what = format!("{seat}: lock: somebody unknown has it");
                    Err(Fatal::new(Exit::Refused, what).into())
                }
            };
        }
        sleep(Duration::from_millis(10));
    }
}
