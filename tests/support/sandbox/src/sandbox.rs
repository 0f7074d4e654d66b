//! A running sandbox, for tests and for the program.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, thread};

use anyhow::{Context, Result, anyhow};
use axum::Router;
use harness::Database;
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
    database: Option<Database>,
    cluster: Option<Cluster>,
    db_url: String,
    _folder: Option<TempDir>,
}

impl Sandbox {
    /// Starts a sandbox for one test: temporary folder, free ports, a database in the cluster that
    /// all tests share or, if the settings want that, in a cluster of its own.
    ///
    /// # Panics
    /// With the reason when it does not start.
    #[must_use]
    pub fn start(settings: Settings) -> Self {
        let started = if settings.own_cluster {
            Self::try_start(settings, &Store::default(), Ports::default())
        } else {
            new_database(&settings).and_then(|database| {
                let store = Store {
                    data: None,
                    db: Some(database.url_for(EBOOKS)),
                };
                Self::start_on(settings, &store, Ports::default(), Some(database), None)
            })
        };
        started.unwrap_or_else(|reason| panic!("{reason:#}"))
    }

    /// Starts a sandbox, or says why it cannot.
    ///
    /// # Errors
    /// PostgreSQL is missing, a folder cannot be made, a port is taken.
    pub fn try_start(settings: Settings, store: &Store, ports: Ports) -> Result<Self> {
        if store.db.is_some() {
            return Self::start_on(settings, store, ports, None, None);
        }
        let keep_in = store.data.as_ref().map(|data| data.join("postgres"));
        let options = Options {
            keep_in,
            ..Options::default()
        };
        let cluster = Cluster::try_start(&options).map_err(|reason| anyhow!(reason))?;
        let database = own_database(&cluster);
        let store = Store {
            db: Some(database.url_for(EBOOKS)),
            ..store.clone()
        };
        Self::start_on(settings, &store, ports, Some(database), Some(cluster))
    }

    fn start_on(
        settings: Settings,
        store: &Store,
        ports: Ports,
        database: Option<Database>,
        cluster: Option<Cluster>,
    ) -> Result<Self> {
        let db_url = store.db.clone().context("database: URL")?;
        let (data, folder) = data_folder(store, database.as_ref())?;
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
            database,
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

    /// The sandbox's own cluster, for outages.
    ///
    /// # Panics
    /// When it has none: see [`Settings::own_cluster`].
    pub fn cluster(&mut self) -> &mut Cluster {
        self.cluster
            .as_mut()
            .unwrap_or_else(|| panic!("the cluster is not the sandbox's own"))
    }

    /// The server's database, for looking at rows and for changing them.
    ///
    /// # Panics
    /// When it was given from outside.
    #[must_use]
    pub fn database(&self) -> &Database {
        let database = self.database.as_ref();
        database.unwrap_or_else(|| panic!("the database was given from outside"))
    }

    /// Runs SQL on the server's database as a superuser.
    ///
    /// # Panics
    /// When it fails, or the database was given from outside.
    pub fn execute(&self, sql: &str) {
        self.database().execute(sql);
    }

    /// Runs SQL on the server's database and gives the rows as text, NULL as `None`.
    ///
    /// # Panics
    /// As [`Sandbox::execute`].
    #[must_use]
    pub fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.database().query(sql)
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

/// Where the files go. What is temporary lies in the cluster's own folder where that is known,
/// which goes with it also when this process is killed.
fn data_folder(store: &Store, database: Option<&Database>) -> Result<(PathBuf, Option<TempDir>)> {
    if let Some(data) = &store.data {
        return Ok((data.clone(), None));
    }
    let parent = database.map_or_else(std::env::temp_dir, |db| {
        db.server().socket_dir().to_path_buf()
    });
    let folder = TempDir::with_prefix_in("mbs-sandbox-", parent).context("temporary folder")?;
    Ok((folder.path().to_path_buf(), Some(folder)))
}

/// A database of a fresh server, in the cluster that all tests share.
fn new_database(settings: &Settings) -> Result<Database> {
    let mut outcome = Ok(());
    let key = format!("{} {}", setup::SQL.concat(), settings.bcrypt_cost);
    let database = Database::copy_of(&key, EBOOKS, |template| {
        outcome = new_runtime().and_then(|runtime| {
            let config = template.url_for(EBOOKS).parse()?;
            runtime.block_on(setup::set_up(&config, settings))
        });
    });
    outcome.map(|()| database)
}

/// Makes role and database in the sandbox's own cluster.
fn own_database(cluster: &Cluster) -> Database {
    let there = format!("select 1 from pg_database where datname = '{EBOOKS}'");
    if cluster.query("postgres", &there).is_empty() {
        let role = format!("create role {EBOOKS} login password '{EBOOKS}'");
        cluster.execute("postgres", &role);
        cluster.execute(
            "postgres",
            &format!("create database {EBOOKS} owner {EBOOKS}"),
        );
    }
    Database::at(cluster, EBOOKS)
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
