//! The options that several programs share.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{
    Args,
    builder::{OsStringValueParser, TypedValueParser},
};
use mbs_hashes::{Database, patience::duration};
use wire::path_map::{Mapping, PathMap};

use crate::report::Form;

/// The server whose copies are the proof.
#[derive(Clone, Debug, Args)]
pub struct ServerArgs {
    /// Its database.
    #[command(flatten)]
    pub database: Database,
    /// How long the database may take to answer
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration,
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

/// Reads `14d`, `36h`, `0`; days are of 24 hours.
///
/// # Errors
/// It is no age.
pub fn age(text: &str) -> Result<Duration, String> {
    if text == "0" || text == "0s" {
        return Ok(Duration::ZERO);
    }
    let days = text
        .strip_suffix('d')
        .and_then(|days| days.parse::<u32>().ok());
    match days {
        Some(days) => Ok(Duration::from_secs(u64::from(days) * 86_400)),
        None => duration(text).map_err(|_| "write an age as 14d, 36h or 90m".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read() {
        assert_eq!(age("14d"), Ok(Duration::from_secs(14 * 86_400)));
        assert_eq!(age("36h"), Ok(Duration::from_secs(36 * 3600)));
        assert_eq!(age("0"), Ok(Duration::ZERO));
        assert!(age("-1d").is_err() && age("soon").is_err());
    }
}
