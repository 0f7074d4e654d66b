//! Where the database is and as whom to enter it: `--db`, else `MBS_DB`, and for what that leaves
//! open libpq's own environment, password file and defaults. No configuration file of ours.

mod endpoint;

use std::{
    env, fmt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

pub use endpoint::Endpoint;
use wire::{Exit, Fatal};

use crate::{
    conninfo::{self, Params},
    passfile,
    tls::{Mode, Roots},
};

/// The environment's names for settings, as libpq has them.
const ENVIRONMENT: [(&str, &str); 13] = [
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("port", "PGPORT"),
    ("dbname", "PGDATABASE"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("passfile", "PGPASSFILE"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("application_name", "PGAPPNAME"),
    ("options", "PGOPTIONS"),
    ("service", "PGSERVICE"),
];

/// Settings that would change who is trusted or where we go; leaving them aside in silence would
/// be worse than refusing.
const UNSUPPORTED: [&str; 9] = [
    "service",
    "sslcert",
    "sslkey",
    "sslpassword",
    "sslcrl",
    "sslcrldir",
    "requirepeer",
    "require_auth",
    "sslnegotiation",
];

/// The flag of every tool that asks the database.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Database")]
pub struct Database {
    /// Database, as postgresql://USER@HOST:PORT/NAME?sslmode=verify-full or "host=… dbname=…", without a
    /// password [env: MBS_DB; else libpq's PGHOST, PGDATABASE, PGUSER, PGPASSWORD, ~/.pgpass …]
    #[arg(long, value_name = "URL")]
    pub db: Option<String>,
}

impl Database {
    /// Does anything name a database? Without that it is the account's own on this machine.
    pub fn is_named(&self) -> bool {
        let variables = [
            "MBS_DB",
            "PGHOST",
            "PGHOSTADDR",
            "PGPORT",
            "PGDATABASE",
            "PGUSER",
        ];
        self.db.is_some() || variables.iter().any(|name| env::var_os(name).is_some())
    }

    /// What the flag, the environment and the password file say together.
    ///
    /// # Errors
    /// A [`Fatal`] with [`Exit::Usage`] and one line that says which of them makes no sense.
    pub fn settings(&self) -> Result<Settings, Fatal> {
        Settings::resolve(self.db.as_deref(), |name| {
            env::var(name).ok().filter(|value| !value.is_empty())
        })
    }
}

/// A password; nothing prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// All that is needed to connect.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to go, tried in this order.
    pub endpoints: Vec<Endpoint>,
    /// Role.
    pub user: String,
    /// Database.
    pub dbname: String,
    /// Encryption and what is checked.
    pub mode: Mode,
    /// Who is trusted to vouch for the server.
    pub roots: Roots,
    /// How long one attempt may take.
    pub connect_timeout: Option<Duration>,
    /// What the server's lists of sessions show; the tool's name unless set.
    pub application_name: Option<String>,
    /// Settings for the session, as PGOPTIONS writes them.
    pub options: Option<String>,
    password: Option<Secret>,
    passwords: Vec<u8>,
    /// What is odd about the password file, for a warning.
    pub oddity: Option<String>,
}

impl Settings {
    /// Puts the settings together. `flag` is the value of `--db`; `env` looks up a variable.
    ///
    /// # Errors
    /// As [`Database::settings`].
    pub fn resolve(
        flag: Option<&str>,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Settings, Fatal> {
        let usage = |reason: &dyn fmt::Display| Fatal::new(Exit::Usage, reason);
        let (source, text) = match flag {
            Some(text) => ("--db", Some(text.to_string())),
            None => ("MBS_DB", env("MBS_DB")),
        };
        let mut params = match &text {
            Some(text) => conninfo::parse(text)
                .map_err(|reason| usage(&format_args!("{source}: read: {reason}")))?,
            None => Params::new(),
        };
        if flag.is_some() && params.contains_key("password") {
            return Err(usage(
                &"--db: password: everybody can read a command line: put it into ~/.pgpass, PGPASSWORD or MBS_DB",
            ));
        }
        for (key, name) in ENVIRONMENT {
            if let Some(value) = env(name) {
                params.entry(key.into()).or_insert(value);
            }
        }
        Settings::of(&params).map_err(|reason| usage(&format_args!("database: settings: {reason}")))
    }

    fn of(params: &Params) -> Result<Settings, String> {
        let get = |key: &str| params.get(key).map(String::as_str);
        if let Some(key) = UNSUPPORTED.iter().find(|key| params.contains_key(**key)) {
            return Err(format!("{key} is not supported"));
        }
        let user = match get("user") {
            Some(user) => user.to_string(),
            None => account()?,
        };
        let seconds = match get("connect_timeout") {
            Some(text) => text
                .parse::<i64>()
                .map_err(|_| "connect_timeout is not a number of seconds")?,
            None => 0,
        };
        let (passwords, oddity) = match get("password") {
            Some(_) => (Vec::new(), None),
            None => match passfile::read(&home_or(get("passfile"), ".pgpass")) {
                Ok(content) => (content, None),
                Err(reason) => (Vec::new(), Some(reason)),
            },
        };
        let mode: Mode = get("sslmode").unwrap_or("prefer").parse()?;
        let roots = match get("sslrootcert") {
            Some("system") => Roots::System,
            Some(file) => Roots::File(file.into()),
            None => match home_or(None, ".postgresql/root.crt") {
                file if file.exists() => Roots::File(file),
                _ => Roots::System,
            },
        };
        Ok(Settings {
            endpoints: endpoint::all(get("host"), get("hostaddr"), get("port"))?,
            dbname: get("dbname").unwrap_or(&user).to_string(),
            user,
            mode: mode.with(get("sslrootcert").is_some()),
            roots,
            connect_timeout: u64::try_from(seconds)
                .ok()
                .filter(|&seconds| seconds > 0)
                .map(Duration::from_secs),
            application_name: get("application_name").map(Into::into),
            options: get("options").map(Into::into),
            password: get("password").map(|text| Secret(text.into())),
            passwords,
            oddity,
        })
    }

    /// The password for this server, from the settings or else the password file.
    pub fn password(&self, endpoint: &Endpoint) -> Option<Secret> {
        let target = passfile::Target {
            host: &endpoint.host,
            port: endpoint.port,
            database: &self.dbname,
            user: &self.user,
        };
        let listed = || passfile::find(&self.passwords, target).map(Secret);
        self.password.clone().or_else(listed)
    }
}

impl fmt::Display for Settings {
    /// The database as messages name it: `HOST:PORT/NAME`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, endpoint) in self.endpoints.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            write!(f, "{comma}{}:{}", endpoint.host, endpoint.port)?;
        }
        write!(f, "/{}", self.dbname)
    }
}

/// The account that runs this, as the system's own tool names it: where accounts are kept is the
/// system's affair.
fn account() -> Result<String, String> {
    let output = Command::new("id").arg("-un").output();
    output
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map(|name| name.trim().to_string())
        .filter(|name| !name.is_empty())
        .ok_or_else(|| "no user is given, and this account has no name".into())
}

fn home_or(given: Option<&str>, file: impl AsRef<Path>) -> PathBuf {
    match given {
        Some(path) => path.into(),
        None => env::home_dir().unwrap_or_default().join(file),
    }
}

#[cfg(test)]
mod tests;
