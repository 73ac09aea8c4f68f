//! A signed request that can be bent on its way.

use std::time::Duration;

use coffer_signature::{
    Claim, Credentials, Expected, PayloadHash, Refusal, Request, SecretKey, Signer,
    SigningKeyCache, V2Signer, Verified, claim, verify,
};
use http::{HeaderMap, HeaderValue, Method};
use jiff::Timestamp;

pub(crate) const EXPECTED: Expected<'_> =
    Expected { region: "us-east-1", service: "s3", host_bucket: None };
pub(crate) const SECRET: &str = "canary-secret";

pub(crate) fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

pub(crate) fn credentials() -> Credentials {
    Credentials {
        access_key_id: "id".parse().unwrap(),
        secret_key: SecretKey::new(SECRET.to_owned()),
        session_token: None,
    }
}

/// A request that can be bent before it is sent, after it was signed.
#[derive(Clone)]
pub(crate) struct Sent {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
}

impl Sent {
    pub(crate) fn request(&self) -> Request<'_> {
        Request {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
        }
    }

    pub(crate) fn verify_at(
        &self,
        now: Timestamp,
        expected: &Expected<'_>,
    ) -> Result<Verified, Refusal> {
        match claim(&self.request())? {
            Claim::Anonymous | Claim::Form => panic!("no signature"),
            Claim::Signed(claim) => {
                let known = credentials();
                let secret =
                    (*claim.access_key_id() == known.access_key_id).then_some(&known.secret_key);
                verify(&claim, &self.request(), secret, expected, now, &SigningKeyCache::default())
            }
        }
    }

    pub(crate) fn code(&self) -> &'static str {
        self.code_at(now())
    }

    pub(crate) fn code_at(&self, now: Timestamp) -> &'static str {
        match self.verify_at(now, &EXPECTED) {
            Ok(_) => "OK",
            Err(refusal) => {
                let shown = format!("{refusal} {refusal:?}");
                let signature = self.signature();
                let told = !signature.is_empty() && shown.contains(&signature);
                assert!(!shown.contains(SECRET) && !told, "{shown}");
                refusal.code()
            }
        }
    }

    pub(crate) fn signature(&self) -> String {
        let header = self.headers.get("authorization").and_then(|value| value.to_str().ok());
        let text = header.unwrap_or(&self.query);
        let signature = text.rsplit_once("Signature=").or_else(|| text.rsplit_once(':'));
        signature.map_or_else(|| "?".to_owned(), |(_, signature)| signature.to_owned())
    }

    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.headers.insert(name, value.parse().unwrap());
    }

    pub(crate) fn add(&mut self, name: &'static str, value: &str) {
        self.headers.append(name, value.parse().unwrap());
    }

    pub(crate) fn edit_header(&mut self, name: &'static str, from: &str, to: &str) {
        let text = self.headers.get(name).unwrap().to_str().unwrap().to_owned();
        assert!(text.contains(from), "{text}");
        self.set(name, &text.replacen(from, to, 1));
    }

    pub(crate) fn edit_query(&mut self, from: &str, to: &str) {
        assert!(self.query.contains(from), "{}", self.query);
        self.query = self.query.replacen(from, to, 1);
    }
}

pub(crate) fn base() -> Sent {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("s3.example.com"));
    Sent { method: Method::PUT, path: "/bucket/key".to_owned(), query: "a=1".to_owned(), headers }
}

pub(crate) fn in_header() -> Sent {
    let mut sent = base();
    sent.set("x-amz-meta-a", "1");
    let (credentials, hash) = (credentials(), PayloadHash::of(b"body"));
    let signer = Signer { credentials: &credentials, region: "us-east-1", service: "s3" };
    signer
        .sign_headers(&sent.method, &sent.path, &sent.query, &mut sent.headers, &hash, now())
        .unwrap();
    sent
}

pub(crate) fn presigned() -> Sent {
    let mut sent = base();
    let credentials = credentials();
    let signer = Signer { credentials: &credentials, region: "us-east-1", service: "s3" };
    let life = Duration::from_hours(1);
    sent.query =
        signer.presign(&sent.method, &sent.path, &sent.query, &sent.headers, life, now()).unwrap();
    sent
}

pub(crate) fn v2_in_header() -> Sent {
    let mut sent = base();
    sent.set("content-type", "text/plain");
    sent.set("x-amz-meta-a", "1");
    "versionId=null&a=1".clone_into(&mut sent.query);
    let credentials = credentials();
    V2Signer { credentials: &credentials, host_bucket: None }
        .sign_headers(&sent.method, &sent.path, &sent.query, &mut sent.headers, now())
        .unwrap();
    sent
}

pub(crate) fn v2_presigned() -> Sent {
    let mut sent = base();
    let credentials = credentials();
    let end = now() + jiff::SignedDuration::from_hours(1);
    sent.query = V2Signer { credentials: &credentials, host_bucket: None }
        .presign(&sent.method, &sent.path, "versionId=null", &sent.headers, end)
        .unwrap();
    sent
}
