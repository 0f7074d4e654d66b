//! The command line of orphan-scan.

use std::{ffi::OsString, path::PathBuf};

use clap::{
    Parser,
    builder::{OsStringValueParser, TypedValueParser},
};
use hash_files::cache::STILL;
use orphan_scan::report::Form;
use wire::{Exit, Fatal, Output, path_map::Mapping, value::Shard};

/// Tell what every file in a Calibre library is
///
/// Walks the library's folder and writes one finding for each entry that is no folder, in exactly one
/// class, and one for each tracked file that is not there. What is tracked comes from calibre-list,
/// possibly through hash-files; what the server has from mbs-hashes; what its links lead to from its
/// store. Nothing is changed or removed, and what is not known is called unknown.
#[derive(Clone, Debug, Parser)]
#[command(version, after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Folder of the Calibre library [env: CALIBRE_LIBRARY]
    pub(crate) library: Option<PathBuf>,

    /// The tracked files: what calibre-list wrote, or hash-files or mbs-upload made of it; - is standard
    /// input
    #[arg(long, value_name = "FILE", required_unless_present = "schema")]
    pub(crate) tracked: Option<PathBuf>,

    /// What the server has, from mbs-hashes; may be given more than once
    #[arg(long, value_name = "FILE")]
    pub(crate) known: Vec<PathBuf>,

    /// The server's data folder, or its folder of books, on this machine: its links are listed
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,

    /// What a folder is called where the server runs; may be given more than once
    #[arg(long, value_name = "HOST=SERVER",
          value_parser = OsStringValueParser::new().try_map(Mapping::parse))]
    pub(crate) path_map: Vec<Mapping>,

    /// The library's database, where it is not in its folder [env: CALIBRE_OVERRIDE_DATABASE_PATH]
    #[arg(long, value_name = "FILE")]
    pub(crate) metadata_db: Option<PathBuf>,

    /// Keep digests of untracked e-books in this file; hash-files may share it
    #[arg(long, value_name = "FILE")]
    pub(crate) cache: Option<PathBuf>,

    /// Keep no digest of a file that was changed less than SECONDS before, for tests
    #[arg(long, value_name = "SECONDS", default_value_t = STILL.as_secs(), hide = true)]
    pub(crate) cache_still: u64,

    /// Only the K-th of N parts, by the folders at the top
    #[arg(long, value_name = "K/N")]
    pub(crate) shard: Option<Shard>,

    /// Go on although the lists are not whole, or not of this library as it is now; nothing is called
    /// untracked then
    #[arg(long)]
    pub(crate) partial: bool,

    /// Write a report for people: FILE.txt, FILE.html, or FILE.json; may be given more than once
    #[arg(long, value_name = "FILE",
          value_parser = OsStringValueParser::new().try_map(report))]
    pub(crate) report: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) output: Output,
}

const AFTER_HELP: &str = "\
Classes, the first that fits:
  tracked              Calibre has it on record, and --known was not given
  in_use               a link of the server's store leads here
  duplicate_of_server  on record; the server has the bytes, and no link leads here
  not_uploaded         on record; the server has not the bytes
  unknown              an answer that the class depends on could not be had
  internal, foreign    Calibre's own; another program's, a link, another library or file system
  extra_data           in the data folder of a book
  case_mismatch        its name is a tracked one but for case
  heal_candidate       a tracked file is missing, and this may be it
  unreadable           it cannot be looked at or read
  untracked            nobody has it on record
  untracked_on_server  nobody has it on record, and the server has the bytes
  missing              a tracked file that is not there

Examples:
  calibre-list ~/Books | orphan-scan --tracked - ~/Books
  calibre-list ~/Books | hash-files --cache c.db >tracked.ndjson; mbs-hashes >known.ndjson
  orphan-scan --tracked tracked.ndjson --known known.ndjson --store /srv/mbs --cache c.db \\
    --path-map ~/Books=/calibre_library --report scan.html ~/Books >findings.ndjson

Exit codes:
  0    done
  1    done, but something could not be read, or the ledger does not balance
  2    usage, or no Calibre library; nothing was done
  3    refused: a list is cut short, selected, of another library or older than its database, or
       matches nothing; the folder is empty. --partial goes on. Also where the folder has a
       metadata.db and another one is named
  255  gave up: the database is locked or out of reach, the disk is full";

fn report(file: OsString) -> Result<PathBuf, String> {
    let file = PathBuf::from(file);
    Form::of(&file).map(|_| file)
}

impl Args {
    /// The folder and the database of the library that is meant.
    ///
    /// # Errors
    /// None is given.
    pub(crate) fn places(&self) -> Result<(PathBuf, Option<PathBuf>), Fatal> {
        let variable = |name| {
            let value = std::env::var_os(name);
            value.filter(|value| !value.is_empty()).map(PathBuf::from)
        };
        let given = self.library.clone().or_else(|| variable("CALIBRE_LIBRARY"));
        let library = given.ok_or_else(|| {
            Fatal::new(
                Exit::Usage,
                "LIBRARY: open: give a library or CALIBRE_LIBRARY",
            )
        })?;
        let database = self.metadata_db.clone();
        Ok((
            library,
            database.or_else(|| variable("CALIBRE_OVERRIDE_DATABASE_PATH")),
        ))
    }
}
