//! A real pgbouncer before a cluster, gone when the test is gone.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{Workdir, cluster::Address, wait_for};

/// The account that Debian's package runs it as; as root it refuses.
const ACCOUNT: &str = "postgres";

/// A running pgbouncer.
pub struct Pooler {
    child: Child,
    port: u16,
    folder: Workdir,
}

impl Pooler {
    /// Starts one in `mode` (`session`, `transaction` or `statement`) with these lines more in its
    /// settings. Any user may enter without a password.
    ///
    /// # Panics
    /// It is not installed or does not come up.
    #[must_use]
    pub fn start(cluster: &Address, mode: &str, more: &[&str]) -> Pooler {
        let folder = Workdir::new();
        let port = {
            let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
            free.expect("a free port").port()
        };
        let users = folder.write(
            "users",
            ["postgres", "ebooks", "reader", "web"]
                .map(|user| format!("\"{user}\" \"\"\n"))
                .concat(),
        );
        let settings = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\n\
             pool_mode = {mode}\n{}\n",
            cluster.socket_dir().display(),
            cluster.port(),
            users.display(),
            more.join("\n")
        );
        let settings = folder.write("pgbouncer.ini", settings);
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if rustix::process::geteuid().is_root() {
            let owned = Command::new("chown")
                .args(["-R", ACCOUNT])
                .arg(folder.path())
                .status();
            assert!(owned.is_ok_and(|status| status.success()), "chown");
            command.args(["--reuid", ACCOUNT, "--regid", ACCOUNT, "--init-groups"]);
        }
        let log = fs::File::create(folder.join("log")).expect("a log");
        let child = command
            .args(["--", "pgbouncer"])
            .arg(settings)
            .env(
                "PATH",
                "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin:/bin",
            )
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("setpriv");
        let pooler = Pooler {
            child,
            port,
            folder,
        };
        wait_for("pgbouncer", Duration::from_secs(60), || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        pooler
    }

    /// Connection URL for a user.
    #[must_use]
    pub fn url(&self, user: &str, db: &str) -> String {
        format!("postgresql://{user}@127.0.0.1:{}/{db}", self.port)
    }

    /// What it said so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
