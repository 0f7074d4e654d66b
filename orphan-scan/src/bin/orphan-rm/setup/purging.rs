//! From the quarantine to free space.

use std::path::Path;

use wire::{Exit, Writer, records::Summary};

use super::{
    calibre_is_away, folder_of, gave_up, library_of, list_links, prover, quarantine, tell_unread,
};
use crate::{
    args::Args,
    confirm::Plan,
    journal::{Entry, Journal, Past},
    limits::Load,
    purge::{Purge, may_be_purged},
    report::Outcome,
    tally::{Remarks, Tally},
};

/// Deletes what a journal tells of, as far as all is proven.
///
/// # Errors
/// Refused before anything was changed, or the run could not be brought to its end.
pub(crate) fn purge(args: &Args, journal: &Path, out: Writer) -> Result<Exit, anyhow::Error> {
    let settings = args.database.settings()?;
    let (journal, past) = Journal::open(journal)?;
    let Past {
        head,
        entries,
        unread,
    } = past;
    let folder = folder_of(args, &journal.path, &head)?;
    let acts = !args.verify_only;
    let library = library_of(args, &journal.path, &head, &out)?;
    let mut prover = prover(args, &settings, acts, library, Some(folder.clone()), &out)?;
    let roots = [prover.tree.path.clone(), prover.tree.real.clone()];
    let tally = Tally::new(&args.report, roots)?;
    tell_unread(&journal.path, &unread, &out)?;
    let shown = journal.path.display().to_string();
    let there: Vec<_> = entries
        .into_iter()
        .filter(|entry| !entry.step.is_settled())
        .collect();
    if there.is_empty() {
        // Where nothing is left in it, the quarantine may be gone.
        let nothing = "nothing of this journal is left in the quarantine";
        out.warn(&shown, "purge", nothing);
        let ended = out.finish(Summary {
            complete: true,
            library: head.library,
            ..Summary::default()
        })?;
        tally.report(Remarks {
            complete: true,
            notes: vec![nothing.into()],
            ..Remarks::default()
        })?;
        return Ok(ended);
    }
    let trash = quarantine(&folder)?;
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
        tally,
    };
    let ended = all(&mut run, &there, args);
    let down = run.prover.down.take();
    let (tally, journal) = (run.tally, run.journal.path);
    let error = ended.as_ref().err().map(|error| format!("{error:#}"));
    let remarks = Remarks {
        complete: ended.is_ok() && down.is_none(),
        warnings: down.clone().into_iter().chain(error).collect(),
        notes: vec![
            format!("the journal is {}", journal.display()),
            "what was purged is gone for good; --restore puts back the rest".into(),
        ],
    };
    let mut summary = Summary {
        complete: true,
        library: head.library,
        ..Summary::default()
    };
    tally.fill(&mut summary);
    let left = tally.left();
    if !left.is_empty() {
        let (purged, _) = tally.of(Outcome::Purged);
        let told = format!("{purged} purged; {}", left.join("; "));
        out.warn(&shown, "purge", &told);
    }
    let ended = ended.and_then(|()| Ok(out.finish(summary)?));
    let reported = tally.report(remarks);
    let ended = ended?;
    reported?;
    gave_up(down.as_deref())?;
    Ok(ended)
}

fn all(run: &mut Purge<'_, '_>, there: &[Entry], args: &Args) -> anyhow::Result<()> {
    for batch in there.chunks(args.batch as usize) {
        if !run.batch(batch, args.older_than)? {
            break;
        }
    }
    Ok(())
}
