//! What a sandbox is to be like.

use std::path::PathBuf;

/// Choices for one sandbox; [`Default`] is the real server's behaviour, but quick.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The fork that some users run: check-batch, symbolic links, 500 MiB.
    pub fork: bool,
    /// Whether the fork answers 500 when it is to link to what it does not see. Without it such a link
    /// leads nowhere.
    pub links_must_lead: bool,
    /// Largest request body and checked size in bytes. `None`: 100 MiB, with `fork` 500 MiB.
    pub max_content_length: Option<u64>,
    /// Metadata tasks that run at a time.
    pub tasks: usize,
    /// Calls that may wait; the next one gets `QueueFull()`.
    pub queue_limit: usize,
    /// Calibre's `ebook-meta`. Without it each file is answered like one it cannot parse.
    pub ebook_meta: Option<PathBuf>,
    /// How long a task takes at least, in milliseconds.
    pub task_millis: u64,
    /// Seconds after which a task is killed.
    pub task_limit: u64,
    /// Whether LibreOffice is there; without it `.doc` files fail.
    pub office: bool,
    /// How long a request waits for one of the 15 database connections, in milliseconds.
    pub pool_millis: u64,
    /// How long adding a file waits for the lock of its folder, in milliseconds.
    pub lock_millis: u64,
    /// Whether connections stay open for further requests, as behind nginx. Without it each is
    /// closed after its answer, as Werkzeug alone does.
    pub keep_alive: bool,
    /// Lifetime of an access token in seconds.
    pub token_seconds: u64,
    /// How long updates wait for the return of their session, in milliseconds.
    pub unsent_millis: u64,
    /// Cost of the password hashes. The real server takes 12: 0.2 s a login.
    pub bcrypt_cost: u32,
    /// Whether its PostgreSQL is not the one that all tests share, so that it can be stopped.
    pub own_cluster: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            fork: false,
            links_must_lead: false,
            max_content_length: None,
            tasks: 2,
            queue_limit: 10_000,
            ebook_meta: None,
            task_millis: 0,
            task_limit: 60,
            office: false,
            pool_millis: 30_000,
            lock_millis: 5_000,
            keep_alive: true,
            token_seconds: 4 * 3600,
            unsent_millis: 60_000,
            bcrypt_cost: 4,
            own_cluster: false,
        }
    }
}

impl Settings {
    /// The limit that holds, in bytes.
    #[must_use]
    pub fn limit(&self) -> u64 {
        let usual = if self.fork { 500 << 20 } else { 100 << 20 };
        self.max_content_length.unwrap_or(usual)
    }
}
