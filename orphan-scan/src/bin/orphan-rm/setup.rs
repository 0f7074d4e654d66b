//! What each of the tool's tasks needs, made ready and checked before anything is changed.

use std::{
    io::BufReader,
    path::{Path, PathBuf},
};

use calibre_list::Library;
use mbs_hashes::{
    Settings,
    session::{self, Terms},
};
use orphan_scan::store::Store;
use wire::{
    Custody, Exit, Fatal, Item, OrFatal, Reader, Record, Writer, custody::Verdict, progress::Unit,
    records::Summary,
};

use crate::{
    args::Args,
    calibre::{self, Calibre, Patience},
    candidate::{self, Candidate},
    confirm::Plan,
    ebooks::{self, Backup, End},
    journal::Journal,
    limits::Load,
    place::Tree,
    proof::Class,
    prover::Prover,
    purge::{Purge, may_be_purged},
    remove::{Manner, Quarantine, Run},
    report::{Counts, Outcome},
    server::Server,
    tracked::Tracked,
    trash::{self, Trash},
};

fn refuse(why: impl std::fmt::Display) -> Fatal {
    Fatal::new(Exit::Refused, why)
}

/// The findings of the classes that were asked for, and what the stream said of itself.
struct Input {
    lines: Vec<Box<[u8]>>,
    load: Load,
    tracked: Vec<(i64, String)>,
    verdict: Verdict,
}

/// Reads all findings; those that are not asked for pass through.
fn read(classes: &[Class], out: &Writer) -> anyhow::Result<Input> {
    let mut reader = Reader::new(BufReader::new(wire::stop::stdin()));
    let mut input = Input {
        lines: Vec::new(),
        load: Load::default(),
        tracked: Vec::new(),
        verdict: Custody::default().verdict(),
    };
    while let Some(item) = reader.next_item().or_fatal(Exit::GaveUp, "stdin: read")? {
        let record = match item {
            Item::Record(record) => record,
            Item::Unusable(number, why) => {
                unusable(out, number, &why)?;
                continue;
            }
        };
        let asked = record.kind() == "finding"
            && candidate::class(&record).is_some_and(|class| classes.contains(&class));
        if !asked {
            out.pass(&record)?;
            continue;
        }
        match Candidate::read(&record) {
            Ok(candidate) => {
                input.load.count += 1;
                input.load.bytes += candidate.seen.size.unwrap_or(0);
                if candidate.class == Class::DuplicateOfServer {
                    input
                        .tracked
                        .extend(candidate.book_id.zip(candidate.format));
                }
                input.lines.push(record.line().into());
            }
            Err(why) => {
                let trouble = wire::write::Trouble {
                    op: "read",
                    message: &why,
                    retry: false,
                };
                out.fail(&record, "stdin", trouble)?;
            }
        }
    }
    input.verdict = reader.custody().verdict();
    if let Some(why) = &input.verdict.why {
        out.warn("stdin", "read", why);
    }
    Ok(input)
}

fn unusable(out: &Writer, number: u64, why: &str) -> std::io::Result<()> {
    let trouble = wire::write::Trouble {
        op: "read",
        message: why,
        retry: false,
    };
    out.fail_new(None, &format!("stdin line {number}"), trouble, |line| {
        line.int("line", number);
    })
}

/// What is asked about files, made ready; and the settings must live as long.
fn prover<'a>(
    args: &Args,
    settings: &'a Settings,
    acts: bool,
    library: Option<&Path>,
    out: &Writer,
) -> anyhow::Result<Prover<'a>> {
    let usage = |what: &str| Fatal::new(Exit::Usage, format_args!("{what} is needed; see --help"));
    let root = args
        .library
        .as_deref()
        .or(library)
        .ok_or_else(|| usage("--library DIR"))?;
    let data = args.store.as_deref().ok_or_else(|| usage("--store DIR"))?;
    let library = Library::find(Some(root), args.metadata_db.as_deref())
        .map_err(|error| Fatal::new(error.exit(), error))?;
    let tree = Tree::open(&library.root).or_fatal(
        Exit::Usage,
        format_args!("{}: open", library.root.display()),
    )?;
    let names = vec![tree.path.clone(), tree.real.clone()];
    let store = Store::open(data, args.map(), names).or_fatal(
        Exit::Usage,
        format_args!("--store {}: open its folder books", data.display()),
    )?;
    let server = Server::connect(settings, args.db_timeout, |why| {
        out.warn("database", "connect", why)
    })
    .map_err(|failure| failure.fatal("database", "connect"))?;
    let first = Tracked::read(&library.database, std::iter::empty())
        .map_err(|error| Fatal::new(error.exit(), error))?;
    let mut prover = Prover::new(tree, library, store, server, acts);
    prover.uuid = first.library;
    Ok(prover)
}

