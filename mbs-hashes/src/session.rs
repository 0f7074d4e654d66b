//! One connection. It waits for a server no longer than it is told to, and unless told otherwise not
//! past the signal that asks the process to stop. Nothing is set on it: all that is asked is asked in
//! transactions, and what they set ends with them.

mod tables;
mod transaction;

use std::{
    cell::Cell,
    future::Future,
    pin::pin,
    time::{Duration, Instant},
};

use backon::{BlockingRetryable, ExponentialBuilder};
use tokio::{runtime, runtime::Runtime, time::timeout};
use tokio_postgres::{Client, Config, SimpleQueryMessage, config::SslMode};

use crate::{
    Failure, Settings,
    settings::{Attrs, Endpoint},
    tls::{self, Mode},
};
use transaction::Kind;
pub use transaction::Transaction;

/// Rows, each value as text.
pub type Rows = Vec<Vec<Option<String>>>;

/// How often a wait looks whether the process was asked to stop.
const TICK: Duration = Duration::from_millis(100);

/// How a session is to be.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The tool, for the server's list of sessions.
    pub tool: &'static str,
    /// How long connecting may take, and how long the server may stay silent or wait for a lock.
    pub patience: Duration,
    /// How long one statement may run, on the server's clock; without it as long as rows come.
    pub statement: Option<Duration>,
    /// Does a request to stop end its waiting? Not where work in flight is still to be finished.
    pub heeds_stop: bool,
}

/// A connection.
pub struct Session {
    client: Client,
    runtime: Runtime,
    patience: Patience,
    /// What each transaction sets for itself.
    limits: String,
    encoding: String,
    /// The schema of the server's tables, quoted.
    schema: String,
    standby: bool,
    /// It stands in the middle of an answer, or of a transaction.
    broken: Cell<bool>,
}

/// How long to wait for an answer.
#[derive(Clone, Copy, Debug)]
struct Patience {
    most: Duration,
    heeds_stop: bool,
}

/// Connects, and tries again after 1, 2 and 4 s where the reason may pass and [`Terms::patience`] is
/// not used up. `warn` gets one line for each try that failed.
///
/// # Errors
/// The last try's failure, or the first that no waiting will mend.
pub fn connect(
    settings: &Settings,
    terms: Terms,
    mut warn: impl FnMut(&str),
) -> Result<Session, Failure> {
    let pauses = ExponentialBuilder::new()
        .with_min_delay(Duration::from_secs(1))
        .with_factor(2.0)
        .with_max_times(3);
    let start = Instant::now();
    let goes_on = || start.elapsed() < terms.patience && !wire::stop::requested();
    (|| Session::open(settings, terms))
        .retry(pauses)
        .sleep(|pause| {
            let _waiting = wire::waiting::announce("the database", pause);
            wire::stop::sleep(pause);
        })
        .when(|failure: &Failure| failure.may_pass() && goes_on())
        .notify(|failure, pause| warn(&format!("{failure}; again in {} s", pause.as_secs())))
        .call()
}

impl Session {
    /// Connects, trying each host once.
    ///
    /// # Errors
    /// The first host's failure.
    pub fn open(settings: &Settings, terms: Terms) -> Result<Session, Failure> {
        let mut session = Session::reach(settings, terms)?;
        session.schema =
            tables::schema(&session.query(tables::ASK)?).map_err(Failure::NotTheServers)?;
        Ok(session)
    }

    fn reach(settings: &Settings, terms: Terms) -> Result<Session, Failure> {
        let tls = match tls::connector(settings.mode, &settings.roots) {
            Ok(tls) => tls,
            Err(reason) => return Err(Failure::Certificates(reason)),
        };
        let mut first = None;
        for &attrs in settings.attrs.rounds() {
            for endpoint in &settings.endpoints {
                for &ssl in attempts(settings.mode, endpoint) {
                    let config = configure(settings, endpoint, ssl, terms.tool);
                    let limit = settings.connect_timeout.unwrap_or(terms.patience);
                    let entered = Session::enter(&config, tls.clone(), limit, terms)
                        .and_then(|session| session.suiting(attrs));
                    let failure = match entered {
                        Ok(session) => return Ok(session),
                        Err(failure) => failure,
                    };
                    let other = failure.depends_on_encryption();
                    first.get_or_insert(failure);
                    if !other {
                        break;
                    }
                }
            }
        }
        Err(first.unwrap_or(Failure::Protocol("no host to connect to")))
    }

    /// Finds out what kind of server it is, and whether that is the kind wanted.
    fn suiting(mut self, attrs: Attrs) -> Result<Session, Failure> {
        let about = self.query(
            "SELECT current_setting('server_encoding'), pg_is_in_recovery()::int, \
             current_setting('default_transaction_read_only')",
        )?;
        let mut about = about.into_iter().flatten();
        self.encoding = about.next().flatten().unwrap_or_default();
        self.standby = about.next().flatten().as_deref() != Some("0");
        let read_only = about.next().flatten().as_deref() != Some("off");
        match attrs.objection(self.standby, read_only) {
            Some(why) => Err(Failure::Unsuited(why)),
            None => Ok(self),
        }
    }

