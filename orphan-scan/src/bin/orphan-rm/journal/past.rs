//! What a journal tells of each of its files.

use std::{collections::BTreeMap, path::PathBuf};

use wire::{
    Record,
    records::{JournalMove, JournalRun},
};

use super::Step;
use crate::{candidate::Seen, proof::Class};

/// One file of a journal.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its line before it was moved.
    pub intent: JournalMove,
    /// Its path relative to the library and to the run's folder in the quarantine.
    pub relative: PathBuf,
    /// Its last step.
    pub step: Step,
    /// When its folder was changed by the move, where that was written down.
    pub folder_after: Option<String>,
    /// What its folder's time was about to be set to when a restore was interrupted.
    pub folder_restored: Option<String>,
    /// When it was moved.
    pub at: String,
}

impl Entry {
    /// The class that was proven.
    pub(crate) fn class(&self) -> Option<Class> {
        self.intent.class.as_deref().and_then(Class::named)
    }

    /// The file as a finding tells it.
    pub(crate) fn seen(&self) -> Seen {
        let intent = &self.intent;
        let number = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
        Seen {
            dev: number(&intent.dev),
            inode: number(&intent.inode),
            size: intent.size,
            mtime: intent.mtime.clone(),
            sha1: intent.sha1.clone(),
        }
    }
}

/// What a journal tells.
#[derive(Clone, Debug)]
pub(crate) struct Past {
    /// Its first line.
    pub head: JournalRun,
    /// Its files, in the order of the removals.
    pub entries: Vec<Entry>,
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
    let mut entries = BTreeMap::new();
    let mut unread = Vec::new();
    for (number, line) in lines.filter(|(_, line)| !line.is_empty()) {
        let Err(why) = take(&mut entries, line) else {
            continue;
        };
        unread.push((number + 1, why));
        // Glued to the half of another, when the disk was full for a while.
        let at = line
            .windows(BEGINNING.len())
            .rposition(|part| part == BEGINNING);
        if let Some(at) = at.filter(|&at| at > 0)
            && let Err(why) = take(&mut entries, &line[at..])
        {
            unread.push((number + 1, why));
        }
    }
    let entries = entries.into_values().collect();
    Ok(Past {
        head,
        entries,
        unread,
    })
}

/// Takes in one line.
fn take(entries: &mut BTreeMap<u64, Entry>, line: &[u8]) -> Result<(), String> {
    let record = Record::parse(line.to_vec())?;
    let line: JournalMove = record.decode()?;
    let step = Step::named(&line.step)
        .ok_or_else(|| format!("{:?} is a step of a newer version", line.step))?;
    if step == Step::Looked {
        return Ok(());
    }
    if step == Step::Removing {
        let relative = record.path_of("relative", "relative_b64");
        let entry = Entry {
            relative: relative.unwrap_or(Err("it names no path".into()))?,
            step,
            folder_after: None,
            folder_restored: None,
            at: line.at.clone(),
            intent: line,
        };
        entries.insert(entry.intent.seq, entry);
        return Ok(());
    }
    let entry = entries.get_mut(&line.seq);
    let entry = entry.ok_or("it is about a file that was not announced")?;
    entry.step = step;
    match step {
        // Said once more of a file that was to be purged and was not.
        Step::Removed => entry.folder_after = line.folder_mtime.or(entry.folder_after.take()),
        Step::Restoring | Step::Returning => entry.folder_restored = line.folder_mtime,
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
            r#"{{"type":"journal_move","step":"removing","seq":{seq},"at":"","path":"/l/{seq}","relative":"{seq}"}}"#
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
            .entries
            .iter()
            .map(|entry| (entry.intent.seq, entry.step))
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
        assert_eq!(past.entries[0].folder_after.as_deref(), Some("t"));
    }
}