/// Lists the store's links before anything is proven.
fn list_links(prover: &mut Prover<'_>, out: &Writer) {
    let listed = prover.list_links(|| out.progress().step(Unit::Discovery));
    match listed {
        Ok(count) => out.verbose("store", "list links", &format!("{count} links")),
        // Every file will be kept, and say so.
        Err(why) => out.warn("store", "list links", &why),
    }
}

/// Refuses while Calibre has the library open, or waits.
fn calibre_is_away(
    args: &Args,
    prover: &Prover<'_>,
    acts: bool,
    out: &Writer,
) -> Result<(), Fatal> {
    let patience = match acts && args.wait_for_calibre {
        true => Patience::Wait,
        false => Patience::None,
    };
    let shown = prover.library.root.display().to_string();
    let found = calibre::away(&prover.library.database, patience, |who| {
        out.warn(&shown, "wait", &format!("it is open in Calibre: {who}"));
    });
    match found {
        Calibre::Away => Ok(()),
        Calibre::Here(who) if acts => Err(refuse(format_args!(
            "{shown}: remove: it is open in Calibre: {who}; close it, or give --wait-for-calibre"
        ))),
        Calibre::Here(who) => {
            out.warn(
                &shown,
                "remove",
                &format!("--apply would be refused, for it is open in Calibre: {who}"),
            );
            Ok(())
        }
    }
}

/// The files in the library.
fn count_files(root: &Path) -> u64 {
    let entries = walkdir::WalkDir::new(root)
        .same_file_system(true)
        .into_iter();
    let files = entries
        .flatten()
        .filter(|entry| entry.file_type().is_file());
    files.count() as u64
}

/// The exit code after files were kept because the database went away: the others may succeed later.
fn ended(down: Option<&str>, done: Exit) -> anyhow::Result<Exit> {
    match down {
        Some(why) if !wire::stop::requested() => {
            Err(Fatal::new(Exit::GaveUp, format_args!("database: ask: {why}")).into())
        }
        _ => Ok(done),
    }
}

