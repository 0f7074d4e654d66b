//! Moving files into the quarantine, batch by batch.

use std::{
    ffi::OsStr,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use hash_files::{Stamp, stamp::time_text};
use rustix::{fs::fstat, io::Errno};
use wire::{
    Exit, Fatal, Record, Writer,
    records::{JournalMove, JournalRun},
};

use crate::{
    candidate::{Candidate, relative},
    confirm::tidy_up,
    journal::{Journal, Step, fields, now},
    place::{Entry, look},
    proof::{Told, Verdict, may_remove},
    prover::{Case, Prover},
    report::{Counts, End, Outcome},
    trash::{Trash, move_file},
};

/// What to do with a file of which all is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Say so.
    DryRun,
    /// Say so, for `--verify-only`.
    Verify,
    /// Move it.
    Apply,
}

/// The quarantine of this run and its journal.
pub(crate) struct Quarantine {
    pub trash: Trash,
    pub journal: Journal,
    seq: u64,
}

impl Quarantine {
    /// Makes both.
    ///
    /// # Errors
    /// The quarantine is no safe place (3), or the journal cannot be made.
    pub(crate) fn make(
        base: &Path,
        journal: Option<&Path>,
        prover: &Prover<'_>,
    ) -> Result<Quarantine, Fatal> {
        let at = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        let run = format!("{at}-{}", std::process::id());
        let refuse = |why: String| Fatal::new(Exit::Refused, format_args!("quarantine: {why}"));
        let trash = Trash::make(base, &run, &prover.tree).map_err(refuse)?;
        trash.try_moving().map_err(refuse)?;
        let own = trash.folder.join("journal.ndjson");
        let (root, root_b64) = fields(&prover.tree.path);
        let (folder, folder_b64) = fields(&trash.folder);
        let head = JournalRun {
            tool: "orphan-rm".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            at: now(),
            root,
            root_b64,
            library: prover.uuid.clone(),
            trash: folder,
            trash_b64: folder_b64,
        };
        let journal = Journal::create(journal.unwrap_or(&own), &head)?;
        Ok(Quarantine {
            trash,
            journal,
            seq: 0,
        })
    }
}

/// A file that was moved, until all links were listed again.
struct Moved {
    seq: u64,
    record: Record,
    relative: PathBuf,
    stamp: Stamp,
    /// The folder that it was in, and those above.
    folders: Vec<(u64, u64)>,
    tracked: Option<(i64, String)>,
    path: PathBuf,
    why: String,
    proof: Vec<String>,
}

/// One run over all candidates.
pub(crate) struct Run<'r, 'a> {
    pub out: &'r Writer,
    pub prover: Prover<'a>,
    pub manner: Manner,
    pub quarantine: Option<Quarantine>,
    pub wait: bool,
    pub counts: Counts,
}

impl Run<'_, '_> {
    /// Takes one batch of findings, each a line. Says whether to go on.
    ///
    /// # Errors
    /// The journal cannot be written, or stdout is closed; what was moved by then is in the journal.
    pub(crate) fn batch(&mut self, lines: &[Box<[u8]>]) -> anyhow::Result<bool> {
        let mut candidates = Vec::with_capacity(lines.len());
        for line in lines {
            let record = Record::parse(line.to_vec()).map_err(anyhow::Error::msg)?;
            let candidate = Candidate::read(&record).map_err(anyhow::Error::msg)?;
            let roots = [&*self.prover.tree.path, &*self.prover.tree.real];
            let relative = relative(&candidate.path, &roots);
            candidates.push((record, candidate, relative));
        }
        let files = candidates
            .iter()
            .filter_map(|(.., file)| file.clone())
            .collect();
        let sha1s: Vec<&str> = candidates
            .iter()
            .filter_map(|(_, candidate, _)| candidate.seen.sha1.as_deref())
            .collect();
        self.prover.begin(files, &sha1s);
        let mut moved = Vec::new();
        let mut ended = Ok(());
        for (record, candidate, file) in candidates {
            if wire::stop::requested() {
                break;
            }
            ended = self.one(record, candidate, file, &mut moved);
            if ended.is_err() {
                break;
            }
        }
        // What was moved is looked at again whatever happened.
        let settled = self.settle(moved);
        ended.and(settled)?;
        Ok(!wire::stop::requested())
    }

