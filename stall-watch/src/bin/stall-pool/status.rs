//! `--status` and `--dry-run`: what is, and what would be.

use std::collections::BTreeSet;

use anyhow::Context;
use stall_watch::load::Reading;
use wire::{
    Exit, Fatal, Line, Writer,
    records::{self, Summary},
};

use crate::{
    args::Args,
    clock::Clock,
    pool::Order,
    restore::restore,
    state::{self, Paths},
};

/// Prints the state, of a pool that runs, or as one that has ended left it.
pub(crate) fn print(args: &Args, writer: Writer) -> anyhow::Result<Exit> {
    let paths =
        Paths::new(&args.state, args.logs.as_deref()).context("the folder of this process")?;
    let Some(mut saved) = paths.load()? else {
        let state = args.state.display();
        return Err(
            Fatal::new(Exit::Usage, format_args!("{state}: read: there is no pool")).into(),
        );
    };
    if !paths.is_locked() {
        saved.pool.pid = None;
        for worker in &mut saved.workers {
            (worker.pid, worker.idle) = (None, None);
        }
    }
    writer.write(&Line::of(&saved.pool))?;
    for worker in &saved.workers {
        writer.write(&Line::of(worker))?;
    }
    done(writer)
}

/// Prints what a pool would do if it were started now.
pub(crate) fn dry_run(args: &Args, writer: Writer) -> anyhow::Result<Exit> {
    let paths =
        Paths::new(&args.state, args.logs.as_deref()).context("the folder of this process")?;
    let params = args.values()?;
    let disks = args.disks()?;
    let now = Clock::start().now();
    if paths.is_locked() {
        return Err(paths.taken().into());
    }
    let mut pool = restore(args, &paths)?;
    let orders = pool.orders(now);
    let start = |order: &Order| match order {
        Order::Start(number) => Some(*number),
        _ => None,
    };
    let started: BTreeSet<u32> = orders.iter().filter_map(start).collect();
    let memory = Reading::take(&args.machine(), &disks, now);
    writer.write(&Line::of(&records::Pool {
        at: state::shown(now),
        command: args.shown(),
        workers: args.workers.into(),
        target: pool.scale.target().into(),
        places: pool.scale.limit().into(),
        hold: pool.hold.map(state::shown),
        memory: memory.since(&memory).memory,
        disks,
        ..records::Pool::default()
    }))?;
    for (number, worker) in &pool.workers {
        let action = match started.contains(number) {
            true => "start",
            false => "leave",
        };
        let words = params.command(&args.command, *number, args.workers);
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        writer.write(&Line::of(&records::Worker {
            log: Some(paths.log(*number).display().to_string()),
            action: Some(action.into()),
            command: Some(words.join(" ")),
            ..state::record(*number, worker, now)
        }))?;
    }
    done(writer)
}

fn done(writer: Writer) -> anyhow::Result<Exit> {
    Ok(writer.finish(Summary {
        complete: true,
        ..Summary::default()
    })?)
}
