//! Is a data folder that this machine sees the server's own?

use std::{fs, io, path::Path};

use crate::{check::report::Finding, model::sample::SampleFile};

const CHECK: &str = "store";

/// Is a file that the server shows in this data folder?
pub(super) fn look(store: &Path, shown: Option<&SampleFile>) -> Finding {
    let object = store.display().to_string();
    let Some(shown) = shown.filter(|shown| !shown.location.is_empty()) else {
        let why = "the server shows no file yet to compare by";
        return Finding::warning(CHECK, object, why);
    };
    let (source, location) = (shown.source, &shown.location);
    let other = |what: &str| {
        let why =
            format!("file {source} of the server, books/{location}, {what}: another server's?");
        Finding::failed(CHECK, &object, &why)
    };
    match fs::symlink_metadata(store.join("books").join(location)) {
        // Where a link of the server's leads, only the server sees.
        Ok(there) if there.is_symlink() => Finding::ok(CHECK, &object),
        Ok(there) if i64::try_from(there.len()) == Ok(shown.size) => Finding::ok(CHECK, &object),
        Ok(there) => other(&format!(
            "has {} bytes here, not {}",
            there.len(),
            shown.size
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => other("is not in it"),
        Err(error) => other(&format!("cannot be seen in it: {error}")),
    }
}
