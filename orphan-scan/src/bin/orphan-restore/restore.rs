//! Undoing a run: every file of its journal is put back where it was, under its name, with its times; the
//! times of folders too, as far as nobody else has changed them since. Nothing is ever replaced.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use hash_files::{Stamp, stamp::time_text};
use rustix::{
    fs::{AtFlags, Mode, Timespec, Timestamps, UTIME_OMIT, fstat, futimens, utimensat},
    io::Errno,
};
use wire::{
    Exit, Fatal, OrFatal, Writer,
    records::{JournalMove, Summary},
};

use orphan_scan::removal::{
    args::{JournalArgs, ReportArgs},
    forget::{self, Forget},
    journal::{Journal, JournalFile, Step, Where},
    outcome::{FileOutcome, Outcome},
    proof::Reason,
    quarantine::{Quarantine, make_folders, move_file},
    setup::{self, open_quarantine},
    stats::{Remarks, Stats},
    tree::{Tree, look},
};

use crate::TOOL;

/// A time of change of a folder and a file's own are taken from one clock at one rename, but not in one
/// step.
const ONE_RENAME: i128 = 50_000_000;

/// Puts back all files of a journal.
///
/// # Errors
/// The journal cannot be read or written, the library or the quarantine is not there.
pub(crate) fn restore(
    args: &JournalArgs,
    report: &ReportArgs,
    out: Writer,
) -> anyhow::Result<Exit> {
    let mut opened = setup::open(args, &out)?;
    let root = &opened.library.root;
    let tree = Tree::open(root).or_fatal(Exit::Usage, format_args!("{}: open", root.display()))?;
    // Where nothing is left in it, the quarantine may be gone.
    let trash = match opened.files.iter().all(|file| file.step.is_settled()) {
        true => None,
        false => Some(open_quarantine(&opened.folder)?),
    };
    let mut stats = Stats::new(TOOL.name, report, &tree.path)?;
    opened.report_unread(&out)?;
    let mut before = 0;
    // What comes back must not be forgotten, nor deleted by a command that is run late.
    forget::withdraw(&opened.folder);
    let out_of_place = |file: &&JournalFile| !file.step.is_settled() || file.step == Step::Purged;
    let gone = opened.files.iter().filter(out_of_place);
    let gone = gone.filter_map(|file| Some((file.seq, Forget::of(&file.file)?)));
    let mut gone: HashMap<u64, Forget> = gone.collect();
    // The last is the first: so the times of a folder go back through all that they were.
    for file in opened.files.iter().rev() {
        if wire::stop::requested() {
            break;
        }
        if file.step.is_settled() && file.step != Step::Purged {
            before += 1;
            continue;
        }
        let (outcome, reason) = match &trash {
            Some(trash) if file.step != Step::Purged => {
                one(&mut opened.journal, &tree, trash, file)?
            }
            _ => {
                let why = "it was purged and is gone";
                (Outcome::Kept, Reason::new(why, why))
            }
        };
        if outcome == Outcome::Restored {
            gone.remove(&file.seq);
        }
        let end = FileOutcome {
            file: &file.file,
            outcome,
            reason,
            proof: Vec::new(),
            trash: None,
            journal: Some(&opened.journal.path),
            input: None,
        };
        end.write(&out, &mut stats)?;
    }
    if !gone.is_empty() {
        // Of what did not come back; a folder that is gone needs none.
        let gone: Vec<Forget> = gone.into_values().collect();
        let _ = forget::add(&opened.folder, &tree.path, &gone);
    }
    let mut summary = Summary {
        complete: true,
        library: opened.uuid,
        ..Summary::default()
    };
    stats.fill(&mut summary);
    let shown = opened.journal.path.display().to_string();
    let (restored, _) = stats.of(Outcome::Restored);
    if let Some(left) = left(restored, before, &stats.left()) {
        out.warn(&shown, "restore", &left);
    }
    let ended = out.finish(summary)?;
    stats.report(Remarks {
        notes: vec![format!(
            "what was restored is in its place again, by the journal {shown}"
        )],
        complete: true,
        ..Remarks::default()
    })?;
    Ok(ended)
}