    fn one(
        &mut self,
        record: Record,
        candidate: Candidate,
        file: Option<PathBuf>,
        moved: &mut Vec<Moved>,
    ) -> anyhow::Result<()> {
        let size = candidate.seen.size.unwrap_or(0);
        let end = |outcome, why: String, proof| End {
            outcome,
            path: &candidate.path,
            why,
            proof,
            trash: None,
            journal: None,
            size,
            input: Some(&record),
        };
        let Some(relative) = file else {
            let why = "its path is not below the library".to_string();
            return Ok(end(Outcome::Kept, why, Vec::new()).write(self.out, &mut self.counts)?);
        };
        let case = Case {
            relative: &relative,
            class: candidate.class,
            seen: &candidate.seen,
            book_id: candidate.book_id,
            format: candidate.format.as_deref(),
            trash: None,
        };
        self.wait_for_calibre();
        let proven = self.prover.prove(&case);
        let proof = proven.facts.proof();
        let verdict = may_remove(candidate.class, &proven.facts);
        let (entry, sha1) = match (verdict, proven.entry, proven.sha1) {
            (Verdict::Remove, Some(entry), Some(sha1)) => (entry, sha1),
            (Verdict::Keep(why), ..) => {
                return Ok(end(Outcome::Kept, why, proof).write(self.out, &mut self.counts)?);
            }
            (Verdict::Remove, ..) => {
                let why = "not known: it was not read".to_string();
                return Ok(end(Outcome::Kept, why, proof).write(self.out, &mut self.counts)?);
            }
        };
        let why = format!("{}: all is proven", candidate.class.name());
        let outcome = match self.manner {
            Manner::DryRun => Outcome::WouldRemove,
            Manner::Verify => Outcome::Verified,
            Manner::Apply => {
                return match self.take_away(&candidate, &relative, &entry, &sha1, &proof)? {
                    Ok((seq, folders)) => {
                        moved.push(Moved {
                            seq,
                            relative,
                            stamp: entry.stamp(),
                            folders,
                            tracked: candidate.book_id.zip(candidate.format.clone()),
                            path: candidate.path.clone(),
                            why,
                            proof,
                            record,
                        });
                        Ok(())
                    }
                    Err((outcome, why)) => {
                        Ok(end(outcome, why, proof).write(self.out, &mut self.counts)?)
                    }
                };
            }
        };
        Ok(end(outcome, why, proof).write(self.out, &mut self.counts)?)
    }

    /// With `--wait-for-calibre`, until it has gone.
    fn wait_for_calibre(&mut self) {
        if !self.wait {
            return;
        }
        let mut told = false;
        while let Told::No(who) = self.prover.calibre() {
            if !told {
                self.out.warn("library", "wait", &who);
                told = true;
            }
            if wire::stop::sleep(std::time::Duration::from_millis(500)) {
                return;
            }
        }
    }

