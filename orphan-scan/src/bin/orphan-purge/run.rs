//! From the quarantine to free space.

use orphan_scan::removal::{
    args::ReportArgs,
    confirm::Plan,
    journal::JournalFile,
    limits::Load,
    outcome::Outcome,
    setup::{self, calibre_is_away, gave_up, list_links, open_quarantine},
    stats::{Remarks, Stats},
};
use wire::{Exit, Writer, records::Summary};

use crate::{
    TOOL,
    args::Args,
    purge::{Purge, may_be_purged},
};

/// Deletes the files of a journal, as far as all is proven.
///
/// # Errors
/// Refused before anything was changed, or the run could not be brought to its end.
pub(crate) fn run(args: &Args, out: Writer) -> anyhow::Result<Exit> {
    let settings = args.server.database.settings()?;
    let mut opened = setup::open(&args.journal, &out)?;
    let library = opened.library.clone();
    let aside = Some(opened.folder.clone());
    let acts = !args.verify_only;
    let mut prover = setup::prover(&args.server, &settings, acts, library, aside, &out)?;
    let report: &ReportArgs = &args.report;
    let stats = Stats::new(TOOL.name, report, &prover.tree.path)?;
    opened.report_unread(&out)?;
    let shown = opened.journal.path.display().to_string();
    let mut summary = Summary {
        complete: true,
        library: opened.uuid.take(),
        ..Summary::default()
    };
    opened.files.retain(|file| !file.step.is_settled());
    if opened.files.is_empty() {
        // Where nothing is left in it, the quarantine may be gone.
        let nothing = "nothing of this journal is left in the quarantine";
        out.warn(&shown, "purge", nothing);
        let ended = out.finish(summary)?;
        stats.report(Remarks {
            complete: true,
            notes: vec![nothing.into()],
            ..Remarks::default()
        })?;
        return Ok(ended);
    }
    let trash = open_quarantine(&opened.folder)?;
    let purgeable = opened.files.iter();
    let purgeable = purgeable.filter(|file| may_be_purged(file, args.older_than).is_ok());
    let load = purgeable.fold(Load::default(), |load, file| Load {
        count: load.count + 1,
        bytes: load.bytes + file.file.size(),
        ..load
    });
    if acts && load.count > 0 {
        calibre_is_away(args.wait_for_calibre, &prover, acts, &out)?;
        let plan = Plan {
            count: load.count,
            bytes: load.bytes,
            fate: "are deleted from the quarantine for good".into(),
            tracked: &[],
            library: &prover.library.root,
        };
        plan.confirm(&args.confirm, &out)?;
    }
    list_links(&mut prover, &out);
    let mut run = Purge {
        out: &out,
        prover,
        trash,
        journal: opened.journal,
        verify_only: args.verify_only,
        stats,
    };
    let ended = all(&mut run, &opened.files, args);
    let down = run.prover.down.take();
    let stats = run.stats;
    let error = ended.as_ref().err().map(|error| format!("{error:#}"));
    let remarks = Remarks {
        complete: ended.is_ok() && down.is_none(),
        warnings: down.clone().into_iter().chain(error).collect(),
        notes: vec![
            format!("the journal is {shown}"),
            "what was purged is gone for good; orphan-restore puts back the rest".into(),
        ],
    };
    stats.fill(&mut summary);
    let left = stats.left();
    if !left.is_empty() {
        let (purged, _) = stats.of(Outcome::Purged);
        let message = format!("{purged} purged; {}", left.join("; "));
        out.warn(&shown, "purge", &message);
    }
    let ended = ended.and_then(|()| Ok(out.finish(summary)?));
    let reported = stats.report(remarks);
    let ended = ended?;
    reported?;
    gave_up(down.as_deref())?;
    Ok(ended)
}

fn all(run: &mut Purge<'_, '_>, files: &[JournalFile], args: &Args) -> anyhow::Result<()> {
    for batch in files.chunks(args.batch as usize) {
        if !run.batch(batch, args.older_than)? {
            break;
        }
    }
    Ok(())
}