/// From findings to the quarantine.
pub(crate) fn remove(args: &Args, out: Writer) -> Result<Exit, anyhow::Error> {
    let settings = args.database.settings()?;
    let manner = match (args.verify_only, args.apply) {
        (true, _) => Manner::Verify,
        (false, true) => Manner::Apply,
        (false, false) => Manner::DryRun,
    };
    let acts = manner == Manner::Apply;
    let mut prover = prover(args, &settings, acts, None, &out)?;
    let mut input = read(&args.classes, &out)?;
    let other = |of: &String| prover.uuid.as_ref() != Some(of);
    if input.verdict.library.as_ref().is_some_and(other) {
        return Err(refuse(format_args!(
            "{}: read: the findings are of another library",
            prover.library.root.display()
        ))
        .into());
    }
    let mut quarantine = None;
    if !input.lines.is_empty() && !wire::stop::requested() {
        input.load.files = count_files(&prover.library.root);
        match args.limits().refusal(input.load) {
            Some(why) if acts => return Err(refuse(format_args!("limits: {why}")).into()),
            Some(why) => out.warn(
                "limits",
                "remove",
                &format!("--apply would be refused: {why}"),
            ),
            None => {}
        }
        calibre_is_away(args, &prover, acts, &out)?;
        if acts {
            let base = match &args.trash {
                Some(base) => base.clone(),
                None => trash::beside(&prover.tree)
                    .map_err(|why| refuse(format_args!("quarantine: {why}")))?,
            };
            let plan = Plan {
                count: input.load.count,
                bytes: input.load.bytes,
                fate: format!(
                    "go to {}; nothing is free before --purge, and --restore puts them back",
                    base.display()
                ),
                tracked: &input.tracked,
                library: &prover.library.root,
            };
            plan.confirm(args.confirm_threshold, args.confirm.as_deref(), &out)?;
            quarantine = Some(Quarantine::make(&base, args.journal.as_deref(), &prover)?);
        }
        list_links(&mut prover, &out);
    }
    let mut run = Run {
        out: &out,
        prover,
        manner,
        quarantine,
        wait: acts && args.wait_for_calibre,
        counts: Counts::default(),
    };
    for batch in input.lines.chunks(args.batch as usize) {
        if !run.batch(batch)? {
            break;
        }
    }
    let (counts, down) = (run.counts, run.prover.down.take());
    if let Some(quarantine) = &run.quarantine {
        let (files, bytes) = counts.of(Outcome::Removed);
        let journal = quarantine.journal.path.display().to_string();
        let told = format!(
            "{files} files removed, {bytes} bytes, not free before --purge; undo with orphan-rm --restore"
        );
        out.warn(&journal, "written", &told);
    }
    let mut summary = input.verdict.summary();
    counts.fill(&mut summary);
    ended(down.as_deref(), out.finish(summary)?)
}

/// From the quarantine to free space.
pub(crate) fn purge(args: &Args, journal: &Path, out: Writer) -> Result<Exit, anyhow::Error> {
    let settings = args.database.settings()?;
    let (journal, head, entries) = Journal::open(journal)?;
    let decode = |text: &str, exact: &Option<String>| -> Result<PathBuf, Fatal> {
        wire::path::decode(text, exact.as_deref()).or_fatal(Exit::Usage, journal.path.display())
    };
    let root = decode(&head.root, &head.root_b64)?;
    let folder = decode(&head.trash, &head.trash_b64)?;
    let trash = Trash::open(&folder).or_fatal(Exit::Usage, "quarantine")?;
    let acts = !args.verify_only;
    let mut prover = prover(args, &settings, acts, Some(&root), &out)?;
    if prover.uuid != head.library {
        return Err(refuse(format_args!(
            "{}: purge: the journal is of another library than {}",
            journal.path.display(),
            prover.library.root.display()
        ))
        .into());
    }
    let there: Vec<_> = entries
        .into_iter()
        .filter(|entry| !entry.step.is_settled())
        .collect();
    let purgeable = there
        .iter()
        .filter(|entry| may_be_purged(entry, args.older_than).is_ok());
    let load = purgeable.fold(Load::default(), |load, entry| Load {
        count: load.count + 1,
        bytes: load.bytes + entry.intent.size.unwrap_or(0),
        ..load
    });
    if acts && load.count > 0 {
        calibre_is_away(args, &prover, acts, &out)?;
        let plan = Plan {
            count: load.count,
            bytes: load.bytes,
            fate: "are deleted from the quarantine for good".into(),
            tracked: &[],
            library: &prover.library.root,
        };
        plan.confirm(args.confirm_threshold, args.confirm.as_deref(), &out)?;
    }
    list_links(&mut prover, &out);
    let mut run = Purge {
        out: &out,
        prover,
        trash,
        journal,
        verify_only: args.verify_only,
        counts: Counts::default(),
    };
    for batch in there.chunks(args.batch as usize) {
        if !run.batch(batch, args.older_than)? {
            break;
        }
    }
    let (counts, down) = (run.counts, run.prover.down.take());
    let mut summary = Summary {
        complete: true,
        library: head.library,
        ..Summary::default()
    };
    counts.fill(&mut summary);
    ended(down.as_deref(), out.finish(summary)?)
}

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
    let verdict = reader.custody().verdict();
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
        let session =
            session::connect(&settings, terms, |why| out.warn("database", "connect", why))
                .map_err(|failure| failure.fatal("database", "connect"))?;
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
