//! What each of the tool's tasks needs, made ready and checked before anything is changed.

mod ebooks;
mod findings;
mod journals;
mod purging;
mod removing;

use std::path::PathBuf;

use calibre_list::Library;
use mbs_hashes::Settings;
use orphan_scan::store::{Others, Store};
use wire::{Exit, Fatal, OrFatal, Writer, progress::Unit};

use crate::{
    args::Args,
    calibre::{self, Calibre, Patience},
    place::Tree,
    prover::Prover,
    server::Server,
    tracked::Tracked,
    trash,
};
pub(crate) use ebooks::server_ebooks;
pub(crate) use journals::{folder_of, library_of, quarantine, tell_unread};
pub(crate) use purging::purge;
pub(crate) use removing::remove;

fn refuse(why: impl std::fmt::Display) -> Fatal {
    Fatal::new(Exit::Refused, why)
}

fn needed(what: &str) -> Fatal {
    Fatal::new(Exit::Usage, format_args!("{what} is needed; see --help"))
}

/// What is asked about files, made ready; and the settings must live as long.
fn prover<'a>(
    args: &Args,
    settings: &'a Settings,
    acts: bool,
    library: Library,
    quarantine: Option<PathBuf>,
    out: &Writer,
) -> anyhow::Result<Prover<'a>> {
    let data = args.store.as_deref().ok_or_else(|| needed("--store DIR"))?;
    let tree = Tree::open(&library.root).or_fatal(
        Exit::Usage,
        format_args!("{}: open", library.root.display()),
    )?;
    let names = vec![tree.path.clone(), tree.real.clone()];
    let store = Store::open(data, args.map(), names).or_fatal(
        Exit::Usage,
        format_args!("--store {}: open its folder books", data.display()),
    )?;
    let shown = settings.to_string();
    let server = Server::connect(settings, args.db_timeout, |why| {
        out.warn(&shown, "connect", why)
    })
    .map_err(|failure| failure.fatal(&shown, "connect"))?;
    let first = Tracked::read(&library, &[]).map_err(|error| Fatal::new(error.exit(), error))?;
    let aside = args.trash.clone().into_iter();
    let aside = aside
        .chain(trash::beside(&tree).ok())
        .chain(quarantine)
        .collect();
    let others = Others::of(&tree.real, aside).or_fatal(
        Exit::Usage,
        format_args!("{}: look at it", tree.real.display()),
    )?;
    let mut prover = Prover::new(tree, library, (store, others), server, acts);
    prover.uuid = first.library;
    Ok(prover)
}

/// Lists the store's links before anything is proven.
fn list_links(prover: &mut Prover<'_>, out: &Writer) {
    let listed = prover.list_links(|| out.progress().step(Unit::Discovery));
    match listed {
        Ok(count) => {
            out.verbose("store", "list links", &format!("{count} links"));
            if let Some(why) = &prover.hidden {
                out.warn("store", "list links", why);
            }
        }
        // Every file will be kept, and say so.
        Err(why) => out.warn("store", "list links", &why),
    }
}

/// Refuses while Calibre has the library open, or waits.
fn calibre_is_away(
    args: &Args,
    prover: &Prover<'_>,
    acts: bool,
    out: &Writer,
) -> Result<(), Fatal> {
    let patience = match acts && args.wait_for_calibre {
        true => Patience::Wait,
        false => Patience::None,
    };
    let shown = prover.library.root.display().to_string();
    let found = calibre::away(&prover.library, patience, |who| {
        out.warn(&shown, "wait", &format!("it is open in Calibre: {who}"));
    });
    match found {
        Calibre::Away => Ok(()),
        Calibre::Here(who) if acts => Err(refuse(format_args!(
            "{shown}: remove: it is open in Calibre: {who}; close it, or give --wait-for-calibre"
        ))),
        Calibre::Here(who) => {
            out.warn(
                &shown,
                "remove",
                &format!("--apply would be refused, for it is open in Calibre: {who}"),
            );
            Ok(())
        }
    }
}

/// The end of a run in which files were kept because the database went away: others may succeed later.
fn gave_up(down: Option<&str>) -> Result<(), Fatal> {
    match down {
        Some(why) if !wire::stop::requested() => Err(Fatal::new(
            Exit::GaveUp,
            format_args!("database: ask: {why}"),
        )),
        _ => Ok(()),
    }
}
