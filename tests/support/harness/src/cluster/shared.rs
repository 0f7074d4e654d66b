//! The one cluster of a test run. Whoever needs it first starts it; it ends some seconds after the
//! last process that uses it, however that process ended.

use std::fs::{self, File};
use std::mem;
use std::path::Path;
use std::sync::OnceLock;

use super::keeper::{Until, is_alive};
use super::place::describe;
use super::template::cache_folder;
use super::{Address, Cluster, Options};

/// Seconds without a user after which the cluster ends.
const IDLE: u32 = 5;

/// A lease on the shared cluster.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) address: Address,
    /// Locked while this process lives; the cluster ends when nobody has it locked.
    _lease: File,
}

/// The cluster that this process shares with all others, leased until the process ends.
///
/// # Panics
/// With the reason when PostgreSQL is not installed or does not come up.
pub(crate) fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let folder = cache_folder().unwrap_or_else(|| panic!("not below cargo's target folder"));
        Shared::lease(&folder, IDLE).unwrap_or_else(|reason| panic!("{reason}"))
    })
}

impl Shared {
    /// Leases the cluster whose address is noted in this folder, after starting it if need be.
    pub(super) fn lease(folder: &Path, idle: u32) -> Result<Self, String> {
        fs::create_dir_all(folder).map_err(|e| describe(folder, "create", &e))?;
        let lock = folder.join("shared.lock");
        let lease = open(&lock)?;
        // Waits while the keeper stops an unused cluster.
        lease
            .lock_shared()
            .map_err(|e| describe(&lock, "lock", &e))?;
        let starting = folder.join("shared.start");
        let start = open(&starting)?;
        start.lock().map_err(|e| describe(&starting, "lock", &e))?;
        let note = folder.join("shared");
        let address = match read(&note) {
            Some(address) => address,
            None => launch(&note, Until::Unused { lock, idle })?,
        };
        Ok(Self {
            address,
            _lease: lease,
        })
    }
}

fn open(path: &Path) -> Result<File, String> {
    let mut options = fs::OpenOptions::new();
    let file = options.create(true).append(true).open(path);
    file.map_err(|e| describe(path, "open", &e))
}

/// The noted address, if that server still runs.
fn read(note: &Path) -> Option<Address> {
    let text = fs::read_to_string(note).ok()?;
    let (pid, rest) = text.split_once(' ')?;
    let (port, socket_dir) = rest.split_once(' ')?;
    let socket_dir = Path::new(socket_dir).to_path_buf();
    // The folder goes with its server, so a process that got the same number does not count.
    (socket_dir.exists() && is_alive(pid)).then_some(Address {
        socket_dir,
        port: port.parse().ok()?,
    })
}

fn launch(note: &Path, until: Until) -> Result<Address, String> {
    let conf = ["max_connections = 400", "autovacuum = off"];
    let options = Options {
        conf: conf.map(Into::into).into(),
        ..Options::default()
    };
    let cluster = Cluster::try_start_until(&options, until)?;
    let address = cluster.address.clone();
    let pid = fs::read_to_string(cluster.place.data.join("postmaster.pid")).unwrap_or_default();
    let pid = pid.lines().next().unwrap_or_default();
    let folder = address.socket_dir.display();
    fs::write(note, format!("{pid} {} {folder}", address.port))
        .map_err(|e| describe(note, "write", &e))?;
    // Its keeper ends it.
    mem::forget(cluster);
    Ok(address)
}
