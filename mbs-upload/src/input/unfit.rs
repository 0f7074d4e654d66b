//! Files that no server takes, seen without asking one.

use crate::model::{
    job::Job,
    outcome::{Kind, Outcome},
};

/// Why this file cannot be sent, if so; no larger file than `max_size` is sent.
pub fn unfit(job: &Job, max_size: Option<u64>) -> Option<Outcome> {
    let unsupported = |why: String| Some(Outcome::because(Kind::Unsupported, why));
    if job.content.size() == 0 {
        return unsupported("the file is empty".into());
    }
    if job.extension.is_empty() {
        return unsupported("the file has no extension".into());
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if !job.extension.bytes().all(plain) {
        return unsupported(format!("no format is called {:?}", job.extension));
    }
    let most = max_size.filter(|&most| job.content.size() > most)?;
    let why = format!("larger than --max-size {most}");
    Some(Outcome::because(Kind::TooBig, why))
}
