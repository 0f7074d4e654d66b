//! What the flags mean.

use std::fs;

use wire::{Exit, Fatal, value::url};

use crate::{
    api::{login::Login, rest::Rest},
    args::Args,
    input::links::Links,
    path_map::PathMap,
    rate::jobs::{Jobs, JobsArg},
    retry::{attempt::Policy, shutdown::Shutdown, timeout::Limits},
    run::{Mode, session::Target},
};

impl Args {
    /// The server, and how it is to be dealt with.
    pub fn target(&self, shutdown: &Shutdown) -> Result<Target, Fatal> {
        let (base, ws) = self.addresses()?;
        let (user, password) = self.credentials()?;
        let limits = self.limits();
        let login = Login::new(&user, &password);
        Ok(Target {
            rest: Rest::new(&base, login, limits, shutdown),
            ws,
            user,
            limits,
            policy: self.policy(),
            outage: self.outage,
            shutdown: shutdown.clone(),
            links: self.links()?,
            database: self.database()?,
            store: self.store.clone(),
            default_language: self.default_language.clone(),
            max_size: self.max_size,
            dry_run: self.dry_run,
        })
    }

    /// How the run is to go.
    pub fn mode(&self) -> Result<Mode, Fatal> {
        Ok(Mode {
            jobs: self.jobs()?.most(),
            separate: self.separate,
            dry_run: self.dry_run,
            max_size: self.max_size,
        })
    }

    /// How links are to be made, if they are.
    ///
    /// # Errors
    /// The store is none.
    fn links(&self) -> Result<Option<Links>, Fatal> {
        if let Some(store) = self
            .store
            .as_ref()
            .filter(|store| !store.join("books").is_dir())
        {
            let why = "no books in it; it is to be the server's data folder";
            return Err(Fatal::new(
                Exit::Usage,
                format!("--store {}: {why}", store.display()),
            ));
        }
        let map = || PathMap::new(self.path_map.clone());
        Ok(self.symlink.then(|| Links::new(map(), self.store.clone())))
    }

    /// The database that keeps several uploaders apart, where one is named for that: the account's own
    /// settings for PostgreSQL may be meant for something else.
    fn database(&self) -> Result<Option<mbs_hashes::Settings>, Fatal> {
        let named = self.database.db.is_some()
            || std::env::var_os("MBS_DB").is_some_and(|value| !value.is_empty());
        named.then(|| self.database.settings()).transpose()
    }

    /// How long a file may take.
    fn limits(&self) -> Limits {
        Limits {
            stall: self.stall,
            max_time: self.max_time,
        }
    }

    /// When what failed is tried again.
    fn policy(&self) -> Policy {
        Policy {
            retries: self.retries,
            wait: self.retry_wait,
            longest: self.outage,
        }
    }

    /// User and password.
    ///
    /// # Errors
    /// One of them is missing, or the file cannot be read.
    fn credentials(&self) -> Result<(String, String), Fatal> {
        let usage = |message: &str| Fatal::new(Exit::Usage, message);
        let user = self
            .user
            .clone()
            .ok_or_else(|| usage("--user: not given, nor is MBS_USER"))?;
        let password = match &self.password_file {
            Some(file) => fs::read_to_string(file).map_err(|error| {
                usage(&format!("{}: read the password: {error}", file.display()))
            })?,
            None => std::env::var("MBS_PASSWORD").map_err(|_| {
                usage("--password-file: not given, nor is MBS_PASSWORD_FILE or MBS_PASSWORD")
            })?,
        };
        let password = password.trim_end_matches(['\r', '\n']).to_string();
        match password.is_empty() {
            true => Err(usage("--password-file: the password is empty")),
            false => Ok((user, password)),
        }
    }

    /// How many files are to be in flight.
    ///
    /// # Errors
    /// The bounds are the wrong way round.
    pub fn jobs(&self) -> Result<Jobs, Fatal> {
        match self.jobs {
            JobsArg::Number(jobs) => Ok(Jobs::Fixed(jobs)),
            JobsArg::Auto if self.min <= self.max => Ok(Jobs::Between(self.min, self.max)),
            JobsArg::Auto => Err(Fatal::new(
                Exit::Usage,
                format!("--min {}: more than --max {}", self.min, self.max),
            )),
        }
    }

    /// The two addresses, the API's without a slash at its end.
    ///
    /// # Errors
    /// They are none, or there is a password in them.
    fn addresses(&self) -> Result<(String, String), Fatal> {
        let api = url("--api", &self.api, ["http", "https"])?;
        let ws = url("--ws", &self.ws, ["ws", "wss"])?;
        Ok((api.trim_end_matches('/').into(), ws.into()))
    }
}
