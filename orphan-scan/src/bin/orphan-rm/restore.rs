//! Undoing a run: every file of its journal is put back where it was, under its name, with its times; the
//! times of folders too, as far as nobody else has changed them since. Nothing is ever replaced.

use std::{collections::HashMap, path::Path};

use hash_files::{Stamp, stamp::time_text};
use rustix::{
    fs::{AtFlags, Mode, Timespec, Timestamps, UTIME_OMIT, fstat, futimens, utimensat},
    io::Errno,
};
use wire::{
    Exit, Fatal, Writer,
    records::{JournalMove, Summary},
};

use crate::{
    args::Args,
    forget::{self, Forget},
    journal::{Entry, Journal, Past, Step, Where},
    place::{Tree, look},
    proof::{Class, Reason},
    report::{End, Outcome},
    setup::{folder_of, library_of, quarantine, tell_unread},
    tally::{Remarks, Tally},
    trash::{Trash, make_folders, move_file},
};

/// A time of change of a folder and a file's own are taken from one clock at one rename, but not in one
/// step.
const ONE_RENAME: i128 = 50_000_000;

/// Puts back all that the journal tells of.
///
/// # Errors
/// The journal cannot be read or written, the library or the quarantine is not there.
pub(crate) fn restore(args: &Args, path: &Path, out: Writer) -> anyhow::Result<Exit> {
    let (mut journal, past) = Journal::open(path)?;
    let Past {
        head,
        entries,
        unread,
    } = past;
    let folder = folder_of(args, path, &head)?;
    let library = library_of(args, &journal.path, &head, &out)?;
    let usage = |what: &Path, why: &dyn std::fmt::Display| {
        Fatal::new(Exit::Usage, format_args!("{}: open: {why}", what.display()))
    };
    let tree = Tree::open(&library.root).map_err(|error| usage(&library.root, &error))?;
    // Where nothing is left in it, the quarantine may be gone.
    let trash = match entries.iter().all(|entry| entry.step.is_settled()) {
        true => None,
        false => Some(quarantine(&folder)?),
    };
    let mut tally = Tally::new(&args.report, [tree.path.clone(), tree.real.clone()])?;
    tell_unread(&journal.path, &unread, &out)?;
    let mut before = 0;
    // What comes back must not be forgotten, nor deleted by a command that is run late.
    forget::withdraw(&folder);
    let out_of_place = |entry: &&Entry| !entry.step.is_settled() || entry.step == Step::Purged;
    let mut gone: HashMap<u64, Forget> = entries
        .iter()
        .filter(out_of_place)
        .filter_map(|entry| Some((entry.intent.seq, forgotten(entry, &tree.path)?)))
        .collect();
    // The last is the first: so the times of a folder go back through all that they were.
    for entry in entries.iter().rev() {
        if wire::stop::requested() {
            break;
        }
        if entry.step.is_settled() && entry.step != Step::Purged {
            before += 1;
            continue;
        }
        let at = tree.path.join(&entry.relative);
        let (outcome, reason) = match &trash {
            Some(trash) if entry.step != Step::Purged => one(&mut journal, &tree, trash, entry)?,
            _ => {
                let why = "it was purged and is gone";
                (Outcome::Kept, Reason::new(why, why))
            }
        };
        if outcome == Outcome::Restored {
            gone.remove(&entry.intent.seq);
        }
        let end = End {
            outcome,
            path: &at,
            class: entry.class(),
            reason,
            proof: Vec::new(),
            trash: None,
            journal: Some(&journal.path),
            size: entry.intent.size.unwrap_or(0),
            input: None,
        };
        end.write(&out, &mut tally)?;
    }
    if !gone.is_empty() {
        // Of what did not come back; a folder that is gone needs none.
        let gone: Vec<Forget> = gone.into_values().collect();
        let _ = forget::add(&folder, &tree.path, &gone);
    }
    let mut summary = Summary {
        complete: true,
        library: head.library,
        ..Summary::default()
    };
    tally.fill(&mut summary);
    let (restored, _) = tally.of(Outcome::Restored);
    if let Some(left) = left(restored, before, &tally.left()) {
        out.warn(&journal.path.display().to_string(), "restore", &left);
    }
    let ended = out.finish(summary)?;
    tally.report(Remarks {
        notes: vec![format!(
            "what was restored is in its place again, by the journal {}",
            journal.path.display()
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

/// What Calibre has on record of it and should forget.
fn forgotten(entry: &Entry, library: &Path) -> Option<Forget> {
    let of = entry.intent.book_id.zip(entry.intent.format.clone());
    let (book_id, format) = of.filter(|_| entry.class() == Some(Class::DuplicateOfServer))?;
    let folder = library.join(entry.relative.parent()?);
    Some(Forget {
        book_id,
        format,
        folder,
    })
}

fn one(
    journal: &mut Journal,
    tree: &Tree,
    trash: &Trash,
    entry: &Entry,
) -> Result<(Outcome, Reason), Fatal> {
    let seq = |folder_mtime: Option<String>| JournalMove {
        seq: entry.intent.seq,
        folder_mtime,
        ..JournalMove::default()
    };
    let fail = |what: &'static str, errno: Errno| {
        let reason = Reason::new(what, format!("{what}: {errno}"));
        Ok((Outcome::Failed, reason))
    };
    let stamp = match entry.whereabouts(tree, &trash.tree) {
        Ok(Where::Away(stamp)) => Some(stamp),
        Ok(Where::Both) => None,
        Ok(Where::Home) => {
            // Put back by a restore that was interrupted before it could set the folder's time.
            if let (Some(time), Ok(there)) =
                (&entry.folder_restored, tree.folder_of(&entry.relative))
            {
                set_mtime(&there, time);
            }
            journal.note(Step::Restored, seq(None))?;
            return Ok((Outcome::Restored, Reason::new("", "it was in its place")));
        }
        Ok(Where::Nowhere) => return elsewhere(journal, entry, seq(None)),
        Ok(Where::Another(why)) => {
            let kind = "another file of its name is there, and it is not";
            return Ok((Outcome::Failed, Reason::new(kind, why)));
        }
        Err(why) => return Ok((Outcome::Failed, Reason::new("look for it", why))),
    };
    let Some(name) = entry.relative.file_name() else {
        return fail("its name", Errno::ISDIR);
    };
    let folder_was_there = tree.folder_of(&entry.relative).is_ok();
    let to = match make_folders(tree, &entry.relative, Mode::from_raw_mode(0o777)) {
        Ok(to) => to,
        Err(errno) => return fail("its folder", errno),
    };
    let from = match trash.tree.folder_of(&entry.relative) {
        Ok(from) => from,
        Err(errno) => return fail("its folder in the quarantine", errno),
    };
    let time = match (fstat(&to), look(&from, name)) {
        (Ok(folder), Ok(file)) if folder_was_there => {
            time_to_set(entry, Stamp::of(&folder).mtime, Stamp::of(&file).ctime)
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
    if let (Some(then), Some(now)) = (&entry.intent.mtime, stamp)
        && *then != now.mtime_text()
        && let Some(times) = times(then)
    {
        let _ = utimensat(&to, name, &times, AtFlags::SYMLINK_NOFOLLOW);
    }
    if let Some(time) = &time {
        set_mtime(&to, time);
    }
    journal.note(Step::Restored, seq(None))?;
    trash.tidy(&entry.relative);
    Ok((
        Outcome::Restored,
        Reason::new("", "it is in its place again"),
    ))
}

/// Nothing of its name is in this quarantine or in its place: perhaps a loss, unless it was proven and announced
/// that it would be deleted.
fn elsewhere(
    journal: &mut Journal,
    entry: &Entry,
    seq: JournalMove,
) -> Result<(Outcome, Reason), Fatal> {
    let why = match entry.step {
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

/// The folder's time before the removal, if only the removal has changed the folder since.
fn time_to_set(entry: &Entry, folder: i128, file_ctime: i128) -> Option<String> {
    let only_ours = match (&entry.step, &entry.folder_restored, &entry.folder_after) {
        // Interrupted before the move: what was found out then holds.
        (Step::Restoring, Some(time), _) => return Some(time.clone()),
        (_, _, Some(after)) => *after == time_text(folder),
        // The run was killed between the move and its line.
        (_, _, None) => (folder - file_ctime).abs() <= ONE_RENAME,
    };
    entry.intent.folder_mtime.clone().filter(|_| only_ours)
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
