//! Who sends this request? By Signature V4 or V2, for every part of the server, through one call.

mod bearer;
mod body;
mod form;
mod root_credentials;

pub use body::{BodyError, DecodedBody, Trailers};
pub use form::OpenForm;
pub use root_credentials::{CredentialsError, RootCredentials};

use arc_swap::ArcSwap;
use clap::ValueEnum;
use coffer_signature::post_form::{self, Fields, LengthRange};
use coffer_signature::{
    AccessKeyId, Claim, Expected, Payload, Request, Scheme, Scope, SecretKey, SigningKeyCache,
};
use http::header::AUTHORIZATION;
use http::request::Parts;
use jiff::Timestamp;
use std::sync::Arc;

use crate::accept::client_certificate::ClientCertificate;
use crate::answer::Refusal;
use crate::authorize::{self, Identity, RootS3};
use crate::iam::{Iam, Snapshot};

/// A request whose signature was checked. Its body isn't read yet: `payload` says how it has to be checked while it streams.
#[derive(Debug)]
pub struct Authenticated {
    /// Who sent it.
    pub caller: authorize::Caller,
    /// When it was signed, where the signature says so.
    pub signed_at: Option<Timestamp>,
    /// How it was signed: V2 is deprecated, and each use of it is for the record.
    pub scheme: Scheme,
    /// What its signature says of the body.
    pub payload: Payload,
}

/// What the head of a request says of who sent it.
#[derive(Debug)]
pub enum Caller {
    /// All that there is to say.
    Known(Box<Authenticated>),
    /// Nothing: it is said in the fields of a form, which are in the body.
    InForm,
}

/// Whether the deprecated Signature V2 is good for anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SignatureV2 {
    /// As good as V4: some tools know no other.
    On,
    /// Refused, as AWS does in its newer regions.
    Off,
}

/// What signatures are checked against: the root access key, followed while it changes, and all other identities.
#[derive(Debug)]
pub struct Authenticator {
    root: Arc<ArcSwap<RootCredentials>>,
    /// `None` where the tenant has no key to seal identities by: then there is only root.
    iam: Option<Arc<Iam>>,
    region: String,
    v2: SignatureV2,
    root_s3: RootS3,
    keys: SigningKeyCache,
    /// The URI in the control identity's certificate; `None` where there is no such identity.
    control: Option<String>,
}

impl Authenticator {
    /// Checks signatures for `region` by the credentials that `root` and `iam` hold at the time.
    pub fn new(
        root: Arc<ArcSwap<RootCredentials>>,
        iam: Option<Arc<Iam>>,
        region: String,
        v2: SignatureV2,
        root_s3: RootS3,
        control: Option<String>,
    ) -> Self {
        Self { root, iam, region, v2, root_s3, keys: SigningKeyCache::default(), control }
    }

    /// The region that signatures have to name.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// All other identities; `None` where there are none but root.
    pub fn iam(&self) -> Option<&Arc<Iam>> {
        self.iam.as_ref()
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.iam.as_ref().map(|iam| iam.snapshot()).unwrap_or_default()
    }

    fn caller(&self, identity: Identity, snapshot: Arc<Snapshot>) -> authorize::Caller {
        authorize::Caller::new(identity, snapshot, self.root_s3)
    }

