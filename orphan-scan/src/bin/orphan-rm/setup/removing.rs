//! From findings to the quarantine.

use std::path::{Path, PathBuf};

use calibre_list::Library;
use wire::{Exit, Fatal, OrFatal, Writer};

use super::{calibre_is_away, findings, gave_up, list_links, needed, prover, refuse};
use crate::{
    args::Args,
    confirm::Plan,
    forget::{COMMANDS, quoted},
    journal::{Entry, Journal, is_unfinished},
    remove::{Manner, OWN_JOURNAL, Quarantine, Run},
    report::Outcome,
    tally::{Remarks, Tally},
    trash,
};

/// Removes what the findings on standard input name.
///
/// # Errors
/// Refused before anything was changed, or the run could not be brought to its end.
pub(crate) fn remove(args: &Args, out: Writer) -> Result<Exit, anyhow::Error> {
    let settings = args.database.settings()?;
    let manner = match (args.verify_only, args.apply) {
        (true, _) => Manner::Verify,
        (false, true) => Manner::Apply,
        (false, false) => Manner::DryRun,
    };
    let acts = manner == Manner::Apply;
    if let Some(journal) = &args.journal {
        has_folder(journal)?;
    }
    let root = args
        .library
        .as_deref()
        .ok_or_else(|| needed("--library DIR"))?;
    let library = Library::find(Some(root), args.metadata_db.as_deref())
        .map_err(|error| Fatal::new(error.exit(), error))?;
    let mut prover = prover(args, &settings, acts, library, None, &out)?;
    let roots = [prover.tree.path.clone(), prover.tree.real.clone()];
    let tally = Tally::new(&args.report, roots)?;
    let mut input = findings::read(&args.classes, &out)?;
    let other = |of: &String| prover.uuid.as_ref() != Some(of);
    if input.verdict.library.as_ref().is_some_and(other) {
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
    let mut quarantine = None;
    let mut before = Vec::new();
    if (!input.lines.is_empty() || past.is_some()) && !wire::stop::requested() {
        let entries = past.as_ref().map_or(&[][..], |(_, past)| &past.entries);
        // A run that is gone on with is one with its part before.
        input.load.files = count_files(&prover.library.root) + in_quarantine(entries);
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
            let base = match (&past, &args.trash) {
                (Some((_, past)), _) => PathBuf::from(&past.head.trash),
                (None, Some(base)) => base.clone(),
                (None, None) => trash::beside(&prover.tree)
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
            if plan.count > 0 {
                plan.confirm(args.confirm_threshold, args.confirm.as_deref(), &out)?;
            }
            quarantine = Some(match past.take() {
                None => {
                    tell_of_unfinished(&base, &out);
                    Quarantine::make(&base, args.journal.as_deref(), &prover)?
                }
                Some((journal, past)) => {
                    let base = args.trash.as_deref();
                    let quarantine =
                        Quarantine::go_on(journal, &past.head, &past.entries, base, &prover)?;
                    before = past.entries;
                    quarantine
                }
            });
        }
        list_links(&mut prover, &out);
    }
    let mut run = Run {
        out: &out,
        prover,
        manner,
        quarantine,
        wait: acts && args.wait_for_calibre,
        tally,
    };
    let ended = all(&mut run, &before, &mut input.lines, args.batch as usize);
    let down = run.prover.down.take();
    let mut remarks = run.remarks();
    remarks.complete = input.verdict.complete && ended.is_ok() && down.is_none();
    let error = ended.as_ref().err().map(|error| format!("{error:#}"));
    for why in [input.verdict.why.clone(), down.clone(), error] {
        remarks.warnings.extend(why);
    }
    let (tally, quarantine) = (run.tally, run.quarantine);
    if let Some(quarantine) = quarantine.filter(Quarantine::leave) {
        let (files, bytes) = tally.of(Outcome::Removed);
        let journal = quarantine.journal.path.display().to_string();
        let told = format!(
            "{files} files removed, {bytes} bytes, not free before --purge; undo with orphan-rm --restore"
        );
        out.warn(&journal, "written", &told);
    }
    let mut summary = input.verdict.summary();
    tally.fill(&mut summary);
    // However the run ended, the report tells what it did until then.
    let ended = ended.and_then(|()| Ok(out.finish(summary)?));
    let reported = tally.report(remarks);
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
    before: &[Entry],
    lines: &mut Vec<Box<[u8]>>,
    batch: usize,
) -> anyhow::Result<()> {
    if !before.is_empty() {
        run.go_on(before, lines)?;
    }
    for batch in lines.chunks(batch) {
        if !run.batch(batch)? {
            break;
        }
    }
    Ok(())
}

/// Names the journals of earlier runs that did not come to their ends: what they had moved last was not
/// looked at again.
fn tell_of_unfinished(base: &Path, out: &Writer) {
    for run in std::fs::read_dir(base).into_iter().flatten().flatten() {
        let journal = run.path().join(OWN_JOURNAL);
        if is_unfinished(&journal) {
            let why = format!(
                "that run did not come to its end; --journal {} goes on with it, --restore undoes it",
                quoted(&journal)
            );
            out.warn(&journal.display().to_string(), "look", &why);
        }
    }
}

/// Files of a journal that may be in the quarantine.
fn in_quarantine(entries: &[Entry]) -> u64 {
    let there = |entry: &&Entry| !entry.step.is_settled();
    entries.iter().filter(there).count() as u64
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
        let Some(quarantine) = self.quarantine.as_ref().filter(|to| to.is_used()) else {
            notes.push(match self.manner {
                Manner::DryRun => "nothing was changed: a dry run; --apply does it".into(),
                Manner::Verify => "nothing was changed: all was only verified".into(),
                Manner::Apply => "nothing was removed, so there is nothing to undo".into(),
            });
            return Remarks {
                notes,
                ..Remarks::default()
            };
        };
        let journal = &quarantine.journal.path;
        notes.push(format!("the journal is {}", journal.display()));
        notes.push(format!(
            "what was removed is in {}; no space is free before --purge",
            quarantine.trash.tree.path.display()
        ));
        notes.push(format!("to undo: orphan-rm --restore {}", quoted(journal)));
        notes.push(format!(
            "to free the space of what the server has for certain: orphan-rm --library {} --db URL \
             --store DIR --purge {} --older-than 14d",
            quoted(&self.prover.library.root),
            quoted(journal)
        ));
        let commands = quarantine.trash.folder.join(COMMANDS);
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
