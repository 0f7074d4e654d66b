//! HTTPS for ureq with the certificates that this machine trusts, as everywhere else in these tools.

use std::{
    fmt,
    io::{self, Read, Write},
    sync::Arc,
};

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;
use ureq::{
    Error,
    unversioned::transport::{
        Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
        TransportAdapter,
    },
};

use crate::tls;

/// Puts TLS onto a connection to an https address; others pass.
#[derive(Debug, Default)]
pub struct Https;

/// An encrypted connection.
pub struct Secure {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl fmt::Debug for Secure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secure")
    }
}

impl<In: Transport> Connector<In> for Https {
    type Out = Either<In, Secure>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(transport) = chained else {
            return Ok(None);
        };
        if !details.needs_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let trust = tls::system().map_err(|why| Error::Other(format!("TLS: {why}").into()))?;
        let mut stream = secure(trust, details, transport)?;
        // Here, so that what is wrong with the certificate is not taken for a broken connection.
        if let Err(error) = stream.conn.complete_io(&mut stream.sock) {
            return Err(match tls::cause::<rustls::Error>(&error) {
                Some(error) => {
                    Error::Other(format!("TLS: {}", tls::explain(error, "SSL_CERT_FILE")).into())
                }
                None => error.into(),
            });
        }
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(Either::B(Secure { buffers, stream })))
    }
}

fn secure(
    trust: Arc<ClientConfig>,
    details: &ConnectionDetails<'_>,
    transport: impl Transport,
) -> Result<StreamOwned<ClientConnection, TransportAdapter>, Error> {
    let host = details.uri.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_string())
        .map_err(|_| Error::BadUri(format!("{host} is no host name")))?;
    let conn =
        ClientConnection::new(trust, name).map_err(|error| Error::Io(io::Error::other(error)))?;
    let mut sock = TransportAdapter::new(transport.boxed(), details.current_time.clone());
    sock.set_timeout(details.timeout);
    Ok(StreamOwned::new(conn, sock))
}

impl Transport for Secure {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.get_mut().set_timeout(timeout);
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.get_mut().set_timeout(timeout);
        let count = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(count);
        Ok(count > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}
