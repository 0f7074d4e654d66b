//! The servers that a database may be on.

use std::net::IpAddr;

/// Debian's place for the server's socket, libpq's default there.
const SOCKET_FOLDER: &str = "/var/run/postgresql";

/// A way to one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name, address, or folder of the Unix socket.
    pub host: String,
    /// Its address, where that is given beside the name.
    pub address: Option<IpAddr>,
    /// Port.
    pub port: u16,
}

impl Endpoint {
    /// Is it a Unix socket?
    pub fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }
}

/// What lists of hosts, of their addresses and of ports say together; a port alone is that of all.
pub(super) fn all(
    hosts: Option<&str>,
    addresses: Option<&str>,
    ports: Option<&str>,
) -> Result<Vec<Endpoint>, String> {
    let list = |text: Option<&str>| -> Vec<String> {
        text.map_or_else(Vec::new, |text| text.split(',').map(Into::into).collect())
    };
    let (hosts, addresses, ports) = (list(hosts), list(addresses), list(ports));
    let count = hosts.len().max(addresses.len()).max(1);
    if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
        return Err("host and hostaddr differ in number".into());
    }
    if ports.len() > 1 && ports.len() != count {
        return Err("host and port differ in number".into());
    }
    (0..count)
        .map(|i| {
            let address = addresses.get(i).filter(|text| !text.is_empty());
            let host = hosts.get(i).filter(|text| !text.is_empty()).or(address);
            let port = ports
                .get(i)
                .or(ports.first())
                .filter(|text| !text.is_empty());
            if host.is_some_and(|host| host.starts_with('@')) {
                return Err("host: a socket without a file is not supported".into());
            }
            Ok(Endpoint {
                host: host.map_or(SOCKET_FOLDER, String::as_str).to_string(),
                address: match address.map(|text| text.parse()) {
                    Some(Err(_)) => return Err("hostaddr is no IP address".into()),
                    other => other.and_then(Result::ok),
                },
                port: match port.map(|text| text.parse()) {
                    Some(Err(_) | Ok(0)) => return Err("port is not from 1 to 65535".into()),
                    other => other.and_then(Result::ok).unwrap_or(5432),
                },
            })
        })
        .collect()
}
