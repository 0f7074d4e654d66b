//! Where the database is and as whom to enter it: `--db`, else `MBS_DB`, and for what that leaves
//! open libpq's own environment, password file and defaults. No configuration file of ours.

mod attrs;
mod endpoint;
mod keys;

use std::{
    env, fmt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

pub use attrs::Attrs;
pub use endpoint::Endpoint;
use tokio_postgres::config::ChannelBinding;
use wire::{Exit, Fatal, value::Secret};

use crate::{
    conninfo::{self, Params},
    passfile,
    tls::{Mode, Roots},
};

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
    /// Which of the servers is wanted.
    pub attrs: Attrs,
    /// Is the proof of the password bound to the encrypted channel?
    pub channel_binding: ChannelBinding,
    /// Does the system make sure that the other end is alive?
    pub keepalives: bool,
    /// After so long a silence.
    pub keepalives_idle: Option<Duration>,
    /// Again after so long.
    pub keepalives_interval: Option<Duration>,
    /// So often before it is given up.
    pub keepalives_count: Option<u32>,
    /// How long what was sent may stay unacknowledged.
    pub tcp_user_timeout: Option<Duration>,
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
        keys::complete(&mut params, env);
        Settings::of(&params).map_err(|reason| usage(&format_args!("database: settings: {reason}")))
    }

    fn of(params: &Params) -> Result<Settings, String> {
        keys::check(params)?;
        // An empty value is the default, but not the environment's.
        let get = |key: &str| {
            params
                .get(key)
                .map(String::as_str)
                .filter(|v| !v.is_empty())
        };
        let number = |key: &str| -> Result<Option<u64>, String> {
            let parsed = get(key).map(|text| text.trim().parse::<i64>());
            match parsed.transpose() {
                // Zero and below is the system's own.
                Ok(number) => Ok(number
                    .and_then(|n| u64::try_from(n).ok())
                    .filter(|&n| n > 0)),
                Err(_) => Err(format!("{key} is not a whole number")),
            }
        };
        let user = match get("user") {
            Some(user) => user.to_string(),
            None => account()?,
        };
        let (passwords, oddity) = match get("password") {
            Some(_) => (Vec::new(), None),
            None => match passfile::read(&home_or(get("passfile"), ".pgpass")) {
                Ok(content) => (content, None),
                Err(reason) => (Vec::new(), Some(reason)),
            },
        };
        let given: Option<Mode> = get("sslmode").map(str::parse).transpose()?;
        let default_file = |name: &str| home_or(None, Path::new(".postgresql").join(name));
        let (roots, mode) = match get("sslrootcert") {
            Some("system") if given.is_some_and(|mode| mode != Mode::VerifyFull) => {
                return Err("with sslrootcert=system sslmode is verify-full".into());
            }
            Some("system") => (Roots::System, Mode::VerifyFull),
            named => {
                let file = named.map_or_else(|| default_file("root.crt"), PathBuf::from);
                let roots = named.is_some() || file.exists();
                let mode = given.unwrap_or(Mode::Prefer).with(roots);
                (
                    if roots {
                        Roots::File(file)
                    } else {
                        Roots::System
                    },
                    mode,
                )
            }
        };
        let revoked = default_file("root.crl");
        if mode >= Mode::VerifyCa && revoked.exists() {
            return Err(format!("{}: sslcrl is not supported", revoked.display()));
        }
        Ok(Settings {
            endpoints: endpoint::all(get("host"), get("hostaddr"), get("port"))?,
            dbname: get("dbname").unwrap_or(&user).to_string(),
            user,
            mode,
            roots,
            connect_timeout: number("connect_timeout")?.map(Duration::from_secs),
            application_name: get("application_name")
                .or(get("fallback_application_name"))
                .map(Into::into),
            attrs: get("target_session_attrs").map_or(Ok(Attrs::Any), str::parse)?,
            channel_binding: match get("channel_binding") {
                None | Some("prefer") => ChannelBinding::Prefer,
                Some("require") => ChannelBinding::Require,
                Some("disable") => ChannelBinding::Disable,
                Some(_) => return Err("channel_binding is disable, prefer or require".into()),
            },
            keepalives: get("keepalives") != Some("0"),
            keepalives_idle: number("keepalives_idle")?.map(Duration::from_secs),
            keepalives_interval: number("keepalives_interval")?.map(Duration::from_secs),
            keepalives_count: number("keepalives_count")?.and_then(|n| n.try_into().ok()),
            tcp_user_timeout: number("tcp_user_timeout")?.map(Duration::from_millis),
            options: get("options").map(Into::into),
            password: get("password").map(Secret::new),
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
        let listed = || passfile::find(&self.passwords, target).map(Secret::new);
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
