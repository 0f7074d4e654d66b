//! systemd's watchdog: sd_notify(3).

use std::{
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::Duration,
};

/// A line to the service manager.
pub(crate) struct Notify {
    socket: UnixDatagram,
    /// How often it wants to hear.
    pub(crate) every: Duration,
}

/// What the command must not inherit, or it would speak in our place.
pub(crate) const VARIABLES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

impl Notify {
    /// To the manager that started us, where it did.
    pub(crate) fn open() -> io::Result<Option<Notify>> {
        let Some(name) = std::env::var_os(VARIABLES[0]).filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.connect_addr(&address(&name)?)?;
        let period = std::env::var(VARIABLES[1]).ok();
        let period = period.and_then(|period| period.parse().ok());
        let notify = Notify {
            socket,
            // Twice in the time it allows, as sd_watchdog_enabled(3) advises.
            every: period.map_or(Duration::from_secs(1), Duration::from_micros) / 2,
        };
        notify.say("READY=1");
        Ok(Some(notify))
    }

    /// The command lives and is not stalled.
    pub(crate) fn feed(&self) {
        self.say("WATCHDOG=1");
    }

    fn say(&self, text: &str) {
        // A manager that does not listen will find out by itself.
        let _ = self.socket.send(text.as_bytes());
    }
}

fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    }
}
