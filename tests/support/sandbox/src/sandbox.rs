//! A running sandbox, for tests and for the program.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, thread};

use anyhow::{Context, Result, anyhow};
use axum::Router;
use harness::cluster::{Cluster, Options};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::listener::{Cuttable, Knife};
use crate::log::{Entry, high_water};
use crate::settings::Settings;
use crate::{App, api, database, engine, faults, log, setup};

/// Requests that the API serves at a time.
const POOL: usize = 15;
/// Name of the database and of its owner.
const EBOOKS: &str = "ebooks";

/// TCP ports on 127.0.0.1; 0 takes a free one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ports {
    /// REST.
    pub api: u16,
    /// WebSocket.
    pub ws: u16,
}

/// Where a sandbox keeps its state.
#[derive(Clone, Debug, Default)]
pub struct Store {
    /// Folder of the files. `None`: a temporary one, with a throw-away cluster.
    pub data: Option<PathBuf>,
    /// URL of an existing database. `None`: a cluster of its own, in `data` where that is given.
    pub db: Option<String>,
}

/// A running sandbox. Dropped, it stops, and what was temporary is gone.
#[derive(Debug)]
pub struct Sandbox {
    // The order matters: the servers end before the cluster, the cluster before the folder.
    runtime: Option<Runtime>,
    listening: Option<JoinHandle<()>>,
    app: Arc<App>,
    ports: Ports,
    cluster: Option<Cluster>,
    db_url: String,
    _folder: Option<TempDir>,
}

impl Sandbox {
    /// Starts a sandbox for one test: temporary folder, cluster of its own, free ports.
    ///
    /// # Panics
    /// With the reason when it does not start.
    #[must_use]
    pub fn start(settings: Settings) -> Self {
        Self::try_start(settings, &Store::default(), Ports::default())
            .unwrap_or_else(|reason| panic!("{reason:#}"))
    }

    /// Starts a sandbox, or says why it cannot.
    ///
    /// # Errors
    /// PostgreSQL is missing, a folder cannot be made, a port is taken.
    pub fn try_start(settings: Settings, store: &Store, ports: Ports) -> Result<Self> {
        let (cluster, db_url) = match &store.db {
            Some(url) => (None, url.clone()),
            None => {
                let keep_in = store.data.as_ref().map(|data| data.join("postgres"));
                let options = Options {
                    keep_in,
                    ..Options::default()
                };
                let cluster = Cluster::try_start(&options).map_err(|reason| anyhow!(reason))?;
                let url = ebooks(&cluster);
                (Some(cluster), url)
            }
        };
        let (data, folder) = data_folder(store, cluster.as_ref())?;
        for name in ["books", "uploads", "thumbs", "converted"] {
            let dir = data.join(name);
            fs::create_dir_all(&dir).with_context(|| format!("{}: create", dir.display()))?;
        }
        let config: tokio_postgres::Config = db_url.parse().context("database: URL")?;
        let runtime = new_runtime()?;
        runtime.block_on(setup::set_up(&config, &settings))?;
        let app = Arc::new(App {
            settings,
            data,
            database: database::Database::new(config),
            engine: engine::Engine::default(),
            faults: faults::Faults::default(),
            log: log::Log::new(),
            pool: Arc::new(Semaphore::new(POOL)),
        });
        let (ports, listening) = serve(&runtime, &app, ports)?;
        Ok(Self {
            runtime: Some(runtime),
            listening: Some(listening),
            app,
            ports,
            cluster,
            db_url,
            _folder: folder,
        })
    }