    /// Who has this access key, with its secret, if it may be used now.
    fn holder(
        &self,
        access_key_id: &AccessKeyId,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Option<(Identity, SecretKey)> {
        if let Some(secret) = self.root.load().secret_of(access_key_id) {
            return Some((Identity::Root, secret.clone()));
        }
        let signer = snapshot.signer(access_key_id.as_str(), now)?;
        let secret = signer.secret_key().clone();
        Some((Identity::Signer(signer), secret))
    }

    /// Finds out who sent a request, from its head alone. `host_bucket` is the bucket that its host names.
    ///
    /// # Errors
    /// What AWS answers: `SignatureDoesNotMatch`, `InvalidAccessKeyId`, `RequestTimeTooSkewed`, …
    pub fn authenticate(
        &self,
        head: &Parts,
        host_bucket: Option<&str>,
        now: Timestamp,
    ) -> Result<Caller, Refusal> {
        let request = Request {
            method: &head.method,
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
            headers: &head.headers,
        };
        if self.v2 == SignatureV2::Off {
            self.allows(coffer_signature::scheme(&request)?)?;
        }
        let signed = match coffer_signature::claim(&request)? {
            Claim::Anonymous => {
                return Ok(Caller::Known(Box::new(Authenticated {
                    caller: self.caller(Identity::Anonymous, self.snapshot()),
                    signed_at: None,
                    scheme: Scheme::Anonymous,
                    payload: coffer_signature::anonymous_payload(&request)?,
                })));
            }
            Claim::Signed(signed) => signed,
            Claim::Form => return Ok(Caller::InForm),
        };
        without_token(signed.session_token())?;
        let snapshot = self.snapshot();
        let (identity, secret) = self.holder(signed.access_key_id(), &snapshot, now).unzip();
        let expected = Expected { region: &self.region, service: "s3", host_bucket };
        let secret = secret.as_ref();
        let verified =
            coffer_signature::verify(&signed, &request, secret, &expected, now, &self.keys)?;
        Ok(Caller::Known(Box::new(Authenticated {
            // Without a secret nothing was verified.
            caller: self.caller(identity.unwrap_or(Identity::Anonymous), snapshot),
            signed_at: verified.signed_at(),
            scheme: verified.scheme(),
            payload: verified.payload().clone(),
        })))
    }

    /// Finds out who sent a request of the admin API, with the secret that its bodies are encrypted by.
    ///
    /// # Errors
    /// `AccessDenied` for every form but a V4 header that signs the body's hash, else as [`Authenticator::authenticate`].
    pub fn authenticate_admin(
        &self,
        head: &Parts,
        now: Timestamp,
    ) -> Result<(Authenticated, SecretKey), Refusal> {
        let request = Request {
            method: &head.method,
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
            headers: &head.headers,
        };
        let names_hash = head.headers.contains_key("x-amz-content-sha256");
        if coffer_signature::scheme(&request)? != Scheme::V4Header || !names_hash {
            return Err(Refusal::access_denied());
        }
        let Claim::Signed(signed) = coffer_signature::claim(&request)? else {
            return Err(Refusal::access_denied());
        };
        without_token(signed.session_token())?;
        let snapshot = self.snapshot();
        let (identity, secret) = self.holder(signed.access_key_id(), &snapshot, now).unzip();
        // Clients of the admin API don't know the region, and sign for any.
        let region = signed.scope().map_or(self.region.as_str(), Scope::region);
        let expected = Expected { region, service: "s3", host_bucket: None };
        let verified = coffer_signature::verify(
            &signed,
            &request,
            secret.as_ref(),
            &expected,
            now,
            &self.keys,
        )?;
        let (Some(identity), Some(secret)) = (identity, secret) else {
            return Err(Refusal::access_denied());
        };
        if !matches!(verified.payload(), Payload::Sha256(_)) {
            return Err(Refusal::access_denied());
        }
        let authenticated = Authenticated {
            caller: self.caller(identity, snapshot),
            signed_at: verified.signed_at(),
            scheme: verified.scheme(),
            payload: verified.payload().clone(),
        };
        Ok((authenticated, secret))
    }

    /// Finds out whether a request comes from the control identity: by its certificate alone, and only if it carries no other
    /// authentication.
    ///
    /// # Errors
    /// `AccessDenied` for everyone else.
    pub fn authenticate_control(
        &self,
        head: &Parts,
        certificate: Option<&ClientCertificate>,
        now: Timestamp,
    ) -> Result<Authenticated, Refusal> {
        let request = Request {
            method: &head.method,
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
            headers: &head.headers,
        };
        let is_signed = coffer_signature::scheme(&request)? != Scheme::Anonymous
            || head.headers.contains_key(AUTHORIZATION);
        let is_control = match (&self.control, certificate) {
            (Some(name), Some(certificate)) => certificate.is(name, now),
            (_, _) => false,
        };
        if is_signed || !is_control {
            return Err(Refusal::access_denied());
        }
        Ok(Authenticated {
            caller: self.caller(Identity::Control, self.snapshot()),
            signed_at: None,
            scheme: Scheme::Anonymous,
            payload: Payload::Unsigned,
        })
    }

    /// Finds out who signed a form, and which lengths of its file that allows, from the fields before the file.
    ///
    /// # Errors
    /// What AWS answers: `AccessDenied` for what the form's policy doesn't allow, `InvalidPolicyDocument`, and as above.
    pub fn authenticate_form(
        &self,
        fields: &Fields,
        bucket: &str,
        now: Timestamp,
    ) -> Result<(Authenticated, LengthRange), Refusal> {
        let payload = Payload::Unsigned;
        let Some(signed) = post_form::claim(fields)? else {
            let caller = self.caller(Identity::Anonymous, self.snapshot());
            let scheme = Scheme::Anonymous;
            let anonymous = Authenticated { caller, signed_at: None, scheme, payload };
            return Ok((anonymous, 0..=u64::MAX));
        };
        self.allows(signed.scheme())?;
        without_token(signed.session_token())?;
        let snapshot = self.snapshot();
        let (identity, secret) = self.holder(signed.access_key_id(), &snapshot, now).unzip();
        let expected = Expected { region: &self.region, service: "s3", host_bucket: None };
        let verified = signed.verify(secret.as_ref(), &expected, &self.keys)?;
        let lengths = verified.check(fields, bucket, now)?;
        let caller = self.caller(identity.unwrap_or(Identity::Anonymous), snapshot);
        let scheme = verified.scheme();
        Ok((Authenticated { caller, signed_at: None, scheme, payload }, lengths))
    }

    /// Finds out whose scraper sends a request: it bears a token, or is signed as any other.
    ///
    /// # Errors
    /// `AccessDenied` for a token that isn't good; as [`Authenticator::authenticate`] otherwise.
    pub fn authenticate_scraper(
        &self,
        head: &Parts,
        now: Timestamp,
    ) -> Result<Box<Authenticated>, Refusal> {
        let bearer = head
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer ").map(str::trim));
        let Some(token) = bearer else {
            return match self.authenticate(head, None, now)? {
                Caller::Known(caller) => Ok(caller),
                Caller::InForm => Err(Refusal::access_denied()),
            };
        };
        let snapshot = self.snapshot();
        let holder = |key: &str| self.holder(&key.parse().ok()?, &snapshot, now);
        let subject = bearer::subject(token, |key| holder(key).map(|(_, secret)| secret), now);
        let (identity, _) = subject.and_then(|key| holder(&key)).ok_or_else(|| {
            // As of any that is guessed: a token is made with a secret key.
            Refusal::new("InvalidToken", 403, "The bearer token isn't good for these metrics.")
        })?;
        Ok(Box::new(Authenticated {
            caller: self.caller(identity, snapshot),
            signed_at: None,
            scheme: Scheme::Anonymous,
            payload: Payload::Unsigned,
        }))
    }

    /// Source: AWS's answer in regions that never knew Signature V2.
    fn allows(&self, scheme: Scheme) -> Result<(), Refusal> {
        if self.v2 == SignatureV2::Off && scheme.is_v2() {
            return Err(Refusal::new(
                "InvalidRequest",
                400,
                "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
            ));
        }
        Ok(())
    }
}

/// No session token was ever issued here.
fn without_token(token: Option<&str>) -> Result<(), Refusal> {
    match token {
        None => Ok(()),
        Some(_) => Err(Refusal::new(
            "InvalidToken",
            400,
            "The provided token is malformed or otherwise invalid: this server hasn't issued any session token.",
        )),
    }
}