/// What a restore that did not put back all says of the rest.
fn left(restored: u64, before: u64, left: &[String]) -> Option<String> {
    let mut rest = left.to_vec();
    if restored == 0 && before > 0 {
        rest.push(format!("{before} are in their places since before"));
    }
    match (restored, rest.is_empty()) {
        (0, true) => Some("nothing was put back: no file was ever moved by this journal".into()),
        (_, true) => None,
        (restored, false) => Some(format!("{restored} put back; {}", rest.join("; "))),
    }
}

fn one(
    journal: &mut Journal,
    tree: &Tree,
    trash: &Quarantine,
    file: &JournalFile,
) -> Result<(Outcome, Reason), Fatal> {
    let seq = |folder_mtime: Option<String>| JournalMove {
        seq: file.seq,
        folder_mtime,
        ..JournalMove::default()
    };
    let fail = |what: &'static str, errno: Errno| {
        let reason = Reason::new(what, format!("{what}: {errno}"));
        Ok((Outcome::Failed, reason))
    };
    let stamp = match file.whereabouts(tree, &trash.tree) {
        Ok(Where::Away(stamp)) => Some(stamp),
        Ok(Where::Both) => None,
        Ok(Where::Home) => {
            // Put back by a restore that was interrupted before it could set the folder's time.
            if let (Some(time), Ok(there)) =
                (&file.folder_restored, tree.folder_of(&file.file.relative))
            {
                set_mtime(&there, time);
            }
            journal.note(Step::Restored, seq(None))?;
            return Ok((Outcome::Restored, Reason::new("", "it was in its place")));
        }
        Ok(Where::Nowhere) => return elsewhere(journal, file, seq(None), &trash.folder),
        Ok(Where::Another(why)) => {
            let kind = "another file of its name is there, and it is not";
            return Ok((Outcome::Failed, Reason::new(kind, why)));
        }
        Err(why) => return Ok((Outcome::Failed, Reason::new("look for it", why))),
    };
    let Some(name) = file.file.relative.file_name() else {
        return fail("its name", Errno::ISDIR);
    };
    let folder_was_there = tree.folder_of(&file.file.relative).is_ok();
    let to = match make_folders(tree, &file.file.relative, Mode::from_raw_mode(0o777)) {
        Ok(to) => to,
        Err(errno) => return fail("its folder", errno),
    };
    let from = match trash.tree.folder_of(&file.file.relative) {
        Ok(from) => from,
        Err(errno) => return fail("its folder in the quarantine", errno),
    };
    let time = match (fstat(&to), look(&from, name)) {
        (Ok(folder), Ok(seen)) if folder_was_there => {
            time_to_set(file, Stamp::of(&folder).mtime, Stamp::of(&seen).ctime)
        }
        _ => None,
    };
    journal.note(Step::Restoring, seq(time.clone()))?;
    match move_file(&from, name, &to, name) {
        Ok(()) => {}
        Err(Errno::EXIST) => {
            let why = "a file of this name is there; it is not replaced, and yours stays in the \
                       quarantine";
            return Ok((
                Outcome::Failed,
                Reason::new("a file of its name is there", why),
            ));
        }
        Err(errno) => return fail("move", errno),
    }
    // A copy of it has its own time, and one that was touched another.
    if let (Some(then), Some(now)) = (&file.file.identity.mtime, stamp)
        && *then != now.mtime_text()
        && let Some(times) = times(then)
    {
        let _ = utimensat(&to, name, &times, AtFlags::SYMLINK_NOFOLLOW);
    }
    if let Some(time) = &time {
        set_mtime(&to, time);
    }
    journal.note(Step::Restored, seq(None))?;
    trash.tidy(&file.file.relative);
    Ok((
        Outcome::Restored,
        Reason::new("", "it is in its place again"),
    ))
}

/// Nothing of its name is in this quarantine or in its place: perhaps a loss, unless it was proven and announced
/// that it would be deleted.
fn elsewhere(
    journal: &mut Journal,
    file: &JournalFile,
    seq: JournalMove,
    run: &Path,
) -> Result<(Outcome, Reason), Fatal> {
    // A later run may have moved what this one had announced only, or had put back.
    let open = match file.step {
        Step::Removing => Some(Step::NotRemoved),
        Step::Restoring | Step::Returning => Some(Step::Restored),
        _ => None,
    };
    if let Some(step) = open
        && let Some(other) = in_other_run(file, run)
    {
        journal.note(step, seq)?;
        let why = format!("another run has it, in {}", other.display());
        return Ok((Outcome::Kept, Reason::new("another run has it", why)));
    }
    let why = match file.step {
        Step::Purging => {
            let why = "it was purged, by a run that was killed before it could say so";
            journal.note(Step::Purged, seq)?;
            return Ok((Outcome::Kept, Reason::new(why, why)));
        }
        Step::Removing => {
            "it is neither in the quarantine nor in its place: the run was killed when it was about to be \
             moved away, and whether it was is not known"
        }
        Step::Restoring | Step::Returning => {
            "it is neither in the quarantine nor in its place: the run was killed when it was about to be \
             put back, and whether it was is not known"
        }
        _ => "it is neither in the quarantine nor in its place",
    };
    Ok((Outcome::Failed, Reason::new(why, why)))
}

