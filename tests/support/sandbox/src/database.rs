//! A few connections to PostgreSQL, opened when needed and again after an outage.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::{Client, Config, NoTls};

/// Connections at a time: more requests than that wait.
const CONNECTIONS: usize = 8;

/// The connections.
#[derive(Debug)]
pub(crate) struct Database {
    config: Config,
    idle: Arc<Mutex<Vec<Client>>>,
    permits: Arc<Semaphore>,
}

/// One connection on loan; dropped, it goes back.
#[derive(Debug)]
pub(crate) struct Loan {
    client: Option<Client>,
    idle: Arc<Mutex<Vec<Client>>>,
    _permit: OwnedSemaphorePermit,
}

impl Database {
    pub(crate) fn new(config: Config) -> Self {
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        Self {
            config,
            idle: Arc::default(),
            permits,
        }
    }

    /// A connection; an error when the database is away.
    pub(crate) async fn get(&self) -> Result<Loan, tokio_postgres::Error> {
        // The semaphore is never closed; without a permit there would be one connection more.
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.unwrap_or_else(|_| unreachable!());
        let client = loop {
            let kept = self
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop();
            match kept {
                Some(client) if client.is_closed() => {}
                Some(client) => break client,
                None => break self.open().await?,
            }
        };
        Ok(Loan {
            client: Some(client),
            idle: Arc::clone(&self.idle),
            _permit: permit,
        })
    }

    async fn open(&self) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = self.config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }
}

impl std::ops::Deref for Loan {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client.as_ref().unwrap_or_else(|| unreachable!())
    }
}

impl std::ops::DerefMut for Loan {
    fn deref_mut(&mut self) -> &mut Client {
        self.client.as_mut().unwrap_or_else(|| unreachable!())
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(client);
        }
    }
}

/// What psycopg2 would print for an error of the server: message, and detail on its own line.
pub(crate) fn as_psycopg(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) if db.code().code() == "22021" => NUL_REFUSED.to_owned(),
        Some(db) => match db.detail() {
            Some(detail) => format!("{}\nDETAIL:  {detail}\n", db.message()),
            None => format!("{}\n", db.message()),
        },
        None => error.to_string(),
    }
}

/// Python's driver refuses such a text before the server sees it.
pub(crate) const NUL_REFUSED: &str = "A string literal cannot contain NUL (0x00) characters.";
