//! Event records: one line each, to whoever wants to know.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::Context;
use rustix::fs::OFlags;
use wire::{Line, records::Event};

/// A line stays within this, so that writers to one pipe never tear each other's.
const LINE: usize = 4096;
/// What is kept of one text when a line gets too long.
const TEXT: usize = 200;

/// Where the records go, and what is the same in each.
#[derive(Debug)]
pub struct Events {
    to: Option<File>,
    tool: &'static str,
    command: String,
    /// Records that found no room.
    lost: u64,
}

impl Events {
    /// Opens the file, descriptor or FIFO; without one nothing is recorded. `tool` and `command` stand
    /// in every record.
    ///
    /// # Errors
    /// It cannot be opened; the message names it.
    pub fn open(
        path: Option<&Path>,
        tool: &'static str,
        command: String,
    ) -> anyhow::Result<Events> {
        let open = |path: &Path| {
            OpenOptions::new()
                .append(true)
                .create(true)
                // A reader who does not read must not stop the watch.
                .custom_flags(OFlags::NONBLOCK.bits() as i32)
                .open(path)
                .with_context(|| format!("{}: open", path.display()))
        };
        Ok(Events {
            to: path.map(open).transpose()?,
            tool,
            command,
            lost: 0,
        })
    }

    /// Writes a record, and gives its line.
    pub fn write(&mut self, event: Event) -> Vec<u8> {
        let line = self.line(event);
        if let Some(to) = &mut self.to {
            // One call a line. A full disk or pipe is no reason to end the command.
            if !matches!(to.write(&line), Ok(length) if length == line.len()) {
                self.lost += 1;
            }
        }
        line
    }

    fn line(&self, mut event: Event) -> Vec<u8> {
        event.at = jiff::Timestamp::now().to_string();
        event.tool = self.tool.into();
        event.command = Some(cut(&self.command, TEXT));
        let mut line = finished(&event);
        if line.len() > LINE {
            for list in [
                &mut event.evidence,
                &mut event.last_lines,
                &mut event.remaining,
            ] {
                for text in list.iter_mut().flatten() {
                    *text = cut(text, TEXT);
                }
            }
            line = finished(&event);
        }
        while line.len() > LINE && shorten(&mut event) {
            line = finished(&event);
        }
        line
    }

    /// How many records were lost.
    pub fn lost(&self) -> Option<u64> {
        (self.lost > 0).then_some(self.lost)
    }
}

/// Leaves out one text. Says whether there was one.
fn shorten(event: &mut Event) -> bool {
    [
        &mut event.last_lines,
        &mut event.evidence,
        &mut event.remaining,
    ]
    .into_iter()
    .flatten()
    .any(|list| list.pop().is_some())
}

fn finished(event: &Event) -> Vec<u8> {
    [Line::of(event).open_bytes(), b"}\n"].concat()
}

fn cut(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}

/// The reason of an error without what Rust puts behind it.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].into(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_whole_in_a_pipe_however_much_there_is_to_tell() {
        let folder = std::env::temp_dir().join(format!("events-{}", std::process::id()));
        let mut events = Events::open(Some(&folder), "t", "c".repeat(9000)).unwrap();
        events.write(Event {
            event: "stalled".into(),
            evidence: Some(vec!["\u{1}ü".repeat(5000); 40]),
            last_lines: Some(vec!["\u{1}".repeat(5000); 40]),
            ..Event::default()
        });
        let line = std::fs::read(&folder).unwrap();
        std::fs::remove_file(&folder).unwrap();
        assert!(
            line.len() <= LINE && line.len() > LINE / 2,
            "{}",
            line.len()
        );
        let record = wire::Record::parse(line).unwrap();
        assert_eq!(record.text("event").unwrap(), "stalled");
        assert!(!record.get::<Vec<String>>("evidence").unwrap().is_empty());
        assert_eq!(events.lost(), None);
    }
}
