//! The command line.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::{
    Parser,
    builder::{OsStringValueParser, TypedValueParser},
};
use hash_files::cache::STILL;
use wire::{Exit, Fatal, value};

use crate::{
    pool::Settings,
    source::{Source, Walk},
};

/// SHA-1 of many files on all cores, as newline-delimited JSON
///
/// Hashes the files named as arguments, or those of the records on standard input: any record with a
/// path is answered by one file_hash that keeps the record's other fields; records without a path
/// pass through as they are. A file that changes while it is read, is missing, or is no regular file
/// becomes an error record, and the run goes on.
///
/// Symbolic links given by name are followed; those met in a folder (-r) are skipped, and so is all
/// else in it that is neither file nor folder.
#[derive(Parser)]
#[command(version, after_help = AFTER)]
pub(crate) struct Args {
    /// Files to hash; without any, records are read from standard input
    // An empty one fails by itself, like any name without a file; clap would end the whole run.
    #[arg(value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub paths: Vec<PathBuf>,

    /// Hash all files in the folders given, and in the folders in them
    #[arg(short, long)]
    pub recursive: bool,

    /// Read names from standard input, each ended by a NUL, as `find -print0` writes them
    #[arg(short = '0', long = "null", conflicts_with = "paths")]
    pub null: bool,

    /// In folders (-r) hash only files with these extensions, in either case; files named as
    /// arguments are hashed in any case
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        requires = "recursive"
    )]
    pub ext: Vec<String>,

    /// The files are plain tar archives: hash the regular files in them, without unpacking
    ///
    /// Each member has a record with the archive's path, its own name there, and where its bytes begin;
    /// mbs-upload sends it from that place. Two members of one name have a record each. Folders have
    /// none. What is no regular file (links, devices, sparse files), or has a name that leads out of
    /// its folder, is an error record. Of an archive that is damaged or was cut short all is given that
    /// is whole, with an error record for the rest; but zeros within its last 10 KiB look like padding. Archives that were joined are read on, with an error
    /// record for each seam: a lost sector looks the same.
    #[arg(long, conflicts_with = "cache")]
    pub tar: bool,

    /// Number of files to hash at once [default: one for each core]
    #[arg(short = 'j', long, value_name = "N", value_parser = value::count)]
    pub jobs: Option<NonZeroUsize>,

    /// Number of files to read at once from each device [default: 1 from a rotating disk, else 16]
    #[arg(long, value_name = "N", value_parser = value::count)]
    pub io_threads: Option<NonZeroUsize>,

    /// Keep digests in this file, and hash only what has changed since; several runs may share it. Files
    /// changed in the last minute are not kept: a program may have mapped them and still change them
    #[arg(long, value_name = "FILE")]
    pub cache: Option<PathBuf>,

    /// Keep no digest of a file that was changed in the last SECONDS, for tests
    #[arg(long, value_name = "SECONDS", default_value_t = STILL.as_secs(), hide = true)]
    pub cache_still: u64,

    /// Write results in the order of the input, folders sorted by name
    #[arg(long)]
    pub ordered: bool,

    #[command(flatten)]
    pub output: wire::Output,
}

const AFTER: &str = "\
Examples:
  calibre-list ~/Books | hash-files > hashed.ndjson
  hash-files -r --ext epub,pdf --cache ~/.cache/hashes.db ~/Books
  hash-files --tar /srv/books-*.tar | mbs-upload
  find ~/Books -newer stamp -type f -print0 | hash-files -0

Exit codes:
  0    done
  1    done, but some items failed, here or in an earlier step; each has an error record
  2    wrong usage, or the cache is not one; nothing was done
  255  standard input or output failed";

impl Args {
    pub(crate) fn pool(&self) -> Settings {
        Settings {
            jobs: self.jobs,
            io_threads: self.io_threads,
            ordered: self.ordered,
            tar: self.tar,
        }
    }

    /// Where the files come from.
    ///
    /// # Errors
    /// The flags contradict each other.
    pub(crate) fn source(self) -> Result<Source, Fatal> {
        let one_each = !self.recursive && !self.tar;
        let walk = self.recursive.then(|| Walk::new(&self.ext, self.ordered));
        match (self.paths.is_empty(), self.null) {
            (false, _) => Ok(Source::Arguments(self.paths, walk, one_each)),
            (true, true) => Ok(Source::Names(walk)),
            (true, false) if self.recursive => Err(Fatal::new(
                Exit::Usage,
                "-r: needs a PATH to walk, or -0 and names on standard input",
            )),
            (true, false) => Ok(Source::Records),
        }
    }
}