    /// Moves one file. What keeps it is the inner error; the outer one is the journal's, which ends
    /// the run.
    #[allow(clippy::type_complexity)]
    fn take_away(
        &mut self,
        candidate: &Candidate,
        relative: &Path,
        entry: &Entry,
        sha1: &str,
        proof: &[String],
    ) -> Result<Result<(u64, Vec<(u64, u64)>), (Outcome, String)>, Fatal> {
        let Some(quarantine) = &mut self.quarantine else {
            return Ok(Err((Outcome::Kept, "there is no quarantine".into())));
        };
        let keep = |why: &str| Ok(Err((Outcome::Kept, why.to_string())));
        let fail = |what: &str, errno: Errno| {
            Ok(Err((
                Outcome::Failed,
                format!("{what}: {errno}; it is in its place"),
            )))
        };
        let Some(folders) = self.prover.folder_ids(relative) else {
            return keep("its folder cannot be looked at");
        };
        let folder = match fstat(&entry.folder) {
            Ok(folder) => folder,
            Err(errno) => return fail("look at its folder", errno),
        };
        let to = match quarantine.trash.folder_for(relative) {
            Ok(to) => to,
            Err(errno) => return fail("make its folder in the quarantine", errno),
        };
        let stamp = entry.stamp();
        quarantine.seq += 1;
        let seq = quarantine.seq;
        let (path, path_b64) = fields(&candidate.path);
        let (inside, inside_b64) = fields(relative);
        let stat = &entry.stat;
        quarantine.journal.note(
            Step::Removing,
            JournalMove {
                seq,
                path: Some(path),
                path_b64,
                relative: Some(inside),
                relative_b64: inside_b64,
                class: Some(candidate.class.name().into()),
                sha1: Some(sha1.into()),
                size: Some(stamp.size),
                mtime: Some(stamp.mtime_text()),
                dev: Some(stamp.dev.to_string()),
                inode: Some(stamp.inode.to_string()),
                nlink: Some(stat.st_nlink),
                mode: Some(stat.st_mode.into()),
                uid: Some(stat.st_uid.into()),
                gid: Some(stat.st_gid.into()),
                book_id: candidate.book_id,
                format: candidate.format.clone(),
                proof: Some(proof.to_vec()),
                folder_mtime: Some(time_text(Stamp::of(&folder).mtime)),
                ..JournalMove::default()
            },
        )?;
        let done = |why: Option<&str>| JournalMove {
            seq,
            why: why.map(Into::into),
            folder_mtime: fstat(&entry.folder)
                .ok()
                .map(|folder| time_text(Stamp::of(&folder).mtime)),
            ..JournalMove::default()
        };
        if !entry.unchanged() {
            let why = "it was changed in the last moment";
            quarantine.journal.note(Step::NotRemoved, done(Some(why)))?;
            return keep(why);
        }
        if let Err(errno) = move_file(&entry.folder, &entry.name, &to, &entry.name) {
            let why = format!("move: {errno}");
            quarantine
                .journal
                .note(Step::NotRemoved, done(Some(&why)))?;
            return match errno {
                Errno::NOENT | Errno::AGAIN => keep("it was changed in the last moment"),
                errno => fail("move", errno),
            };
        }
        // What was moved must be what was proven, from where its path leads still.
        let identity = |stamp: Stamp| (stamp.dev, stamp.inode, stamp.size, stamp.mtime);
        let same =
            look(&to, &entry.name).is_ok_and(|now| identity(Stamp::of(&now)) == identity(stamp));
        let in_place = self.prover.tree.is_there().is_ok()
            && self.prover.tree.folder_of(relative).is_ok_and(|there| {
                fstat(there)
                    .is_ok_and(|now| (now.st_dev, now.st_ino) == (folder.st_dev, folder.st_ino))
            });
        if !(same && in_place) {
            let why = "another file or folder was put in its place in the last moment";
            return match move_file(&to, &entry.name, &entry.folder, &entry.name) {
                Ok(()) => {
                    quarantine.journal.note(Step::NotRemoved, done(Some(why)))?;
                    keep(why)
                }
                Err(errno) => {
                    quarantine.journal.note(Step::Removed, done(None))?;
                    Ok(Err((
                        Outcome::Failed,
                        format!("{why}, and it could not be put back: {errno}; --restore can"),
                    )))
                }
            };
        }
        quarantine.journal.note(Step::Removed, done(None))?;
        Ok(Ok((seq, folders)))
    }

