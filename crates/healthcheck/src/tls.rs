//! TLS between a TCP connection and a machine.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::net::SocketAddr;
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use thiserror::Error;

use crate::{Failure, Machine};

/// How a check speaks TLS (1.2 or 1.3). Make one and clone it for all checks that are alike: they share its configuration.
#[derive(Clone)]
pub struct Tls {
    server_name: Option<ServerName<'static>>,
    /// What identifies it beside the name: the trusted certificates, or `None` for any.
    roots: Option<Arc<[u8]>>,
    config: Arc<ClientConfig>,
}

/// Why TLS cannot be spoken so.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// Neither a DNS name nor an address.
    #[error("`{name}` is no server name")]
    ServerName {
        /// The name.
        name: String,
    },
    /// The text holds no certificate that can be trusted.
    #[error("no usable certificate: {reason}")]
    Roots {
        /// What is wrong with it.
        reason: String,
    },
    /// The TLS library lacks what it needs.
    #[error("tls: {reason}")]
    Library {
        /// What it says.
        reason: String,
    },
}

impl Tls {
    /// Takes any certificate and names no server: whether it answers is what counts, as with keepalived.
    pub fn unverified() -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let any = Arc::new(AnyCertificate(Arc::clone(&provider)));
        let config = builder(provider)?
            .dangerous()
            .with_custom_certificate_verifier(any)
            .with_no_client_auth();
        Ok(Self::with(config, None))
    }

    /// Takes certificates that these PEM certificates vouch for, such as the content of `/etc/ssl/certs/ca-certificates.crt`. They must be for
    /// the server's name, or for its address if no name is set.
    pub fn verified(pem: &[u8]) -> Result<Self, TlsError> {
        let mut store = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let wrong = |reason: String| TlsError::Roots { reason };
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            // System stores hold some that nothing can be built on.
            let (_added, _ignored) = store.add_parsable_certificates([certificate]);
        }
        if store.is_empty() {
            return Err(TlsError::Roots { reason: "none found".to_owned() });
        }
        let provider = Arc::new(ring::default_provider());
        let config = builder(provider)?.with_root_certificates(store).with_no_client_auth();
        Ok(Self::with(config, Some(pem.into())))
    }

    fn with(mut config: ClientConfig, roots: Option<Arc<[u8]>>) -> Self {
        config.resumption = Resumption::disabled(); // each run is to be a whole one
        config.enable_sni = false;
        Self { server_name: None, roots, config: Arc::new(config) }
    }

    /// The name of the server: what it is asked for (SNI) and what its certificate must be for.
    pub fn server_name(mut self, name: &str) -> Result<Self, TlsError> {
        let wrong = |_| TlsError::ServerName { name: name.to_owned() };
        self.server_name = Some(ServerName::try_from(name.to_owned()).map_err(wrong)?);
        Arc::make_mut(&mut self.config).enable_sni = true;
        Ok(self)
    }

    /// The connection state for a fresh connection.
    pub(crate) fn session(&self, target: SocketAddr) -> Result<Session, Failure> {
        let address = || ServerName::IpAddress(target.ip().into());
        let name = self.server_name.clone().unwrap_or_else(address);
        let connection = ClientConnection::new(Arc::clone(&self.config), name);
        let connection = connection.map_err(|error| failure(&error))?;
        Ok(Session { connection, told: false })
    }
}

fn builder(
    provider: Arc<CryptoProvider>,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, TlsError> {
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Library { reason: error.to_string() })
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("server_name", &self.server_name)
            .field("verified", &self.roots.is_some())
            .finish_non_exhaustive()
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        self.server_name == other.server_name && self.roots == other.roots
    }
}

impl Eq for Tls {}

impl Hash for Tls {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.server_name.hash(state);
        self.roots.as_ref().map(|roots| roots.len()).hash(state);
    }
}

/// Names what rustls says.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the list is long and grows; what it does not name has failed"
)]
fn failure(error: &Error) -> Failure {
    Failure::Tls {
        what: match error {
            Error::InvalidCertificate(_) | Error::NoCertificatesPresented => {
                "certificate not accepted"
            }
            Error::InvalidMessage(_) => "not TLS",
            Error::AlertReceived(_) => "refused by the server",
            Error::PeerIncompatible(_) => "no common version or cipher",
            Error::PeerMisbehaved(_) | Error::InappropriateMessage { .. } => {
                "the server breaks the protocol"
            }
            Error::DecryptError | Error::PeerSentOversizedRecord => "a broken record",
            _ => "failed",
        },
    }
}

/// One TLS connection, bytes in and bytes out.
pub(crate) struct Session {
    connection: ClientConnection,
    /// The machine knows that the handshake is done.
    told: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("told", &self.told).finish_non_exhaustive()
    }
}

impl Session {
    /// Moves what is to be sent into `unsent`.
    pub(crate) fn flush_into(&mut self, unsent: &mut Vec<u8>) {
        while self.connection.wants_write() {
            if self.connection.write_tls(unsent).is_err() {
                return; // a vector takes everything
            }
        }
    }

    /// Encrypts `bytes` into `unsent`.
    pub(crate) fn send(&mut self, bytes: &[u8], unsent: &mut Vec<u8>) -> Result<(), Failure> {
        for piece in bytes.chunks(16 << 10) {
            let written = self.connection.writer().write_all(piece);
            written.map_err(|_| Failure::Tls { what: "too much to send" })?;
            self.flush_into(unsent);
        }
        Ok(())
    }

    /// Takes what was received and hands what it holds to `machine`; `plain` is room to work in. What it answers goes into `unsent`.
    /// `true`: the server has ended the session in good order.
    pub(crate) fn receive(
        &mut self,
        mut bytes: &[u8],
        plain: &mut [u8],
        unsent: &mut Vec<u8>,
        machine: &mut dyn Machine,
    ) -> Result<bool, Failure> {
        while !bytes.is_empty() {
            let read = self.connection.read_tls(&mut bytes);
            let count = read.map_err(|_| Failure::Tls { what: "a broken record" })?;
            let state = self.connection.process_new_packets().map_err(|error| failure(&error))?;
            self.flush_into(unsent);
            if !self.told && !self.connection.is_handshaking() {
                self.told = true;
                machine.handle_connected();
            }
            loop {
                match self.connection.reader().read(plain) {
                    Ok(0) => return Ok(true),
                    Ok(count) => machine.handle_data(plain.get(..count).unwrap_or_default()),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(_) => return Err(Failure::Closed),
                }
            }
            if state.peer_has_closed() {
                return Ok(true);
            }
            if count == 0 {
                break;
            }
        }
        Ok(false)
    }
}

/// Any certificate will do.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    // Neither are the signatures looked at: old certificates would not pass, and nothing is trusted because of them.
    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
