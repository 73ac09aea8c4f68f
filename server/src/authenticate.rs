//! Who sends this request? By Signature V4 alone, for every part of the server, through one call.

mod body;
mod root_credentials;

pub use body::{BodyError, DecodedBody, Trailers};
pub use root_credentials::{CredentialsError, RootCredentials};

use arc_swap::ArcSwap;
use coffer_signature::{Claim, Expected, Payload, Request, SigningKeyCache};
use http::request::Parts;
use jiff::Timestamp;
use std::sync::Arc;

use crate::answer::Refusal;

/// Who a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The holder of the root access key.
    Root,
    /// Nobody: the request isn't signed.
    Anonymous,
}

/// A request whose signature was checked. Its body isn't read yet: `payload` says how it has to be checked while it streams.
#[derive(Debug)]
pub struct Authenticated {
    /// Who sent it.
    pub identity: Identity,
    /// What its signature says of the body.
    pub payload: Payload,
}

/// What signatures are checked against: the root access key, followed while it changes.
#[derive(Debug)]
pub struct Authenticator {
    root: Arc<ArcSwap<RootCredentials>>,
    region: String,
    keys: SigningKeyCache,
}

impl Authenticator {
    /// Checks signatures for `region` by the credentials that `root` holds at the time.
    pub fn new(root: Arc<ArcSwap<RootCredentials>>, region: String) -> Self {
        Self { root, region, keys: SigningKeyCache::default() }
    }

    /// Finds out who sent a request, from its head alone.
    ///
    /// # Errors
    /// What AWS answers: `SignatureDoesNotMatch`, `InvalidAccessKeyId`, `RequestTimeTooSkewed`, …
    pub fn authenticate(&self, head: &Parts, now: Timestamp) -> Result<Authenticated, Refusal> {
        let request = Request {
            method: &head.method,
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
            headers: &head.headers,
        };
        let signed = match coffer_signature::claim(&request)? {
            Claim::Anonymous => {
                let payload = coffer_signature::anonymous_payload(&request)?;
                return Ok(Authenticated { identity: Identity::Anonymous, payload });
            }
            Claim::Signed(signed) => signed,
        };
        if signed.session_token().is_some() {
            return Err(Refusal::new(
                "InvalidToken",
                400,
                "The provided token is malformed or otherwise invalid: this server hasn't issued any session token.",
            ));
        }
        let root = self.root.load();
        let secret = root.secret_of(signed.access_key_id());
        let expected = Expected { region: &self.region, service: "s3" };
        let verified =
            coffer_signature::verify(&signed, &request, secret, &expected, now, &self.keys)?;
        Ok(Authenticated { identity: Identity::Root, payload: verified.payload().clone() })
    }
}
