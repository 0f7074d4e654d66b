//! What it takes to remove ebooks from the server.

use std::{io::BufReader, path::Path};

use mbs_hashes::session::{self, Terms};
use wire::{Exit, Fatal, Item, OrFatal, Reader, Record, Writer};

use super::{findings::unusable, refuse};
use crate::{
    args::Args,
    confirm::Plan,
    ebooks::{self, Backup, End},
    limits::Load,
};

/// Ebooks without files, from findings about the server.
pub(crate) fn server_ebooks(args: &Args, out: Writer) -> Result<Exit, anyhow::Error> {
    let settings = args.database.settings()?;
    let mut reader = Reader::new(BufReader::new(wire::stop::stdin()));
    let mut found: Vec<(i64, Record)> = Vec::new();
    while let Some(item) = reader.next_item().or_fatal(Exit::GaveUp, "stdin: read")? {
        match item {
            Item::Unusable(number, why) => unusable(&out, number, &why)?,
            Item::Record(record) => {
                let asked = record.kind() == "server_finding"
                    && record.text("class").as_deref() == Some("ebook_without_source");
                match record.get::<i64>("ebook_id").filter(|_| asked) {
                    Some(id) => found.push((id, record)),
                    None => out.pass(&record)?,
                }
            }
        }
    }
    let verdict = reader.completeness().report();
    if let Some(why) = &verdict.why {
        out.warn("stdin", "read", why);
    }
    let mut counts = ebooks::Counts::default();
    if !found.is_empty() && !wire::stop::requested() {
        let load = Load {
            count: found.len() as u64,
            ..Load::default()
        };
        let mut backup = None;
        if args.apply {
            let limits = crate::limits::Limits {
                percent: f64::INFINITY,
                ..args.limits()
            };
            if let Some(why) = limits.refusal(load) {
                return Err(refuse(format_args!("limits: {why}")).into());
            }
            let Some(path) = &args.backup else {
                let why =
                    "--backup FILE is needed: the rows are written there before they are deleted";
                return Err(Fatal::new(Exit::Usage, why).into());
            };
            let plan = Plan {
                count: load.count,
                bytes: 0,
                fate: format!(
                    "are removed from the server, their rows written to {} before",
                    path.display()
                ),
                tracked: &[],
                library: Path::new("ebooks of the server"),
            };
            plan.confirm(args.confirm_threshold, args.confirm.as_deref(), &out)?;
            backup = Some(Backup::create(path)?);
        }
        let terms = Terms {
            tool: "orphan-rm",
            patience: args.db_timeout,
            statement: None,
            // A transaction that was begun is ended.
            heeds_stop: false,
        };
        let shown = settings.to_string();
        let session = session::connect(&settings, terms, |why| out.warn(&shown, "connect", why))
            .map_err(|failure| failure.fatal(&shown, "connect"))?;
        for part in found.chunks(ebooks::BATCH) {
            if wire::stop::requested() {
                break;
            }
            let ids: Vec<i64> = part.iter().map(|(id, _)| *id).collect();
            let ends = ebooks::batch(&session, &ids, args.min_age, backup.as_mut());
            let ends: Vec<Result<End, String>> = match ends {
                Ok(ends) => ends.into_iter().map(|(_, end)| Ok(end)).collect(),
                Err(ebooks::Error::Database(failure)) if !failure.ends_session() => {
                    ids.iter().map(|_| Err(failure.to_string())).collect()
                }
                Err(ebooks::Error::Database(failure)) => {
                    return Err(failure.fatal("database", "remove ebooks").into());
                }
                Err(ebooks::Error::Backup(error)) => {
                    return Err(
                        Fatal::new(Exit::GaveUp, format_args!("backup: write: {error}")).into(),
                    );
                }
            };
            for ((_, record), end) in part.iter().zip(ends) {
                ebooks::write(&out, &mut counts, record, end)?;
            }
        }
    }
    let mut summary = verdict.summary();
    counts.fill(&mut summary);
    Ok(out.finish(summary)?)
}
