//! What a client's certificate says, once the handshake has proven it.

use jiff::Timestamp;
use rustls::{HandshakeKind, ServerConnection};
use x509_parser::extensions::GeneralName;

/// A certificate whose holder is at the other end of the connection. That its authority is the configured one, that it is for
/// clients and that it was valid then, the handshake has checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The only name that it has, a URI; `None` if it has none, others, or several.
    uri: Option<String>,
    not_after: Timestamp,
}

impl ClientCertificate {
    /// The certificate of a connection. One that takes up an earlier session has none: nothing was proven anew.
    pub fn of(session: &ServerConnection) -> Option<Self> {
        if session.handshake_kind() == Some(HandshakeKind::Resumed) {
            return None;
        }
        Self::parse(session.peer_certificates()?.first()?)
    }

    fn parse(der: &[u8]) -> Option<Self> {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
        let names = certificate.subject_alternative_name().ok()?;
        let uri = match names.map(|names| names.value.general_names.as_slice()) {
            Some([GeneralName::URI(uri)]) => Some((*uri).to_owned()),
            Some(_) | None => None,
        };
        let not_after = certificate.validity().not_after.timestamp();
        Some(Self { uri, not_after: Timestamp::from_second(not_after).ok()? })
    }

    /// Whether it is of this name, letter for letter, and still valid: a connection may outlive it.
    pub fn is(&self, uri: &str, now: Timestamp) -> bool {
        self.uri.as_deref() == Some(uri) && now < self.not_after
    }
}
