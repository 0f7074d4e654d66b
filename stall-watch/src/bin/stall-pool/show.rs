//! `--status`, `--dry-run` and `--replay`: what is, what would be, and what would have been.

use std::{collections::BTreeSet, fs::File, io::BufReader, path::Path, time::Duration};

use anyhow::Context;
use stall_watch::load::{Figures, Reading};
use wire::{
    Exit, Fatal, Item, Line, OrFatal, Reader, Record, Writer,
    records::{self, Event, Summary},
};

use crate::{
    args::Args,
    clock::Clock,
    pool::Order,
    restore::restore,
    scale::{Answer, Scale},
    state::{self, Place},
};

/// Prints the state, of a pool that runs, or as one that has ended left it.
pub(crate) fn status(args: &Args, writer: Writer) -> anyhow::Result<Exit> {
    let place =
        Place::new(&args.state, args.logs.as_deref()).context("the folder of this process")?;
    let Some(mut saved) = place.load()? else {
        let state = args.state.display();
        return Err(
            Fatal::new(Exit::Usage, format_args!("{state}: read: there is no pool")).into(),
        );
    };
    if !place.is_locked() {
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
    let place =
        Place::new(&args.state, args.logs.as_deref()).context("the folder of this process")?;
    let params = args.values()?;
    let disks = args.disks()?;
    let now = Clock::start().now();
    if place.is_locked() {
        return Err(place.taken().into());
    }
    let mut pool = restore(args, &place)?;
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
    for (number, life) in &pool.workers {
        let action = match started.contains(number) {
            true => "start",
            false => "leave",
        };
        let words = params.command(&args.command, *number, args.workers);
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        writer.write(&Line::of(&records::Worker {
            log: Some(place.log(*number).display().to_string()),
            action: Some(action.into()),
            command: Some(words.join(" ")),
            ..state::record(*number, life, now)
        }))?;
    }
    done(writer)
}

/// Prints when the number of workers would have been changed, over heartbeats and stalls as a pool
/// records them.
pub(crate) fn replay(args: &Args, file: &Path, writer: Writer) -> anyhow::Result<Exit> {
    let shown = |act: &str| format!("{}: {act}", file.display());
    let input = File::open(file).or_fatal(Exit::Usage, shown("open"))?;
    let mut reader = Reader::new(BufReader::new(input));
    let mut bounds = args.bounds();
    // A series with figures of a disk is one of a pool that looked at disks.
    bounds.disks = true;
    let mut scale = Scale::new(bounds, args.workers);
    let (mut events, mut unusable) = (0, 0);
    while let Some(item) = reader.next_item().with_context(|| shown("read"))? {
        let record = match item {
            Item::Record(record) if record.kind() == "event" => record,
            Item::Record(_) => continue,
            Item::Unusable(line, reason) => {
                writer.warn(&shown("read"), &format!("line {line}"), &reason);
                unusable += 1;
                continue;
            }
        };
        events += 1;
        if let Some(decision) = decide(&mut scale, args, &record) {
            writer.write(&Line::of(&decision))?;
        }
    }
    if events == 0 {
        let why = shown("read: no events in it; a pool writes them by --events");
        return Err(Fatal::new(Exit::Usage, why).into());
    }
    Ok(writer.finish(Summary {
        complete: unusable == 0,
        ..Summary::default()
    })?)
}

fn decide(scale: &mut Scale, args: &Args, record: &Record) -> Option<Event> {
    let now = record.text("at").as_deref().and_then(state::time)?;
    let figures = Figures {
        disk: record.get("disk"),
        io: record.get("io"),
        memory: record.get("memory"),
    };
    let live = record.get("workers").unwrap_or(args.workers);
    let idle = record.get("idle").unwrap_or(args.stall.as_secs_f64());
    let before = scale.limit();
    let (action, reason) = match record.text("event").as_deref()? {
        "heartbeat" => {
            let reason = scale.look(now, &figures, live)?;
            let up = scale.limit() > before;
            (if up { "scale_up" } else { "scale_down" }, reason)
        }
        "stalled" => {
            let idle = Duration::try_from_secs_f64(idle).unwrap_or(args.stall);
            match scale.stalled(now, &figures, live, idle) {
                Answer::Restart => ("restart", "a worker stalled".into()),
                Answer::GiveWay(reason) => ("scale_down", reason),
                Answer::Spare(reason) => ("none", reason),
            }
        }
        _ => return None,
    };
    Some(Event {
        event: if action == "restart" {
            "restarted"
        } else {
            "scaled"
        }
        .into(),
        at: state::shown(now),
        tool: "stall-pool".into(),
        worker: record.get("worker"),
        action: Some(action.into()),
        reason: Some(reason),
        workers: Some(live.into()),
        places: Some(scale.limit().into()),
        target: Some(scale.target().into()),
        disk: figures.disk,
        io: figures.io,
        memory: figures.memory,
        ..Event::default()
    })
}

fn done(writer: Writer) -> anyhow::Result<Exit> {
    Ok(writer.finish(Summary {
        complete: true,
        ..Summary::default()
    })?)
}
