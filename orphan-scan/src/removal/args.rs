//! The options that several programs share.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{
    Args,
    builder::{OsStringValueParser, TypedValueParser},
};
use mbs_hashes::Database;
use wire::{
    path_map::{Mapping, PathMap},
    value,
};

use crate::report::Form;

/// The server whose copies are the proof.
#[derive(Clone, Debug, Args)]
pub struct ServerArgs {
    /// Its database.
    #[command(flatten)]
    pub database: Database,
    /// How long the database may take to answer
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = value::positive_duration,
          help_heading = "Database")]
    pub db_timeout: Duration,
    /// The server's data folder, which holds books, uploads and thumbs
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// The server's name for a folder of this machine, like /home/me/Books=/calibre; repeatable, the
    /// innermost folder counts
    #[arg(long, value_name = "HOST=SERVER",
          value_parser = OsStringValueParser::new().try_map(Mapping::parse))]
    pub path_map: Vec<Mapping>,
}

impl ServerArgs {
    /// The folders that the server sees under other names.
    pub fn map(&self) -> PathMap {
        PathMap::new(self.path_map.clone())
    }
}

/// A journal and where its library and its files are now. The environment names no library here: a journal
/// belongs to one.
#[derive(Clone, Debug, Args)]
pub struct JournalArgs {
    /// The journal of the removals
    #[arg(required_unless_present = "schema")]
    pub journal: Option<PathBuf>,
    /// The library's folder, if it was moved since
    #[arg(long, value_name = "DIR")]
    pub library: Option<PathBuf>,
    /// The library's database, if it is not in the folder and was moved since
    #[arg(long, value_name = "FILE")]
    pub metadata_db: Option<PathBuf>,
    /// The run's folder in the quarantine, if it was moved since
    #[arg(long, value_name = "DIR")]
    pub trash: Option<PathBuf>,
}

/// A person's consent.
#[derive(Clone, Debug, Args)]
pub struct ConfirmArgs {
    /// Ask for confirmation from this many on
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub confirm_threshold: u64,
    /// The confirmation, with the exact number
    #[arg(long, value_name = "'DELETE N'")]
    pub confirm: Option<String>,
}

/// The reports of a run.
#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// Write a report for people: FILE.txt, FILE.html or FILE.json; repeatable
    #[arg(long, value_name = "FILE",
          value_parser = OsStringValueParser::new().try_map(report))]
    pub report: Vec<PathBuf>,
}

fn report(file: OsString) -> Result<PathBuf, String> {
    let file = PathBuf::from(file);
    Form::of(&file).map(|_| file)
}
