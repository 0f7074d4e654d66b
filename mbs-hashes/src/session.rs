//! One read-only connection. It waits for a server no longer than it is told to, and unless told
//! otherwise not past the signal that asks the process to stop.

use std::{
    future::Future,
    pin::pin,
    time::{Duration, Instant},
};

use backon::{BlockingRetryable, ExponentialBuilder};
use futures_util::{FutureExt, StreamExt};
use tokio::{runtime, runtime::Runtime, time::timeout};
use tokio_postgres::{Client, Config, SimpleQueryMessage, config::SslMode};

use crate::{
    Failure, Settings,
    settings::Endpoint,
    tls::{self, Mode},
    tuples::{Tuple, Tuples},
};

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

/// A connection that only reads.
pub struct Session {
    client: Client,
    runtime: Runtime,
    patience: Patience,
    encoding: String,
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
        let tls = match tls::connector(settings.mode, &settings.roots) {
            Ok(tls) => tls,
            Err(reason) => return Err(Failure::Certificates(reason)),
        };
        let mut first = None;
        for endpoint in &settings.endpoints {
            for &ssl in attempts(settings.mode, endpoint) {
                let config = configure(settings, endpoint, ssl, terms.tool);
                let limit = settings.connect_timeout.unwrap_or(terms.patience);
                match Session::enter(&config, tls.clone(), limit, terms) {
                    Ok(session) => return Ok(session),
                    Err(failure) => {
                        let other = failure.depends_on_encryption();
                        first.get_or_insert(failure);
                        if !other {
                            break;
                        }
                    }
                }
            }
        }
        Err(first.unwrap_or(Failure::Protocol("no host to connect to")))
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
        let mut session = Session {
            client,
            runtime,
            patience: patience(terms.patience),
            encoding: String::new(),
        };
        let statement = terms.statement.unwrap_or_default().as_millis();
        let answer = session.query(&format!(
            "SET default_transaction_read_only = on; SET lock_timeout = {}; \
             SET statement_timeout = {statement}; SHOW server_encoding",
            // Before we give up ourselves: the server knows why it waits.
            (terms.patience * 7 / 8).as_millis()
        ))?;
        session.encoding = answer
            .into_iter()
            .flatten()
            .next()
            .flatten()
            .unwrap_or_default();
        Ok(session)
    }

    /// Runs statements and gives the rows of all of them, each value as text.
    ///
    /// # Errors
    /// What the server says, or its silence.
    pub fn query(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Failure> {
        let answer = self
            .runtime
            .block_on(wait(self.patience, self.client.simple_query(sql)))??;
        let rows = answer.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|i| row.get(i).map(Into::into)).collect())
            }
            _ => None,
        });
        Ok(rows.collect())
    }

    /// The first value of a query as a whole number; nothing for NULL.
    ///
    /// # Errors
    /// As [`Session::query`].
    pub fn number(&self, sql: &str) -> Result<Option<i64>, Failure> {
        let first = self.query(sql)?.into_iter().flatten().next().flatten();
        Ok(first.and_then(|text| text.parse().ok()))
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

    /// Streams the rows of a query of `N` columns in constant memory. Time in which `each` is busy
    /// does not count as the server's silence.
    ///
    /// # Errors
    /// Those of `each`; what the server says, its silence, a stream that ends before its end mark.
    pub fn copy<const N: usize, E: From<Failure>>(
        &self,
        query: &str,
        mut each: impl FnMut(Tuple<'_, N>) -> Result<(), E>,
    ) -> Result<(), E> {
        let statement = format!("COPY ({query}) TO STDOUT (FORMAT binary)");
        self.runtime.block_on(async {
            let stream = wait(self.patience, self.client.copy_out(&statement)).await?;
            let mut stream = pin!(stream.map_err(Failure::from)?);
            let mut tuples = Tuples::<N>::default();
            loop {
                // Most rows are there already; a timer for each would cost more than the row.
                let next = match stream.next().now_or_never() {
                    Some(next) => next,
                    None => wait(self.patience, stream.next()).await?,
                };
                let Some(chunk) = next else { break };
                let chunk = chunk.map_err(Failure::from)?;
                tuples.feed(&chunk, &mut each, |reason| Failure::Protocol(reason).into())?;
            }
            if tuples.ended() {
                Ok(())
            } else {
                Err(Failure::Protocol("the server's answer breaks off").into())
            }
        })
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
        .keepalives_idle(Duration::from_secs(30))
        .application_name(settings.application_name.as_deref().unwrap_or(tool));
    if let Some(address) = endpoint.address {
        config.hostaddr(address);
    }
    if let Some(password) = settings.password(endpoint) {
        config.password(&password.0);
    }
    if let Some(options) = &settings.options {
        config.options(options);
    }
    config
}
