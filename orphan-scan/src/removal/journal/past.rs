//! What a journal tells of each of its files.

use std::collections::BTreeMap;

use wire::{
    Record,
    records::{JournalMove, JournalRun},
};

use super::Step;
use crate::removal::{
    candidate::{Candidate, Identity, number},
    proof::Class,
};

/// One file of a journal.
#[derive(Clone, Debug)]
pub struct JournalFile {
    /// Its number.
    pub seq: u64,
    /// The file as it was found before it was moved; its path relative to the library is that relative to
    /// the run's folder in the quarantine, too.
    pub file: Candidate,
    /// What was proven of it.
    pub proof: Vec<String>,
    /// Its last step.
    pub step: Step,
    /// When its folder was changed before the move.
    pub folder_before: Option<String>,
    /// When its folder was changed by the move, where that was written down.
    pub folder_after: Option<String>,
    /// What its folder's time was about to be set to when a restore was interrupted.
    pub folder_restored: Option<String>,
    /// When it was moved.
    pub at: String,
}

impl JournalFile {
    fn read(record: &Record, line: JournalMove) -> Result<JournalFile, String> {
        let path = |name, twin| {
            record
                .path_of(name, twin)
                .unwrap_or(Err("it names no path".into()))
        };
        let class = line.class.as_deref().and_then(Class::named);
        Ok(JournalFile {
            seq: line.seq,
            file: Candidate {
                path: path("path", "path_b64")?,
                relative: path("relative", "relative_b64")?,
                class: class.ok_or("its class is one of a newer version")?,
                identity: Identity {
                    dev: number(line.dev.as_deref()),
                    inode: number(line.inode.as_deref()),
                    size: line.size,
                    mtime: line.mtime,
                    sha1: line.sha1,
                },
                book_id: line.book_id,
                format: line.format,
            },
            proof: line.proof.unwrap_or_default(),
            step: Step::Removing,
            folder_before: line.folder_mtime,
            folder_after: None,
            folder_restored: None,
            at: line.at,
        })
    }
}

/// What a journal tells.
#[derive(Clone, Debug)]
pub struct Past {
    /// Its first line.
    pub head: JournalRun,
    /// Its files, in the order of the removals.
    pub files: Vec<JournalFile>,
    /// Lines that could not be read, by number, and why.
    pub unread: Vec<(usize, String)>,
}

/// The beginning of every line. Inside of a line it cannot be, for there its quotes are escaped.
const BEGINNING: &[u8] = br#"{"type":"journal_"#;

/// What the lines of a journal say, as far as they can be read.
pub(super) fn replay(bytes: &[u8]) -> Result<Past, String> {
    let mut lines = bytes.split(|&byte| byte == b'\n').enumerate();
    let (_, head) = lines.next().ok_or("it is empty")?;
    let head = Record::parse(head.to_vec())?;
    if head.kind() != "journal_run" {
        return Err("it is no journal of orphan-rm".into());
    }
    let head: JournalRun = head.decode()?;
    let mut files = BTreeMap::new();
    let mut unread = Vec::new();
    for (number, line) in lines.filter(|(_, line)| !line.is_empty()) {
        let Err(why) = take(&mut files, line) else {
            continue;
        };
        unread.push((number + 1, why));
        // Glued to the half of another, when the disk was full for a while.
        let at = line
            .windows(BEGINNING.len())
            .rposition(|part| part == BEGINNING);
        if let Some(at) = at.filter(|&at| at > 0)
            && let Err(why) = take(&mut files, &line[at..])
        {
            unread.push((number + 1, why));
        }
    }
    let files = files.into_values().collect();
    Ok(Past {
        head,
        files,
        unread,
    })
}

/// Takes in one line.
fn take(files: &mut BTreeMap<u64, JournalFile>, line: &[u8]) -> Result<(), String> {
    let record = Record::parse(line.to_vec())?;
    let line: JournalMove = record.decode()?;
    let step = Step::named(&line.step)
        .ok_or_else(|| format!("{:?} is a step of a newer version", line.step))?;
    if step == Step::Looked {
        return Ok(());
    }
    if step == Step::Removing {
        files.insert(line.seq, JournalFile::read(&record, line)?);
        return Ok(());
    }
    let file = files.get_mut(&line.seq);
    let file = file.ok_or("it is about a file that was not announced")?;
    file.step = step;
    match step {
        // Said once more of a file that was to be purged and was not.
        Step::Removed => file.folder_after = line.folder_mtime.or(file.folder_after.take()),
        Step::Restoring | Step::Returning => file.folder_restored = line.folder_mtime,
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"{"type":"journal_run","tool":"orphan-rm","version":"0","at":"","root":"/l","trash":"/t"}"#;

    fn removing(seq: u64) -> String {
        format!(
            r#"{{"type":"journal_move","step":"removing","seq":{seq},"at":"","class":"untracked","path":"/l/{seq}","relative":"{seq}"}}"#
        )
    }

    #[test]
    fn one_line_that_cannot_be_read_hides_no_other() {
        let half = &removing(2)[..40];
        let removed = r#"{"type":"journal_move","step":"removed","seq":1,"at":""}"#;
        let text = [
            HEAD,
            &removing(1),
            // The disk was full for the second file, and had room again.
            &format!("{half}{removed}"),
            "\0\0\0",
            r#"{"type":"journal_move","step":"flown","seq":1,"at":""}"#,
            r#"{"type":"journal_move","step":"removed","seq":2,"at":""}"#,
            &removing(3),
            "",
        ];
        let past = replay(text.join("\n").as_bytes()).unwrap();
        let steps: Vec<_> = past
            .files
            .iter()
            .map(|file| (file.seq, file.step))
            .collect();
        assert_eq!(steps, [(1, Step::Removed), (3, Step::Removing)]);
        let unread: Vec<usize> = past.unread.iter().map(|(line, _)| *line).collect();
        assert_eq!(unread, [3, 4, 5, 6]);
        assert!(past.unread[2].1.contains("newer version"));
        assert!(replay(b"{}\n").is_err() && replay(b"").is_err());
    }

    #[test]
    fn what_was_not_purged_after_all_keeps_the_time_of_its_folder() {
        let removed =
            r#"{"type":"journal_move","step":"removed","seq":1,"at":"","folder_mtime":"t"}"#;
        let again = r#"{"type":"journal_move","step":"removed","seq":1,"at":""}"#;
        let text = [HEAD, &removing(1), removed, again, ""].join("\n");
        let past = replay(text.as_bytes()).unwrap();
        assert_eq!(past.files[0].folder_after.as_deref(), Some("t"));
    }
}
