//! The command line of mbs-stats.

use std::{path::PathBuf, time::Duration};

use clap::Parser;
use mbs_hashes::{Database, Settings, session::Terms};
use wire::{
    Exit, Fatal, Output,
    value::{self, Secret},
};

use crate::api::Api;

/// Count what a MyBookshelf2 server has
///
/// Writes one mbs_stats record: how many ebooks, sources (stored files) and ebooks without a source there
/// are. Asks the database; where that gives no count at all, the server's API, which tells only the
/// ebooks. A count that cannot be had is left out, never 0, and makes the exit code 1.
#[derive(Clone, Debug, Parser)]
#[command(version, after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    database: Database,
    /// Time limit for connecting, and for each count
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = value::positive_duration)]
    db_timeout: Duration,
    /// Address of the server's API
    #[arg(
        long,
        value_name = "URL",
        env = "MBS_API",
        hide_env_values = true,
        help_heading = "API"
    )]
    api: Option<String>,
    /// User name to log in with
    #[arg(
        long,
        value_name = "NAME",
        env = "MBS_USER",
        hide_env_values = true,
        help_heading = "API"
    )]
    user: Option<String>,
    /// File that holds the password; or set MBS_PASSWORD
    #[arg(
        long,
        value_name = "FILE",
        env = "MBS_PASSWORD_FILE",
        hide_env_values = true,
        help_heading = "API"
    )]
    password_file: Option<PathBuf>,
    /// Time limit for the API, both requests together
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = value::positive_duration, help_heading = "API")]
    api_timeout: Duration,
    #[command(flatten)]
    pub(crate) output: Output,
}

const AFTER_HELP: &str = r#"Examples:
  mbs-stats --db postgresql://ebooks@db.example.org/ebooks
  mbs-stats --api http://localhost:6006 --user admin --password-file ~/.mbs-password
  mbs-stats | jq '.ebooks_without_source // "not known"'

Where neither --db nor MBS_DB nor libpq's PGHOST, PGPORT, PGDATABASE or PGUSER names a database, and an
API is given, only the API is asked. How to connect is in mbs-hashes --help. The API is asked directly:
http_proxy and its kin are not heeded; for https SSL_CERT_FILE and SSL_CERT_DIR name what is trusted
in place of what the system trusts.

Exit codes: 0 all three counts; 1 some could not be had; 2 usage; 255 neither database nor API answers."#;

/// Who can be asked.
pub(crate) struct Sources {
    pub(crate) database: Option<(Settings, Terms)>,
    pub(crate) api: Option<Api>,
}

impl Args {
    /// The command line as settings.
    ///
    /// # Errors
    /// A [`Fatal`] with [`Exit::Usage`].
    pub(crate) fn sources(&self) -> Result<Sources, Fatal> {
        let terms = Terms {
            tool: "mbs-stats",
            // A little longer than the server itself is told, so that it can say why.
            patience: self.db_timeout + Duration::from_millis(500),
            statement: Some(self.db_timeout),
            heeds_stop: true,
        };
        let database = if self.database.is_named() || self.api.is_none() {
            Some((self.database.settings()?, terms))
        } else {
            None
        };
        Ok(Sources {
            database,
            api: self.api()?,
        })
    }

    fn api(&self) -> Result<Option<Api>, Fatal> {
        let Some(url) = &self.api else {
            return Ok(None);
        };
        let url = value::url("--api", url, ["http", "https"])?;
        let Some(user) = self.user.clone() else {
            return Err(Fatal::new(
                Exit::Usage,
                "--api: log in: no --user or MBS_USER",
            ));
        };
        Ok(Some(Api {
            url: url.trim_end_matches('/').into(),
            user,
            password: Secret::password(self.password_file.as_deref(), "MBS_PASSWORD")?,
            timeout: self.api_timeout,
        }))
    }
}
