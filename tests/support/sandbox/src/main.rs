//! `mbs-sandbox`: a MyBookshelf2 to try things on.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use sandbox::{Ports, Sandbox, Settings, Store};
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Stands in for a MyBookshelf2 server until SIGINT or SIGTERM.
///
/// Prints one line of JSON with the addresses when it is ready. Users: admin, user, guest and
/// inactive; each one's password is its name.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Folder of the stored files; with the database's own cluster in it unless --db is given.
    /// Without it all is temporary.
    #[arg(long)]
    data: Option<PathBuf>,
    /// URL of an existing, empty or earlier used database
    #[arg(long)]
    db: Option<String>,
    /// Port of the REST API on 127.0.0.1; 0: a free one
    #[arg(long, default_value_t = 0)]
    api_port: u16,
    /// Port of the WebSocket; 0: a free one
    #[arg(long, default_value_t = 0)]
    ws_port: u16,
    /// Behave like the fork: check-batch, symbolic links, 500 MiB
    #[arg(long)]
    fork: bool,
    /// Largest request body in bytes [default: 100 MiB, with --fork 500 MiB]
    #[arg(long)]
    max_content_length: Option<u64>,
    /// Metadata tasks at a time
    #[arg(long, default_value_t = Settings::default().tasks)]
    tasks: usize,
    /// Calls that may wait
    #[arg(long, default_value_t = Settings::default().queue_limit)]
    queue_limit: usize,
    /// Calibre's ebook-meta; without it every file counts as not parsable
    #[arg(long, value_name = "PROGRAM")]
    ebook_meta: Option<PathBuf>,
    /// Milliseconds that a task takes at least
    #[arg(long, default_value_t = 0)]
    task_millis: u64,
    /// Answer .doc files as if LibreOffice were there
    #[arg(long)]
    office: bool,
    /// Close each connection after its answer, as the server does without nginx before it
    #[arg(long)]
    no_keep_alive: bool,
    /// Lifetime of an access token in seconds
    #[arg(long, default_value_t = Settings::default().token_seconds)]
    token_seconds: u64,
    /// Cost of the password hashes in a new database; the real server takes 12
    #[arg(long, default_value_t = Settings::default().bcrypt_cost)]
    bcrypt_cost: u32,
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            let _ = writeln!(std::io::stderr(), "mbs-sandbox: {reason:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("signals")?;
    let store = Store {
        data: args.data.clone(),
        db: args.db.clone(),
    };
    let ports = Ports {
        api: args.api_port,
        ws: args.ws_port,
    };
    let sandbox = Sandbox::try_start(settings(args), &store, ports)?;
    let ready = json!({
        "api": sandbox.api(),
        "ws": sandbox.ws(),
        "db": sandbox.db_url(),
        "data": sandbox.data_dir(),
        "pid": std::process::id(),
    });
    writeln!(std::io::stdout(), "{ready}").context("stdout")?;
    signals.forever().next();
    Ok(())
}

fn settings(args: Args) -> Settings {
    Settings {
        fork: args.fork,
        max_content_length: args.max_content_length,
        tasks: args.tasks,
        queue_limit: args.queue_limit,
        ebook_meta: args.ebook_meta,
        task_millis: args.task_millis,
        office: args.office,
        keep_alive: !args.no_keep_alive,
        token_seconds: args.token_seconds,
        bcrypt_cost: args.bcrypt_cost,
        ..Settings::default()
    }
}
