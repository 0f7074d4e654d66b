//! From findings to the quarantine.

use std::path::{Path, PathBuf};

use calibre_list::Library;
use orphan_scan::removal::{
    confirm::Plan,
    forget::{COMMANDS, quoted},
    journal::{Journal, JournalFile, is_unfinished},
    outcome::Outcome,
    quarantine,
    setup::{self, calibre_is_away, gave_up, list_links, needed, refuse},
    stats::{Remarks, Stats},
};
use wire::{Exit, Fatal, OrFatal, Writer};

use crate::{
    TOOL,
    args::Args,
    findings::{self, Found},
    remove::{Mode, Mover, OWN_JOURNAL, Run},
};

/// Removes what the findings on standard input name.
///
/// # Errors
/// Refused before anything was changed, or the run could not be brought to its end.
pub(crate) fn run(args: &Args, out: Writer) -> Result<Exit, anyhow::Error> {
    let settings = args.server.database.settings()?;
    let mode = match (args.verify_only, args.apply) {
        (true, _) => Mode::Verify,
        (false, true) => Mode::Apply,
        (false, false) => Mode::DryRun,
    };
    let acts = mode == Mode::Apply;
    if let Some(journal) = &args.journal {
        has_folder(journal)?;
    }
    let root = args
        .library
        .as_deref()
        .ok_or_else(|| needed("--library DIR"))?;
    let library = Library::find(Some(root), args.metadata_db.as_deref())
        .map_err(|error| Fatal::new(error.exit(), error))?;
    let aside = args.trash.clone();
    let mut prover = setup::prover(&args.server, &settings, acts, library, aside, &out)?;
    let stats = Stats::new(TOOL.name, &args.report, &prover.tree.path)?;
    let names = [&*prover.tree.path, &*prover.tree.real];
    let mut input = findings::read(&args.classes, &names, &out)?;
    let other = |of: &String| prover.uuid.as_ref() != Some(of);
    if input.stream.library.as_ref().is_some_and(other) {
        return Err(refuse(format_args!(
            "{}: read: the findings are of another library",
            prover.library.root.display()
        ))
        .into());
    }
    let mut past = match args.journal.as_deref().filter(|_| acts) {
        Some(journal) => Journal::go_on(journal)?,
        None => None,
    };
    let mut mover = None;
    let mut before = Vec::new();
    if (!input.found.is_empty() || past.is_some()) && !wire::stop::requested() {
        let files = past.as_ref().map_or(&[][..], |(_, past)| &past.files);
        // A run that is gone on with is one with its part before.
        input.load.files = count_files(&prover.library.root) + in_quarantine(files);
        match args.limits().refusal(input.load) {
            Some(why) if acts => return Err(refuse(format_args!("limits: {why}")).into()),
            Some(why) => out.warn(
                "limits",
                "remove",
                &format!("--apply would be refused: {why}"),
            ),
            None => {}
        }
        calibre_is_away(args.wait_for_calibre, &prover, acts, &out)?;
        if acts {
            let base = match (&past, &args.trash) {
                (Some((_, past)), _) => PathBuf::from(&past.head.trash),
                (None, Some(base)) => base.clone(),
                (None, None) => quarantine::beside(&prover.tree)
                    .map_err(|why| refuse(format_args!("quarantine: {why}")))?,
            };
            let plan = Plan {
                count: input.load.count,
                bytes: input.load.bytes,
                fate: format!(
                    "go to {}; orphan-purge frees the space, orphan-restore puts them back",
                    base.display()
                ),
                tracked: &input.tracked,
                library: &prover.library.root,
            };
            if plan.count > 0 {
                plan.confirm(&args.confirm, &out)?;
            }
            mover = Some(match past.take() {
                None => {
                    warn_of_unfinished(&base, &out);
                    Mover::make(&base, args.journal.as_deref(), &prover)?
                }
                Some((journal, past)) => {
                    let base = args.trash.as_deref();
                    let mover = Mover::resume(journal, &past.head, &past.files, base, &prover)?;
                    before = past.files;
                    mover
                }
            });
        }
        list_links(&mut prover, &out);
    }
    let mut run = Run {
        out: &out,
        prover,
        mode,
        mover,
        wait: acts && args.wait_for_calibre,
        stats,
    };
    let ended = all(&mut run, &before, &mut input.found, args.batch as usize);
    let down = run.prover.down.take();
    let mut remarks = run.remarks();
    remarks.complete = input.stream.complete && ended.is_ok() && down.is_none();
    let error = ended.as_ref().err().map(|error| format!("{error:#}"));
    for why in [input.stream.why.clone(), down.clone(), error] {
        remarks.warnings.extend(why);
    }
    let (stats, mover) = (run.stats, run.mover);
    if let Some(mover) = mover.filter(Mover::leave) {
        let (files, bytes) = stats.of(Outcome::Removed);
        let journal = mover.journal.path.display().to_string();
        let message = format!(
            "{files} files removed, {bytes} bytes; orphan-purge frees the space, orphan-restore undoes it"
        );
        out.warn(&journal, "written", &message);
    }
    let mut summary = input.stream.summary();
    stats.fill(&mut summary);
    // However the run ended, the report tells what it did until then.
    let ended = ended.and_then(|()| Ok(out.finish(summary)?));
    let reported = stats.report(remarks);
    let ended = ended?;
    reported?;
    gave_up(down.as_deref())?;
    Ok(ended)
}

