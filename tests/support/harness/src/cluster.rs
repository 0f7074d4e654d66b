//! A throw-away PostgreSQL: a cluster of its own for one test, gone when the test is gone.
//!
//! Also when the test panics or is killed: the server has a keeper (see there). Most tests need only
//! a [`Database`](crate::Database) in the cluster that all tests share.

mod address;
mod keeper;
mod place;
pub(crate) mod shared;
mod template;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::ops::Deref;
use std::path::PathBuf;
use std::{fs, io, net};

pub use address::Address;
use keeper::{Keeper, Until};
use place::Place;

/// Superuser of every cluster.
pub const SUPERUSER: &str = "postgres";
/// The superuser's password, for clusters with [`Auth::Scram`].
pub const PASSWORD: &str = "cluster secret";

/// How clients that come over TCP prove who they are. The Unix socket always trusts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// No password asked.
    #[default]
    Trust,
    /// SCRAM-SHA-256 with [`PASSWORD`] for [`SUPERUSER`].
    Scram,
}

/// What a cluster is to be like. [`Default`] is what [`Cluster::start`] takes.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Proof asked for over TCP.
    pub auth: Auth,
    /// Certificate and key (PEM files, copied): switches TLS on.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Lines for postgresql.conf, after and thus above our own.
    pub conf: Vec<String>,
    /// Lines for pg_hba.conf, before and thus above our own.
    pub hba: Vec<String>,
    /// A folder for the data that outlives the cluster; made when it is not there.
    pub keep_in: Option<PathBuf>,
}

/// A running (or, between [`Cluster::stop`] and [`Cluster::resume`], stopped) PostgreSQL.
#[derive(Debug)]
pub struct Cluster {
    place: Place,
    address: Address,
    keeper: Option<Keeper>,
    until: Until,
    kept: bool,
}

impl Cluster {
    /// Starts a cluster with the default options.
    ///
    /// # Panics
    /// With the reason when PostgreSQL is not installed or does not come up.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&Options::default())
    }

    /// Starts a cluster with these options.
    ///
    /// # Panics
    /// As [`Cluster::start`].
    #[must_use]
    pub fn start_with(options: &Options) -> Self {
        Self::try_start(options).unwrap_or_else(|reason| panic!("{reason}"))
    }

    /// Starts a cluster, or says in one line why it cannot.
    ///
    /// # Errors
    /// PostgreSQL is not installed, a folder cannot be made, or the server's own last words.
    pub fn try_start(options: &Options) -> Result<Self, String> {
        // Data that nobody will read again need not be written out at the end.
        let last = if options.keep_in.is_some() {
            "INT"
        } else {
            "QUIT"
        };
        Self::try_start_until(options, Until::Dropped { last })
    }

    fn try_start_until(options: &Options, until: Until) -> Result<Self, String> {
        let place = Place::make(options.keep_in.as_deref())?;
        let mut cluster = Self {
            address: Address {
                socket_dir: place.scratch.clone(),
                port: 0,
            },
            place,
            keeper: None,
            until,
            kept: options.keep_in.is_some(),
        };
        cluster.configure(options)?;
        // Between choosing a free port and opening it, somebody else may have taken it.
        let mut outcome = Ok(());
        for _ in 0..5 {
            cluster.address.port =
                free_port().map_err(|e| format!("postgresql: free port: {e}"))?;
            outcome = cluster.launch();
            match &outcome {
                Err(reason) if reason.contains("Address already in use") => {}
                _ => break,
            }
        }
        outcome.map(|()| cluster)
    }

    /// Stops the server as an orderly shutdown would, connections cut; the data stays.
    pub fn stop(&mut self) {
        if let Some(keeper) = self.keeper.take() {
            keeper.end("fast\n");
        }
    }

    /// Ends the server as a crash would; the data stays.
    pub fn crash(&mut self) {
        if let Some(keeper) = self.keeper.take() {
            keeper.end("crash\n");
        }
    }

    /// Starts a stopped server again, on the same port.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn resume(&mut self) {
        self.launch().unwrap_or_else(|reason| panic!("{reason}"));
    }

    /// [`Cluster::stop`] and [`Cluster::resume`].
    ///
    /// # Panics
    /// As these.
    pub fn restart(&mut self) {
        self.stop();
        self.resume();
    }

    /// Writes our settings into the fresh or copied data folder.
    fn configure(&self, options: &Options) -> Result<(), String> {
        let mut conf = format!(
            "listen_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\n\
             shared_buffers = 16MB\nmax_connections = 100\nmax_wal_senders = 0\n\
             wal_level = minimal\ntimezone = 'UTC'\nlog_timezone = 'UTC'\n\
             logging_collector = off\njit = off\n",
            self.place.scratch.display()
        );
        if !self.kept {
            conf.push_str("fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n");
        }
        if let Some((cert, key)) = &options.tls {
            self.place.take_in(cert, "server.crt")?;
            self.place.take_in(key, "server.key")?;
            conf.push_str("ssl = on\nssl_cert_file = 'server.crt'\nssl_key_file = 'server.key'\n");
        }
        let mut hba = String::new();
        for line in &options.conf {
            let _ = writeln!(conf, "{line}");
        }
        for line in &options.hba {
            let _ = writeln!(hba, "{line}");
        }
        let method = match options.auth {
            Auth::Trust => "trust",
            Auth::Scram => "scram-sha-256",
        };
        let _ = writeln!(hba, "local all all trust\nhost all all all {method}");
        self.place.write("postgresql.conf", &conf)?;
        self.place.write("pg_hba.conf", &hba)
    }

    fn launch(&mut self) -> Result<(), String> {
        self.keeper = Some(Keeper::start(&self.place, self.address.port, &self.until)?);
        Ok(())
    }
}

impl Deref for Cluster {
    type Target = Address;

    fn deref(&self) -> &Address {
        &self.address
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.take() {
            keeper.end("");
        }
        let _ = fs::remove_dir_all(&self.place.scratch);
    }
}

fn free_port() -> io::Result<u16> {
    Ok(net::TcpListener::bind(("127.0.0.1", 0))?
        .local_addr()?
        .port())
}
