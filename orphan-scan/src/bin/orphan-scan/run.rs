//! One run: the lists, the preconditions, the walk, the outcome.

use std::{path::Path, time::Duration};

use anyhow::Result;
use calibre_list::{Library, Snapshot, snapshot};
use hash_files::{Cache, cache::OpenError};
use orphan_scan::{
    links::Links,
    report,
    store::{self, Store},
};
use wire::{
    Exit, Fatal, OrFatal, Writer, path_map::PathMap, progress::Unit, stop, write::ItemError,
};

use crate::{
    args::Args,
    known::KnownSet,
    list::{self, List},
    needed::Needed,
    outcome,
    preconditions::{self, Database},
    scan::{self, Job},
};

/// Checks what must be so, walks, and writes the outcome.
///
/// # Errors
/// Refused, or the run could not be brought to its end.
pub(crate) fn run(out: Writer, args: &Args) -> Result<Exit> {
    let (folder, database) = args.places()?;
    for file in &args.report {
        let shown = format!("{}: write", file.display());
        report::may_write(file).or_fatal(Exit::Usage, shown)?;
    }
    preconditions::not_empty(&folder)?;
    let library = Library::find(Some(&folder), database.as_deref())
        .map_err(|error| Fatal::new(error.exit(), error))?;
    let cache = open_cache(&out, args)?;
    let known = match args.known.is_empty() {
        true => None,
        false => Some(KnownSet::read(&args.known)?),
    };
    let begun = jiff::Timestamp::now().as_nanosecond();
    let (list, database, needed) = read_list(args, &library, known.as_ref())?;
    let mut job = Job {
        out: &out,
        root: &library.root,
        listed_root: &list.root,
        tracked: &list.tracked,
        needed: &needed,
        known: known.as_ref(),
        links: None,
        database: library.ids(),
        store: args
            .store
            .as_deref()
            .map(store::folders_of)
            .unwrap_or_default(),
        cache: cache.as_ref(),
        shard: args.shard,
        begun,
        partial: args.partial,
        report: !args.report.is_empty(),
        silent: false,
        mending: Default::default(),
        unlooked: Default::default(),
        aliases: Default::default(),
    };
    let mut flaws = preconditions::flaws(&list, &database, known.as_ref());
    if !any_match(&mut job)? {
        flaws.push("no file of the list is in this folder".into());
    }
    let shown = library.root.display().to_string();
    if let Some(flaw) = flaws.first().filter(|_| !args.partial) {
        let reason = "--partial goes on, and calls nothing untracked";
        let message = format!("{shown}: compare with the list: {flaw} ({reason})");
        return Err(Fatal::new(Exit::Refused, message).into());
    }
    for flaw in &flaws {
        let reason = format!("{flaw}; going on, and nothing is called untracked");
        out.warn(&shown, "compare with the list", &reason);
    }
    job.links = list_links(&out, args, &library.root, known.as_ref())?;
    let scanned = scan::scan(&job)?;
    if let Some(trouble) = cache.as_ref().and_then(|cache| {
        cache.flush();
        cache.trouble()
    }) {
        out.warn("the hash cache", "use", &trouble);
    }
    let (hashed, cached) = (scanned.counts.hashed, scanned.counts.cached);
    let done = format!("{hashed} hashed, {cached} digests from the cache");
    out.verbose(&shown, "hash untracked e-books", &done);
    let ended = outcome::Ended {
        job: &job,
        scanned,
        flaws,
        database: &database,
        list: &list,
        reports: &args.report,
    };
    let summary = ended.tell()?;
    drop(job);
    Ok(out.finish(summary)?)
}

fn open_cache(out: &Writer, args: &Args) -> Result<Option<Cache>, Fatal> {
    let still = Duration::from_secs(args.cache_still);
    let open = |path: &Path| Cache::open(path, still);
    Ok(match args.cache.as_deref().map(open) {
        None => None,
        Some(Ok(cache)) => Some(cache),
        Some(Err(wrong @ OpenError::Wrong { .. })) => return Err(Fatal::new(Exit::Usage, wrong)),
        Some(Err(OpenError::Unusable { path, why })) => {
            let reason = format!("{why}; going on without it");
            out.warn(&path.to_string_lossy(), "open the hash cache", &reason);
            None
        }
    })
}

fn read_list(
    args: &Args,
    library: &Library,
    known: Option<&KnownSet>,
) -> Result<(List, Database, Needed), Fatal> {
    let snapshot = Snapshot::take(&library.database, &snapshot::Options::default())
        .map_err(|error| Fatal::new(error.exit(), error))?;
    let database = Database::of(&snapshot, &library.database)?;
    let file = args.tracked.as_deref().unwrap_or(Path::new("-"));
    let known = known.map(|known| &known.set);
    let list = list::read(file, &library.root, &snapshot.readers[0], known)?;
    let needed = Needed::read(&snapshot.readers[0], &library.root).map_err(|error| {
        let error = calibre_list::Error::sqlite(&library.database, error);
        Fatal::new(error.exit(), error)
    })?;
    let needed = needed.with_list(&list.tracked);
    Ok((list, database, needed))
}

/// Is any tracked file here? One that is there by its very name is found at once; else the whole
/// library is looked through.
fn any_match(job: &mut Job<'_>) -> Result<bool> {
    use std::os::unix::ffi::OsStrExt;
    let there = |row: orphan_scan::tracked::Row<'_>| {
        let below = row.path();
        let path = job.root.join(std::ffi::OsStr::from_bytes(&below));
        path.symlink_metadata().is_ok_and(|about| !about.is_dir())
    };
    if job.tracked.all().any(there) {
        return Ok(true);
    }
    job.silent = true;
    scan::scan(job)?;
    job.silent = false;
    let any = job.tracked.found() > 0;
    job.tracked.forget();
    Ok(any)
}

/// Lists the links of the store. That they cannot be listed, or not be believed, is a failed item:
/// what depends on them is unknown.
fn list_links(
    out: &Writer,
    args: &Args,
    library: &Path,
    known: Option<&KnownSet>,
) -> Result<Option<Result<Links, &'static str>>> {
    let Some(data) = &args.store else {
        return Ok(None);
    };
    let books = store::books_of(data);
    let shown = books.display().to_string();
    let map = PathMap::new(args.path_map.clone());
    let warn = |reason: &str| out.warn(&shown, "list the links", reason);
    let seen = |count| {
        out.progress().step(Unit::Discovery);
        out.progress()
            .set_status(None, format!("{count} entries of the store"));
    };
    let names: Vec<_> = [Some(library.into()), library.canonicalize().ok()]
        .into_iter()
        .flatten()
        .collect();
    let listed = store::patiently(warn, || {
        let opened = Store::open(data, map.clone(), names.clone());
        let store = opened.map_err(|error| format!("{shown}: {error}"))?;
        let mut links = store.links_once(&seen)?;
        // A disk that is not mounted may be in a moment.
        links.anywhere.take().map_or(Ok(links), Err)
    });
    let failed = match listed {
        Ok(links) => match preconditions::doubts(&links, &books, known) {
            None => {
                let (count, others) = (links.count, links.entries - links.count);
                let found = format!("{count} links, {others} files");
                out.verbose(&shown, "list the links", &found);
                return Ok(Some(Ok(links)));
            }
            Some(doubt) => doubt,
        },
        Err(reason) => reason,
    };
    if !stop::requested() {
        let item_error = ItemError {
            op: "list the links",
            message: &failed,
            retry: true,
        };
        out.fail_new(None, &shown, item_error, |line| {
            line.path(&books);
        })?;
    }
    Ok(Some(Err("the links of the server's store are not known")))
}