/// A journal in a folder that is not there is a slip of the pen, or on a disk that is not mounted: the
/// journal that was meant may be half done.
fn has_folder(journal: &Path) -> Result<(), Fatal> {
    let shown = journal.display();
    let journal = std::path::absolute(journal).or_fatal(Exit::Usage, &shown)?;
    match journal.parent().map(std::fs::metadata) {
        Some(Ok(folder)) if folder.is_dir() => Ok(()),
        _ => Err(refuse(format_args!(
            "--journal {shown}: create: its folder is not there; is its disk mounted?"
        ))),
    }
}

fn all(
    run: &mut Run<'_, '_>,
    before: &[JournalFile],
    found: &mut Vec<Found>,
    batch: usize,
) -> anyhow::Result<()> {
    if !before.is_empty() {
        run.resume(before, found)?;
    }
    let mut found = std::mem::take(found).into_iter().peekable();
    while found.peek().is_some() {
        if !run.batch(found.by_ref().take(batch).collect())? {
            break;
        }
    }
    Ok(())
}

/// Names the journals of earlier runs that did not come to their ends: what they had moved last was not
/// looked at again.
fn warn_of_unfinished(base: &Path, out: &Writer) {
    for run in std::fs::read_dir(base).into_iter().flatten().flatten() {
        let journal = run.path().join(OWN_JOURNAL);
        if is_unfinished(&journal) {
            let why = format!(
                "that run did not come to its end; --journal {} resumes it, orphan-restore undoes it",
                quoted(&journal)
            );
            out.warn(&journal.display().to_string(), "look", &why);
        }
    }
}

/// Files of a journal that may be in the quarantine.
fn in_quarantine(files: &[JournalFile]) -> u64 {
    let there = |file: &&JournalFile| !file.step.is_settled();
    files.iter().filter(there).count() as u64
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

impl Run<'_, '_> {
    /// What a report says of this run: where everything is, and how it is undone.
    fn remarks(&self) -> Remarks {
        let mut notes = Vec::new();
        let Some(mover) = self.mover.as_ref().filter(|to| to.is_used()) else {
            notes.push(match self.mode {
                Mode::DryRun => "nothing was changed: a dry run; --apply does it".into(),
                Mode::Verify => "nothing was changed: all was only verified".into(),
                Mode::Apply => "nothing was removed, so there is nothing to undo".into(),
            });
            return Remarks {
                notes,
                ..Remarks::default()
            };
        };
        let journal = &mover.journal.path;
        notes.push(format!("the journal is {}", journal.display()));
        notes.push(format!(
            "what was removed is in {}; orphan-purge frees the space",
            mover.trash.tree.path.display()
        ));
        notes.push(format!("to undo: orphan-restore {}", quoted(journal)));
        notes.push(format!(
            "to free the space of what the server has for certain: orphan-purge --db URL --store DIR \
             --older-than 14d {}",
            quoted(journal)
        ));
        let commands = mover.trash.folder.join(COMMANDS);
        if commands.exists() {
            notes.push(format!(
                "Calibre reports missing formats until it is told to forget them: sh {}",
                quoted(&commands)
            ));
        }
        notes.push("each file was proven again in the moment it went; any doubt kept it".into());
        Remarks {
            notes,
            ..Remarks::default()
        }
    }
}
