//! Reading the findings.

use std::{io::BufReader, path::Path};

use orphan_scan::removal::{
    candidate::{self, Candidate},
    forget::Forget,
    limits::Load,
    proof::Class,
};
use wire::{
    Exit, Item, OrFatal, Reader, Record, Writer, completeness::StreamReport, write::ItemError,
};

/// A finding of a class that was asked for.
pub(crate) struct Found {
    pub(crate) record: Record,
    pub(crate) file: Candidate,
}

/// The findings of the classes that were asked for, and what the stream said of itself.
pub(crate) struct Input {
    pub(crate) found: Vec<Found>,
    pub(crate) load: Load,
    pub(crate) tracked: Vec<Forget>,
    pub(crate) stream: StreamReport,
}

/// Reads all findings about a library that has these names; those that are not asked for pass through.
pub(crate) fn read(classes: &[Class], library: &[&Path], out: &Writer) -> anyhow::Result<Input> {
    let mut reader = Reader::new(BufReader::new(wire::stop::stdin()));
    let (mut found, mut load, mut tracked) = (Vec::new(), Load::default(), Vec::new());
    let mut findings = false;
    while let Some(item) = reader.next_item().or_fatal(Exit::GaveUp, "stdin: read")? {
        let error = |message| ItemError {
            op: "read",
            message,
            retry: false,
        };
        let record = match item {
            Item::Record(record) => record,
            Item::Unusable(number, why) => {
                out.fail_new(None, &format!("stdin line {number}"), error(&why), |line| {
                    line.int("line", number);
                })?;
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
        match Candidate::read(&record, library) {
            Ok(file) => {
                load.count += 1;
                load.bytes += file.size();
                tracked.extend(Forget::of(&file));
                found.push(Found { record, file });
            }
            Err(why) => out.fail(&record, "stdin", error(&why))?,
        }
    }
    let stream = reader.completeness().report();
    if !findings {
        let why = "it holds no findings; orphan-scan writes them";
        out.warn("stdin", "read", why);
    }
    if let Some(why) = &stream.why {
        out.warn("stdin", "read", why);
    }
    Ok(Input {
        found,
        load,
        tracked,
        stream,
    })
}