    /// Lists the store's links again, and puts back what one leads to, or may lead to.
    fn settle(&mut self, moved: Vec<Moved>) -> anyhow::Result<()> {
        if moved.is_empty() {
            return Ok(());
        }
        let listed = self.prover.list_links(|| ());
        // Who asks to stop does not ask for what was proven to be undone, so a listing that the stop cut
        // short leaves it in the quarantine; a link that was found brings it back all the same.
        let unseen = wire::stop::requested() && listed.is_err();
        if unseen {
            let why = "not looked at again after the last removals, for the run was stopped; \
                       --restore undoes them";
            self.out.warn("store", "list links", why);
        } else if let Err(why) = &listed {
            self.out.warn("store", "list links", why);
        }
        let mut tidy = Vec::new();
        for moved in moved {
            let name = moved.relative.file_name().unwrap_or_default();
            let linked = match unseen {
                true => Told::Yes("proven before it was moved".into()),
                false => self
                    .prover
                    .none_leads_to(&moved.stamp, &moved.folders, name),
            };
            let Some(quarantine) = &mut self.quarantine else {
                continue;
            };
            let trash = quarantine.trash.path_of(&moved.relative);
            let end = |outcome, why, in_trash: bool| End {
                outcome,
                path: &moved.path,
                why,
                proof: moved.proof.clone(),
                trash: in_trash.then_some(&*trash),
                journal: None,
                size: moved.stamp.size,
                input: Some(&moved.record),
            };
            let journal = quarantine.journal.path.clone();
            let ended = match linked {
                Told::Yes(_) => {
                    tidy.extend(moved.tracked.clone());
                    let again = match unseen {
                        true => ", but the links were not looked at again, for the run was stopped",
                        false => "",
                    };
                    end(Outcome::Removed, format!("{}{again}", moved.why), true)
                }
                Told::No(why) | Told::Unknown(why) => {
                    match put_back(quarantine, &self.prover, &moved, name, &why)? {
                        Ok(()) => end(Outcome::Kept, format!("put back: {why}"), false),
                        Err(failed) => end(
                            Outcome::Failed,
                            format!("{why}, but it could not be put back: {failed}; see --restore"),
                            true,
                        ),
                    }
                }
            };
            let ended = End {
                journal: Some(&journal),
                ..ended
            };
            ended.write(self.out, &mut self.counts)?;
        }
        self.write_commands(&tidy);
        Ok(())
    }

    /// The commands that make Calibre forget what is gone.
    fn write_commands(&self, tracked: &[(i64, String)]) {
        let Some(quarantine) = self.quarantine.as_ref().filter(|_| !tracked.is_empty()) else {
            return;
        };
        let path = quarantine.trash.folder.join("remove_format.sh");
        let root = &self.prover.tree.path;
        let commands: String = tracked
            .iter()
            .map(|(book, format)| tidy_up(root, *book, format) + "\n")
            .collect();
        let file = fs::OpenOptions::new().create(true).append(true).open(&path);
        if let Err(error) = file.and_then(|mut file| file.write_all(commands.as_bytes())) {
            let path = path.display().to_string();
            self.out.warn(&path, "write", &error.to_string());
        }
    }
}

fn put_back(
    quarantine: &mut Quarantine,
    prover: &Prover<'_>,
    moved: &Moved,
    name: &OsStr,
    why: &str,
) -> Result<Result<(), Errno>, Fatal> {
    let step = |why: Option<&str>| JournalMove {
        seq: moved.seq,
        why: why.map(Into::into),
        ..JournalMove::default()
    };
    quarantine.journal.note(Step::Returning, step(Some(why)))?;
    let back = (|| {
        let from = quarantine.trash.tree.folder_of(&moved.relative)?;
        let to = prover.tree.folder_of(&moved.relative)?;
        move_file(from, name, to, name)
    })();
    if back.is_ok() {
        quarantine.journal.note(Step::Returned, step(None))?;
        quarantine.trash.tidy(&moved.relative);
    }
    Ok(back)
}
