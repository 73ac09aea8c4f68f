//! Encryption at rest: every form by every way, and what is refused on the way.

mod forms;
mod refusals;
mod defaults;
mod parts;
mod copies;
mod permissions;
mod at_rest;
mod rotation;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coffer_tests::client::Answer;
use coffer_tests::server::Server;
use coffer_tests::{identity, static_kms};
use md5::{Digest, Md5};
use tempfile::TempDir;

use crate::claim::send;

pub(crate) const SSE: &str = "x-amz-server-side-encryption";
pub(crate) const KMS_KEY: &str = "x-amz-server-side-encryption-aws-kms-key-id";
const CONTEXT: &str = "x-amz-server-side-encryption-context";

/// A form of encryption that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    S3,
    Kms,
    KmsOther,
    Customer(u8),
}

impl Form {
    pub(crate) const ALL: [Self; 5] =
        [Self::Plain, Self::S3, Self::Kms, Self::KmsOther, Self::Customer(1)];
    pub(crate) const ENCRYPTED: [Self; 4] =
        [Self::S3, Self::Kms, Self::KmsOther, Self::Customer(1)];

    /// The headers of a write.
    pub(crate) fn write(self) -> Vec<(String, String)> {
        match self {
            Self::Plain => Vec::new(),
            Self::S3 => vec![pair(SSE, "AES256")],
            Self::Kms => vec![pair(SSE, "aws:kms")],
            Self::KmsOther => vec![
                pair(SSE, "aws:kms"),
                pair(KMS_KEY, static_kms::OTHER_KEY),
                pair(CONTEXT, &STANDARD.encode(r#"{"project":"x"}"#)),
            ],
            Self::Customer(_) => self.read(),
        }
    }

    /// The headers of a read, or of a part.
    pub(crate) fn read(self) -> Vec<(String, String)> {
        match self {
            Self::Plain | Self::S3 | Self::Kms | Self::KmsOther => Vec::new(),
            Self::Customer(byte) => customer("x-amz-server-side-encryption-customer", byte),
        }
    }

    /// The headers about what is copied from.
    pub(crate) fn source(self) -> Vec<(String, String)> {
        match self {
            Self::Plain | Self::S3 | Self::Kms | Self::KmsOther => Vec::new(),
            Self::Customer(byte) => {
                customer("x-amz-copy-source-server-side-encryption-customer", byte)
            }
        }
    }

    /// What an answer says.
    pub(crate) fn assert_told(self, answer: &Answer, why: &str) {
        let told = |name: &str| answer.header(name);
        let customer = "x-amz-server-side-encryption-customer-algorithm";
        let expected = match self {
            Self::Plain => ["", "", ""],
            Self::S3 => ["AES256", "", ""],
            Self::Kms => ["aws:kms", "arn:aws:kms:::photos", ""],
            Self::KmsOther => ["aws:kms", "arn:aws:kms:::archive", ""],
            Self::Customer(_) => ["", "", "AES256"],
        };
        assert_eq!([told(SSE), told(KMS_KEY), told(customer)], expected, "{self:?} {why}");
        assert!(told("x-amz-server-side-encryption-customer-key").is_empty(), "{why}");
    }

    /// Whether the entity tag is the content's MD5.
    fn tells_md5(self) -> bool {
        matches!(self, Self::Plain | Self::S3)
    }
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// The key of a customer.
fn key(byte: u8) -> [u8; 32] {
    [b'a' + byte; 32]
}

fn customer(start: &str, byte: u8) -> Vec<(String, String)> {
    vec![
        (format!("{start}-algorithm"), "AES256".to_owned()),
        (format!("{start}-key"), STANDARD.encode(key(byte))),
        (format!("{start}-key-md5"), STANDARD.encode(Md5::digest(key(byte)))),
    ]
}

/// A server with a KMS and the bucket `photos`.
pub(crate) async fn server_with(settings: &[(&str, &str)]) -> Server {
    let folder = TempDir::new().unwrap();
    identity::write(folder.path());
    let kms = static_kms::write(folder.path());
    let mut all: Vec<(&str, &str)> =
        kms.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    all.extend(settings);
    let server = Server::start_in(folder, &all).await;
    assert_eq!(send(server.client(), "PUT /photos", &[], "").await.status, 200);
    server
}

/// Sends a request with these headers beside.
pub(crate) async fn ask(
    server: &Server,
    line: &str,
    headers: &[&[(String, String)]],
    body: impl Into<bytes::Bytes>,
) -> Answer {
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .flat_map(|some| some.iter().map(|(name, value)| (name.as_str(), value.as_str())))
        .collect();
    send(server.client(), line, &headers, body).await
}

/// The same, which has to succeed.
pub(crate) async fn done(
    server: &Server,
    line: &str,
    headers: &[&[(String, String)]],
    body: impl Into<bytes::Bytes>,
) -> Answer {
    let answer = ask(server, line, headers, body).await;
    assert!(answer.status.is_success(), "{line} {headers:?}: {} {}", answer.status, answer.text());
    answer
}

/// Content that repeats nowhere.
pub(crate) fn content(length: usize) -> Vec<u8> {
    let mut state: u32 = 0x2545_f491 ^ u32::try_from(length).unwrap();
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// The MD5 of content, as an entity tag.
fn md5_tag(content: &[u8]) -> String {
    format!("\"{}\"", hex::encode(Md5::digest(content)))
}
