//! What a person should know about the library before its records come.

use calibre_list::{Library, Snapshot, snapshot::Way};
use wire::Writer;

/// Warns of a network file system.
pub(crate) fn network(out: &Writer, library: &Library) {
    if let Some(kind) = library.network() {
        let reason = format!("it is on {kind}, where locks may not work: close Calibre first");
        out.warn(&library.database.display().to_string(), "open", &reason);
    }
}

/// Says how the database was copied, and warns of a crashed writer.
pub(crate) fn copy(out: &Writer, library: &Library, snapshot: &Snapshot) {
    let database = library.database.display().to_string();
    out.verbose(
        &database,
        "copy",
        &format!("{:?} in {:?}", snapshot.way, snapshot.took),
    );
    if snapshot.way == Way::HotJournal {
        let reason = "a program crashed while writing; the list shows what was there before";
        out.warn(&database, "read", reason);
    }
}