    fn enter(
        config: &Config,
        tls: tokio_postgres_rustls::MakeRustlsConnect,
        limit: Duration,
        terms: Terms,
    ) -> Result<Session, Failure> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let patience = |most| Patience {
            most,
            heeds_stop: terms.heeds_stop,
        };
        let client = match runtime.block_on(wait(patience(limit), config.connect(tls))) {
            Ok(Ok((client, connection))) => {
                // Its end, good or bad, is seen by whoever waits for an answer.
                runtime.spawn(async { drop(connection.await) });
                client
            }
            failed => {
                // A name server that hangs must not hang us.
                runtime.shutdown_background();
                return Err(failed.map_or_else(
                    |failure| failure,
                    |r| match r {
                        Err(error) => error.into(),
                        Ok(_) => Failure::Protocol("connected"),
                    },
                ));
            }
        };
        // Before we give up ourselves: the server knows why it waits.
        let lock = (terms.patience * 7 / 8).as_millis();
        let statement = terms.statement.unwrap_or_default().as_millis();
        let session = Session {
            client,
            runtime,
            patience: patience(terms.patience),
            // Row-level security must not hide rows: what it would hide is an error then.
            limits: format!(
                "SET LOCAL row_security = off; SET LOCAL lock_timeout = {lock}; \
                 SET LOCAL statement_timeout = {statement}"
            ),
            encoding: String::new(),
            schema: String::new(),
            standby: false,
            broken: Cell::new(false),
        };
        Ok(session)
    }

    /// Is it a standby, which shows the past and keeps nobody out?
    pub fn is_standby(&self) -> bool {
        self.standby
    }

    fn opening(&self, kind: Kind) -> String {
        let (begin, limits) = (kind.begin(), &self.limits);
        match self.schema.as_str() {
            "" => format!("{begin}; {limits}"),
            // A temporary table of this name would come first unless pg_temp is named.
            schema => format!("{begin}; {limits}; SET LOCAL search_path = {schema}, pg_temp"),
        }
    }

    /// Sends one message of statements and gives the rows of all of them.
    fn raw(&self, sql: &str) -> Result<Rows, Failure> {
        if self.broken.get() {
            return Err(Failure::Protocol("the connection was given up"));
        }
        let answer = self
            .runtime
            .block_on(wait(self.patience, self.client.simple_query(sql)))
            .and_then(|answer| answer.map_err(Failure::from))
            .inspect_err(|failure| self.broken.set(failure.ends_session()))?;
        let rows = answer.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|i| row.get(i).map(Into::into)).collect())
            }
            _ => None,
        });
        Ok(rows.collect())
    }

    /// An expression for a text column whose bytes arrive as UTF-8, or, from a database that does
    /// not know its own encoding, as they are: the server would end the stream at the first text
    /// that is not UTF-8.
    pub fn text(&self, column: &str) -> String {
        match self.encoding.as_str() {
            "SQL_ASCII" => format!("convert_to({column}, 'SQL_ASCII')"),
            _ => column.into(),
        }
    }
}

/// Waits for an answer, but not past `patience`, and not past a request to stop where it is heeded.
async fn wait<T>(patience: Patience, answer: impl Future<Output = T>) -> Result<T, Failure> {
    let Patience { most, heeds_stop } = patience;
    let mut answer = pin!(answer);
    let mut waited = Duration::ZERO;
    loop {
        let tick = TICK.min(most.saturating_sub(waited));
        match timeout(tick, &mut answer).await {
            Ok(answer) => return Ok(answer),
            Err(_) if heeds_stop && wire::stop::requested() => return Err(Failure::Stopped),
            Err(_) => waited += tick,
        }
        if waited >= most {
            return Err(Failure::Silent(most));
        }
    }
}

/// The ways to ask for encryption, in libpq's order. A Unix socket needs none.
fn attempts(mode: Mode, endpoint: &Endpoint) -> &'static [SslMode] {
    match mode {
        _ if endpoint.is_socket() => &[SslMode::Disable],
        Mode::Disable => &[SslMode::Disable],
        Mode::Allow => &[SslMode::Disable, SslMode::Require],
        Mode::Prefer => &[SslMode::Prefer, SslMode::Disable],
        Mode::Require | Mode::VerifyCa | Mode::VerifyFull => &[SslMode::Require],
    }
}

fn configure(settings: &Settings, endpoint: &Endpoint, ssl: SslMode, tool: &str) -> Config {
    let mut config = Config::new();
    config
        .host(&endpoint.host)
        .port(endpoint.port)
        .user(&settings.user)
        .dbname(&settings.dbname)
        .ssl_mode(ssl)
        .channel_binding(settings.channel_binding)
        .keepalives(settings.keepalives)
        .keepalives_idle(settings.keepalives_idle.unwrap_or(Duration::from_secs(30)))
        .application_name(settings.application_name.as_deref().unwrap_or(tool));
    if let Some(interval) = settings.keepalives_interval {
        config.keepalives_interval(interval);
    }
    if let Some(count) = settings.keepalives_count {
        config.keepalives_retries(count);
    }
    if let Some(time) = settings.tcp_user_timeout {
        config.tcp_user_timeout(time);
    }
    if let Some(address) = endpoint.address {
        config.hostaddr(address);
    }
    if let Some(password) = settings.password(endpoint) {
        config.password(password.expose());
    }
    if let Some(options) = &settings.options {
        config.options(options);
    }
    config
}
