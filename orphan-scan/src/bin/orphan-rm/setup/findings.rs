//! Reading the findings.

use std::io::BufReader;

use wire::{Completeness, Exit, Item, OrFatal, Reader, Writer, completeness::StreamReport};

use crate::{
    candidate::{self, Candidate},
    forget::Forget,
    limits::Load,
    proof::Class,
};

/// The findings of the classes that were asked for, and what the stream said of itself.
pub(super) struct Input {
    pub lines: Vec<Box<[u8]>>,
    pub load: Load,
    pub tracked: Vec<Forget>,
    pub verdict: StreamReport,
}

/// Reads all findings; those that are not asked for pass through.
pub(super) fn read(classes: &[Class], out: &Writer) -> anyhow::Result<Input> {
    let mut reader = Reader::new(BufReader::new(wire::stop::stdin()));
    let mut input = Input {
        lines: Vec::new(),
        load: Load::default(),
        tracked: Vec::new(),
        verdict: Completeness::default().report(),
    };
    let mut findings = false;
    while let Some(item) = reader.next_item().or_fatal(Exit::GaveUp, "stdin: read")? {
        let record = match item {
            Item::Record(record) => record,
            Item::Unusable(number, why) => {
                unusable(out, number, &why)?;
                continue;
            }
        };
        findings |= record.kind() == "finding";
        let asked = record.kind() == "finding"
            && candidate::class(&record).is_some_and(|class| classes.contains(&class));
        if !asked {
            out.pass(&record)?;
            continue;
        }
        match Candidate::read(&record) {
            Ok(candidate) => {
                input.load.count += 1;
                input.load.bytes += candidate.seen.size.unwrap_or(0);
                if candidate.class == Class::DuplicateOfServer {
                    let known = candidate.book_id.zip(candidate.format);
                    input.tracked.extend(known.map(|(book_id, format)| Forget {
                        book_id,
                        format,
                        folder: candidate.path.parent().unwrap_or(&candidate.path).into(),
                    }));
                }
                input.lines.push(record.line().into());
            }
            Err(why) => {
                let item_error = wire::write::ItemError {
                    op: "read",
                    message: &why,
                    retry: false,
                };
                out.fail(&record, "stdin", item_error)?;
            }
        }
    }
    input.verdict = reader.completeness().report();
    if !findings {
        out.warn(
            "stdin",
            "read",
            "no findings in it; orphan-scan writes them",
        );
    }
    if let Some(why) = &input.verdict.why {
        out.warn("stdin", "read", why);
    }
    Ok(input)
}

/// An error record for a line that is none.
pub(super) fn unusable(out: &Writer, number: u64, why: &str) -> std::io::Result<()> {
    let item_error = wire::write::ItemError {
        op: "read",
        message: why,
        retry: false,
    };
    out.fail_new(None, &format!("stdin line {number}"), item_error, |line| {
        line.int("line", number);
    })
}
