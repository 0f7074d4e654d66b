//! Making the WebSocket, in clear or over TLS.

use std::{
    net::{TcpStream, ToSocketAddrs},
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

use mbs_hashes::tls;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tungstenite::{
    Connector, Error, HandshakeError, WebSocket,
    error::ProtocolError,
    http::Uri,
    protocol::WebSocketConfig,
    stream::{MaybeTlsStream, Mode},
};
use wire::secret::redact;

use crate::{
    api::rest::Rest,
    model::failure::Failure,
    retry::{
        shutdown::{STOPPED, Shutdown},
        timeout::spell,
    },
};

const CONNECT_WITHIN: Duration = Duration::from_secs(20);
/// The server may first have to close the connection that this one replaces, which takes it 10 s
/// when the other end is dead.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(30);
/// Longest pause in between, shorter than a second.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// Bytes of a message. The engine's are small; its tracebacks have some thousands.
const LONGEST: usize = 1 << 20;

pub(super) type Socket = WebSocket<MaybeTlsStream<TcpStream>>;

/// Where the engine is, and which session of it is ours.
#[derive(Debug)]
pub(super) struct Address {
    uri: Uri,
    session: String,
}

impl Address {
    pub(super) fn new(url: &str, session: String) -> Result<Address, Failure> {
        let uri = url
            .parse()
            .map_err(|error| Failure::NotReached(format!("{error}")))?;
        Ok(Address { uri, session })
    }

    /// A new connection; a token that is refused is replaced once. The socket does not block.
    pub(super) fn connect(&self, api: &Rest, shutdown: &Shutdown) -> Result<Socket, Failure> {
        let within = api.answer_within().min(HANDSHAKE_WITHIN);
        let connect = |token: &str| self.connect_with(token, within, shutdown);
        let token = api.token()?;
        match connect(&token) {
            Err(Failure::Denied(_)) => connect(&api.replace_token(&token)?),
            other => other,
        }
    }

    fn connect_with(
        &self,
        token: &str,
        within: Duration,
        shutdown: &Shutdown,
    ) -> Result<Socket, Failure> {
        let unreached = |error: std::io::Error| Failure::NotReached(error.to_string());
        let stream = self.reach().map_err(unreached)?;
        stream.set_nodelay(true).map_err(unreached)?;
        stream.set_nonblocking(true).map_err(unreached)?;
        let glue = if self.uri.query().is_some() { '&' } else { '?' };
        // Tokens and session ids need no escapes in a query.
        let url = format!(
            "{}{glue}token={token}&session_id={}",
            self.uri, self.session
        );
        let tls = match tungstenite::client::uri_mode(&self.uri) {
            Ok(Mode::Tls) => Some(Connector::Rustls(
                tls::system().map_err(|why| Failure::Unusable(format!("TLS: {why}")))?,
            )),
            _ => None,
        };
        let bounds = WebSocketConfig::default()
            .max_message_size(Some(LONGEST))
            .max_frame_size(Some(LONGEST));
        let deadline = Instant::now() + within;
        let mut made = tungstenite::client_tls_with_config(url, stream, Some(bounds), tls);
        loop {
            let half = match made {
                Ok((socket, _)) => return Ok(socket),
                Err(HandshakeError::Failure(error)) => return Err(refused(error)),
                Err(HandshakeError::Interrupted(half)) => half,
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let time = spell(within);
                let why = format!("no answer to the WebSocket's handshake for {time}");
                return Err(Failure::NotReached(why));
            }
            if shutdown.requested() {
                return Err(Failure::NotReached(STOPPED.into()));
            }
            // Now and then also without news: it may wait for room.
            let pause = Timespec {
                tv_sec: 0,
                tv_nsec: i64::from(left.min(LOOK_AGAIN).subsec_nanos()),
            };
            let stream = raw(half.get_ref().get_ref());
            let mut fds = [
                PollFd::new(stream, PollFlags::IN),
                PollFd::new(shutdown, PollFlags::IN),
            ];
            let _ = poll(&mut fds, Some(&pause));
            made = half.handshake();
        }
    }

    fn reach(&self) -> std::io::Result<TcpStream> {
        let host = self.uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let usual = if self.uri.scheme_str() == Some("wss") {
            443
        } else {
            80
        };
        let port = self.uri.port_u16().unwrap_or(usual);
        let mut last = std::io::Error::other("the name has no address");
        for address in (host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT_WITHIN) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

fn refused(error: Error) -> Failure {
    match error {
        Error::Http(response) => match response.status().as_u16() {
            401 => Failure::Denied("HTTP 401: the token is refused".into()),
            status @ 400..500 => Failure::Unusable(format!("HTTP {status} instead of a WebSocket")),
            status => Failure::NotReached(format!("HTTP {status} instead of a WebSocket")),
        },
        Error::Protocol(ProtocolError::WrongHttpVersion) => Failure::Unusable(error.to_string()),
        other => match tls::cause::<rustls::Error>(&other) {
            Some(error) => {
                let why = tls::explain(error, "SSL_CERT_FILE");
                Failure::Unusable(format!("TLS: {why}"))
            }
            None => Failure::NotReached(redact(&other.to_string())),
        },
    }
}

fn raw(stream: &MaybeTlsStream<TcpStream>) -> &TcpStream {
    match stream {
        MaybeTlsStream::Rustls(stream) => &stream.sock,
        MaybeTlsStream::Plain(stream) => stream,
        _ => unreachable!("no other kind of stream is compiled in"),
    }
}

/// The descriptor to wait on.
pub(super) fn descriptor(socket: &Socket) -> BorrowedFd<'_> {
    raw(socket.get_ref()).as_fd()
}