    /// Base address of the REST API, without a slash at the end.
    #[must_use]
    pub fn api(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.api)
    }

    /// Address of the WebSocket.
    #[must_use]
    pub fn ws(&self) -> String {
        format!("ws://127.0.0.1:{}/ws", self.ports.ws)
    }

    /// URL of the database, as its owner, without a password.
    #[must_use]
    pub fn db_url(&self) -> &str {
        &self.db_url
    }

    /// Folder of the files: `books`, `uploads` and `thumbs` are in it.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.app.data
    }

    /// Writes a file with a user's password (which is the user's name) and gives its path.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn password_file(&self, user: &str) -> PathBuf {
        let path = self.app.data.join(format!("{user}.password"));
        fs::write(&path, user).unwrap_or_else(|e| panic!("{}: write: {e}", path.display()));
        path
    }

    /// The sandbox's own cluster, for outages and for looking at rows.
    ///
    /// # Panics
    /// When the database was given from outside.
    pub fn cluster(&mut self) -> &mut Cluster {
        self.cluster
            .as_mut()
            .unwrap_or_else(|| panic!("the database is not the sandbox's own"))
    }

    /// Runs SQL on the server's database and gives the rows as text, NULL as `None`.
    ///
    /// # Panics
    /// When it fails, or the database was given from outside.
    #[must_use]
    pub fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let cluster = self.cluster.as_ref();
        let cluster = cluster.unwrap_or_else(|| panic!("the database is not the sandbox's own"));
        cluster.query(EBOOKS, sql)
    }

    /// Orders a fault; the fields are those of `POST /_fault`.
    ///
    /// # Panics
    /// When the order is not one.
    pub fn fault(&self, order: &Value) {
        self.app
            .order(order)
            .unwrap_or_else(|reason| panic!("{reason}: {order}"));
    }

    /// No faults from now on.
    pub fn clear_faults(&self) {
        self.app.faults.clear();
    }

    /// What was served so far.
    #[must_use]
    pub fn log(&self) -> Vec<Entry> {
        self.app.log.entries()
    }

    /// How many requests with this method and path (a number in it as `*`) were served so far.
    #[must_use]
    pub fn count(&self, method: &str, path: &str) -> usize {
        let same = |e: &&Entry| e.method == method && log::pattern(&e.path) == path;
        self.log().iter().filter(same).count()
    }

    /// The most that were in flight at a time, by `METHOD /path`, `hash:…` and `book:…`.
    #[must_use]
    pub fn high_water(&self) -> BTreeMap<String, usize> {
        high_water(&self.log())
    }

    /// Ends both servers as a crash of the machine would: connections cut, tasks gone. Rows and
    /// files stay.
    pub fn stop(&mut self) {
        self.app.engine.restart();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(10));
        }
    }

    /// Starts stopped servers again, on the same ports.
    ///
    /// # Panics
    /// When a port is taken by now.
    pub fn resume(&mut self) {
        let runtime = new_runtime().unwrap_or_else(|reason| panic!("{reason:#}"));
        let served = serve(&runtime, &self.app, self.ports);
        let (ports, listening) = served.unwrap_or_else(|reason| panic!("{reason:#}"));
        (self.ports, self.listening) = (ports, Some(listening));
        self.runtime = Some(runtime);
    }

    /// Ends the engine alone: its connections cut, its tasks gone, its port closed.
    ///
    /// # Panics
    /// When the sandbox is stopped.
    pub fn stop_engine(&mut self) {
        let runtime = self.runtime.as_ref();
        let runtime = runtime.unwrap_or_else(|| panic!("the sandbox is stopped"));
        if let Some(listening) = self.listening.take() {
            listening.abort();
            // An error is the abort itself.
            let _ = runtime.block_on(listening);
        }
        self.app.engine.restart();
    }

    /// Starts a stopped engine again, on the same port.
    ///
    /// # Panics
    /// When the sandbox is stopped, or the port is taken by now.
    pub fn resume_engine(&mut self) {
        let runtime = self.runtime.as_ref();
        let runtime = runtime.unwrap_or_else(|| panic!("the sandbox is stopped"));
        let spawned = spawn(runtime, self.ports.ws, api::engine(&self.app));
        let (_, listening) = spawned.unwrap_or_else(|reason| panic!("{reason:#}"));
        self.listening = Some(listening);
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Where the files go. What is temporary lies in the cluster's own folder where there is one,
/// which goes with it also when this process is killed.
fn data_folder(store: &Store, cluster: Option<&Cluster>) -> Result<(PathBuf, Option<TempDir>)> {
    match (&store.data, cluster) {
        (Some(data), _) => Ok((data.clone(), None)),
        (None, Some(cluster)) => Ok((cluster.socket_dir().join("files"), None)),
        (None, None) => {
            let folder = TempDir::with_prefix("mbs-sandbox-").context("temporary folder")?;
            Ok((folder.path().to_path_buf(), Some(folder)))
        }
    }
}

/// Makes role and database in the sandbox's own cluster, and gives the URL.
fn ebooks(cluster: &Cluster) -> String {
    let there = format!("select 1 from pg_database where datname = '{EBOOKS}'");
    if cluster.query("postgres", &there).is_empty() {
        let role = format!("create role {EBOOKS} login password '{EBOOKS}'");
        cluster.execute("postgres", &role);
        cluster.execute(
            "postgres",
            &format!("create database {EBOOKS} owner {EBOOKS}"),
        );
    }
    format!(
        "postgresql://{EBOOKS}@127.0.0.1:{}/{EBOOKS}",
        cluster.port()
    )
}

fn new_runtime() -> Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("runtime: start")
}

/// Both servers listening: their ports, and the engine's listener.
fn serve(runtime: &Runtime, app: &Arc<App>, ports: Ports) -> Result<(Ports, JoinHandle<()>)> {
    let (api, _) = spawn(runtime, ports.api, api::rest(app)).context("API")?;
    let (ws, listening) = spawn(runtime, ports.ws, api::engine(app)).context("WebSocket")?;
    Ok((Ports { api, ws }, listening))
}

fn spawn(runtime: &Runtime, port: u16, router: Router) -> Result<(u16, JoinHandle<()>)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut tries = 0;
    let listener = loop {
        match runtime.block_on(TcpListener::bind(address)) {
            Ok(listener) => break listener,
            // The sockets of a server that was just stopped may need a moment.
            Err(_) if tries < 40 => thread::sleep(Duration::from_millis(50)),
            Err(e) => return Err(e).with_context(|| format!("{address}: listen")),
        }
        tries += 1;
    };
    let port = listener.local_addr()?.port();
    let service = router.into_make_service_with_connect_info::<Knife>();
    let listening = runtime.spawn(async move {
        // It ends only when it is aborted.
        let _ = axum::serve(Cuttable(listener), service).await;
    });
    Ok((port, listening))
}
