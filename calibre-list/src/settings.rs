//! Arguments and environment turned into what the steps need, once.

use std::{env, path::PathBuf};

use calibre_list::{Library, rows::Extent, snapshot};
use wire::{Exit, Fatal};

use crate::{
    args::{Args, Fields},
    list::Plan,
    select::{self, Selection},
};

/// What to read, how to copy it, what to list.
pub(crate) struct Settings {
    pub library: Library,
    pub copy: snapshot::Options,
    pub plan: Plan,
}

/// Reads the environment where the arguments are silent.
///
/// # Errors
/// There is no such library.
pub(crate) fn settings(args: Args) -> Result<Settings, Fatal> {
    let variable = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    // A database given by hand is in its own library, whatever the environment says.
    let root = match (&args.library, &args.db) {
        (None, None) => Some(variable("CALIBRE_LIBRARY").ok_or_else(|| {
            Fatal::new(
                Exit::Usage,
                "LIBRARY: open: give a library, --db or CALIBRE_LIBRARY",
            )
        })?),
        (given, _) => given.clone(),
    };
    let database = args
        .db
        .or_else(|| variable("CALIBRE_OVERRIDE_DATABASE_PATH"));
    let library = Library::find(root.as_deref(), database.as_deref())
        .map_err(|error| Fatal::new(error.exit(), error))?;
    Ok(Settings {
        library,
        copy: snapshot::Options {
            // One more thread would only wait for the one that writes.
            readers: 2,
            lock_wait: args.lock_wait,
            extent: match args.fields {
                Fields::Core => Extent::Core,
                Fields::All => Extent::All,
            },
            folder: None,
        },
        plan: Plan {
            selection: Selection {
                formats: args.formats.as_deref().map(select::formats),
                after_id: args.after_id,
                ids: args.ids,
                shard: args.shard,
                limit: args.limit,
            },
            all_fields: args.fields == Fields::All,
            stat: args.stat,
        },
    })
}
