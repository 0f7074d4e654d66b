//! Room on the disk of a store that this machine sees.

use std::path::Path;

use bytesize::ByteSize;
use rustix::fs::statvfs;

use crate::check::report::Finding;

/// Where files wait, and where they end.
const FOLDERS: [&str; 2] = ["uploads", "books"];

/// Is there room for so many bytes below the server's data folder?
pub(super) fn look(store: &Path, needed: u64) -> Finding {
    let object = store.display().to_string();
    let mut free = u64::MAX;
    for folder in FOLDERS {
        match statvfs(store.join(folder)) {
            Ok(disk) => free = free.min(disk.f_bavail.saturating_mul(disk.f_frsize)),
            Err(error) => {
                let why = format!("{folder}: {error}; is this the server's data folder?");
                return Finding::failed("space", object, &why);
            }
        }
    }
    let mut finding = match needed > free {
        true => {
            let [free, needed] = [free, needed].map(ByteSize);
            let why = format!("{free} free, and the files to send have {needed}");
            Finding::failed("space", object, &why)
        }
        false => Finding::ok("space", object),
    };
    finding.free = Some(free);
    finding
}
