//! What a program needs, made ready and checked before anything is changed.

mod journals;

use std::path::PathBuf;

use calibre_list::Library;
use mbs_hashes::Settings;
use wire::{Exit, Fatal, OrFatal, Writer, progress::Unit};

use super::{
    args::ServerArgs,
    calibre::{self, Calibre},
    proof::Prover,
    quarantine,
    records::Records,
    server::Server,
    tree::Tree,
};
use crate::store::{Others, Store};
pub use journals::{Opened, open, open_quarantine};

/// Refused for safety (3).
pub fn refuse(why: impl std::fmt::Display) -> Fatal {
    Fatal::new(Exit::Refused, why)
}

/// An option that is needed was not given (2).
pub fn needed(what: &str) -> Fatal {
    Fatal::new(Exit::Usage, format_args!("{what} is needed; see --help"))
}

/// Makes ready what is asked about files. `aside` are folders of files that were put aside from the library.
///
/// # Errors
/// The library, the store or the database cannot be opened.
pub fn prover<'a>(
    args: &ServerArgs,
    settings: &'a Settings,
    acts: bool,
    library: Library,
    aside: Option<PathBuf>,
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
    let first = Records::read(&library, &[]).map_err(|error| Fatal::new(error.exit(), error))?;
    let aside = aside.into_iter().chain(quarantine::beside(&tree).ok());
    let others = Others::of(&tree.real, aside.collect()).or_fatal(
        Exit::Usage,
        format_args!("{}: look at it", tree.real.display()),
    )?;
    let mut prover = Prover::new(tree, library, (store, others), server, acts);
    prover.uuid = first.library;
    Ok(prover)
}

/// Lists the store's links before anything is proven.
pub fn list_links(prover: &mut Prover<'_>, out: &Writer) {
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

/// Refuses while Calibre has the library open, or waits until it is closed.
///
/// # Errors
/// It is open (3).
pub fn calibre_is_away(
    wait: bool,
    prover: &Prover<'_>,
    acts: bool,
    out: &Writer,
) -> Result<(), Fatal> {
    let shown = prover.library.root.display().to_string();
    let found = calibre::away(&prover.library, acts && wait, |who| {
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
///
/// # Errors
/// It went away (255).
pub fn gave_up(down: Option<&str>) -> Result<(), Fatal> {
    match down {
        Some(why) if !wire::stop::requested() => Err(Fatal::new(
            Exit::GaveUp,
            format_args!("database: ask: {why}"),
        )),
        _ => Ok(()),
    }
}
