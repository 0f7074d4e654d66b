//! What a former pool has left in its state.

use crate::{
    args::Args,
    pool::Pool,
    scale::Scale,
    state::{self, Paths, Saved},
};

/// A pool with the counters of the one before. Nothing is changed.
///
/// # Errors
/// The state cannot be read.
pub(crate) fn restore(args: &Args, paths: &Paths) -> anyhow::Result<Pool> {
    let rules = args.rules();
    let scale = Scale::new(args.bounds(), args.workers);
    let mut pool = Pool::new(rules, args.grace, args.workers, scale);
    let saved = paths.load()?.filter(|saved| is_ours(saved, args));
    if let Some(saved) = saved.filter(|saved| !saved.pool.finished) {
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
                pool.workers.insert(number, state::worker(record, &rules));
            }
        }
    }
    Ok(pool)
}

/// Does a state belong to this command? Where the work is cut, the number of parts belongs to it.
fn is_ours(saved: &Saved, args: &Args) -> bool {
    let as_many = saved.pool.workers == u64::from(args.workers);
    saved.pool.command == args.shown() && (as_many || !args.is_cut())
}
