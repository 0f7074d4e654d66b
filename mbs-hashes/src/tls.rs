//! Encryption of connections. One rule for PostgreSQL, https and wss: trusted is what the system trusts,
//! or what SSL_CERT_FILE and SSL_CERT_DIR name in its place; no authorities are compiled in. For
//! PostgreSQL sslmode says, as with libpq, what is checked, and sslrootcert names others to trust.
//! A certificate that is trusted itself vouches for itself, as the self-signed ones of many servers need.

use std::{error::Error as StdError, io, path::PathBuf, str::FromStr, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    server::ParsedCertificate,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use tokio_postgres_rustls::MakeRustlsConnect;

/// libpq's sslmode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Never encrypted.
    Disable,
    /// Encrypted only where the server insists.
    Allow,
    /// Encrypted where the server can; nothing is checked.
    Prefer,
    /// Encrypted or not at all; nothing is checked.
    Require,
    /// As require, and a trusted authority vouches for the certificate.
    VerifyCa,
    /// As verify-ca, and the certificate names the host.
    VerifyFull,
}

impl Mode {
    /// libpq reads `require` as `verify-ca` where authorities are named.
    #[must_use]
    pub fn with(self, named_roots: bool) -> Mode {
        match self {
            Mode::Require if named_roots => Mode::VerifyCa,
            mode => mode,
        }
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(name: &str) -> Result<Mode, String> {
        Ok(match name {
            "disable" => Mode::Disable,
            "allow" => Mode::Allow,
            "prefer" => Mode::Prefer,
            "require" => Mode::Require,
            "verify-ca" => Mode::VerifyCa,
            "verify-full" => Mode::VerifyFull,
            _ => {
                let known = "disable, allow, prefer, require, verify-ca or verify-full";
                return Err(format!("sslmode is {known}"));
            }
        })
    }
}

/// Who may vouch for a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// The certificates in a PEM file.
    File(PathBuf),
    /// The system's authorities.
    System,
}

/// What makes encrypted connections to servers that the system trusts, by their names.
///
/// # Errors
/// One line of reason: nothing is trusted.
pub fn system() -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(ring::default_provider());
    let check = Check::new(Mode::VerifyFull, &Roots::System, &provider)?;
    config(Some(check), provider).map(Arc::new)
}

fn config(check: Option<Check>, provider: Arc<CryptoProvider>) -> Result<ClientConfig, String> {
    let verifier = Verifier {
        check,
        provider: Arc::clone(&provider),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

/// What makes encrypted connections in this mode.
///
/// # Errors
/// One line of reason: a root file that cannot be read or holds no certificate.
pub fn connector(mode: Mode, roots: &Roots) -> Result<MakeRustlsConnect, String> {
    let provider = Arc::new(ring::default_provider());
    let check = match mode {
        Mode::VerifyCa | Mode::VerifyFull => Some(Check::new(mode, roots, &provider)?),
        _ => None,
    };
    Ok(MakeRustlsConnect::new(config(check, provider)?))
}

#[derive(Debug)]
struct Verifier {
    check: Option<Check>,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
struct Check {
    chain: Arc<WebPkiServerVerifier>,
    listed: Vec<CertificateDer<'static>>,
    name_too: bool,
}

impl Check {
    fn new(mode: Mode, roots: &Roots, provider: &Arc<CryptoProvider>) -> Result<Check, String> {
        let (listed, whence) = load(roots)?;
        let mut store = RootCertStore::empty();
        let (added, _) = store.add_parsable_certificates(listed.iter().cloned());
        if added == 0 {
            return Err(format!("{whence}: no certificate in it"));
        }
        let chain =
            WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider))
                .build()
                .map_err(|error| format!("{whence}: {error}"))?;
        Ok(Check {
            chain,
            listed,
            name_too: mode == Mode::VerifyFull,
        })
    }
}

fn load(roots: &Roots) -> Result<(Vec<CertificateDer<'static>>, String), String> {
    match roots {
        Roots::File(path) => {
            let whence = format!("sslrootcert {}", path.display());
            let certificates = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect)
                .map_err(|error| format!("{whence}: {}", plain(&error)))?;
            Ok((certificates, whence))
        }
        Roots::System => {
            // Others may be found in SSL_CERT_DIR; who named this file wants it to be trusted.
            if let Some(file) = std::env::var_os("SSL_CERT_FILE")
                && let Err(error) = std::fs::File::open(&file)
            {
                return Err(format!("SSL_CERT_FILE {}: {error}", file.display()));
            }
            let found = rustls_native_certs::load_native_certs();
            let mut whence = "the system's authorities (SSL_CERT_FILE, SSL_CERT_DIR)".to_string();
            if let Some(error) = found.errors.first() {
                whence = format!("{whence}: {error}");
            }
            Ok((found.certs, whence))
        }
    }
}

fn plain(error: &rustls_pki_types::pem::Error) -> String {
    match error {
        rustls_pki_types::pem::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(check) = &self.check else {
            return Ok(ServerCertVerified::assertion());
        };
        // The chain is judged first: an error about the name says that the chain is sound, one about
        // the time that nothing else could be wrong.
        match check
            .chain
            .verify_server_cert(server, between, name, ocsp, now)
        {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !check.name_too => Ok(ServerCertVerified::assertion()),
            Err(Error::InvalidCertificate(
                error @ (CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. }),
            )) => Err(Error::InvalidCertificate(error)),
            Err(_) if check.listed.contains(server) => {
                if check.name_too {
                    verify_server_name(&ParsedCertificate::try_from(server)?, name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// What is wrong with the server's certificate, in words for a person. `trust` is where another one to
/// trust is named.
pub fn explain(error: &Error, trust: &str) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => format!(
            "no trusted authority vouches for the server's certificate ({trust} names one, or the certificate itself)"
        ),
        Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            expected,
            presented,
        }) => format!(
            "the server's certificate is for {}, not for {}",
            presented.join(", "),
            expected.to_str()
        ),
        Error::InvalidCertificate(CertificateError::NotValidForName) => {
            "the server's certificate is for another host name".into()
        }
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "the server's certificate has expired".into(),
        Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => "the server's certificate is not valid yet: are both clocks right?".into(),
        Error::InvalidCertificate(error @ CertificateError::Other(_))
            if format!("{error:?}").contains("CaUsedAsEndEntity") =>
        {
            format!(
                "the server's certificate is an authority of its own, and not trusted ({trust} names it)"
            )
        }
        Error::InvalidMessage(_) => "the server does not speak TLS there".into(),
        other => other.to_string(),
    }
}

/// The first error of a type among an error and its causes, those wrapped in an [`io::Error`] too.
pub fn cause<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let inside = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match inside {
            Some(inside) => Some(inside),
            None => error.source(),
        };
    }
    None
}