/// The folder of another run in whose quarantine a file is.
fn in_other_run(file: &JournalFile, run: &Path) -> Option<PathBuf> {
    let runs = std::fs::read_dir(run.parent()?).ok()?;
    let mut others = runs.flatten().map(|other| other.path());
    others.find(|other| {
        let opened = (other != run).then(|| Quarantine::open(other));
        opened.is_some_and(|opened| opened.is_ok_and(|trash| file.is_in(&trash.tree)))
    })
}

/// The folder's time before the removal, if only the removal has changed the folder since.
fn time_to_set(file: &JournalFile, folder: i128, file_ctime: i128) -> Option<String> {
    let only_ours = match (&file.step, &file.folder_restored, &file.folder_after) {
        // Interrupted before the move: what was found out then holds.
        (Step::Restoring, Some(time), _) => return Some(time.clone()),
        (_, _, Some(after)) => *after == time_text(folder),
        // The run was killed between the move and its line.
        (_, _, None) => (folder - file_ctime).abs() <= ONE_RENAME,
    };
    file.folder_before.clone().filter(|_| only_ours)
}

/// This time of change, no other time with it.
fn times(time: &str) -> Option<Timestamps> {
    let nanoseconds = time.parse::<jiff::Timestamp>().ok()?.as_nanosecond();
    let seconds = i64::try_from(nanoseconds.div_euclid(1_000_000_000)).ok()?;
    Some(Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: seconds,
            tv_nsec: nanoseconds.rem_euclid(1_000_000_000) as _,
        },
    })
}

fn set_mtime(folder: impl std::os::fd::AsFd, time: &str) {
    // The file is back; a folder whose time cannot be set is no reason to call that a failure.
    if let Some(times) = times(time) {
        let _ = futimens(folder, &times);
    }
}

#[cfg(test)]
mod tests {
    use orphan_scan::removal::{
        candidate::{Candidate, Identity},
        proof::Class,
    };

    use super::*;

    #[test]
    fn a_folder_s_time_goes_back_only_where_nobody_else_has_changed_the_folder() {
        let moved = 1_700_000_000_000_000_000;
        let file = |step, after: Option<i128>, restored: Option<&str>| JournalFile {
            seq: 1,
            file: Candidate {
                path: "/l/x".into(),
                relative: "x".into(),
                class: Class::Untracked,
                identity: Identity::default(),
                book_id: None,
                format: None,
            },
            proof: Vec::new(),
            step,
            folder_before: Some("before".into()),
            folder_after: after.map(time_text),
            folder_restored: restored.map(Into::into),
            at: String::new(),
        };
        let set = |file: &JournalFile, folder| time_to_set(file, folder, moved).is_some();
        let known = file(Step::Removed, Some(moved), None);
        assert!(set(&known, moved));
        assert!(!set(&known, moved + 1));
        // Killed between the move and its line: the file's own time of change tells.
        let killed = file(Step::Removing, None, None);
        for (folder, sets) in [
            (moved, true),
            (moved + ONE_RENAME, true),
            (moved - ONE_RENAME, true),
            (moved + ONE_RENAME + 1, false),
            (moved - ONE_RENAME - 1, false),
        ] {
            assert_eq!(set(&killed, folder), sets, "{folder}");
        }
        // A restore that was interrupted knew it.
        let interrupted = file(Step::Restoring, Some(moved), Some("then"));
        let time = time_to_set(&interrupted, moved + 5, moved);
        assert_eq!(time.as_deref(), Some("then"));
        let never = file(Step::Restoring, Some(moved), None);
        assert!(!set(&never, moved + 5));
    }
}
