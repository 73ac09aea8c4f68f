//! Signs a request without a body: AWS Signature V4 in the headers, service `s3`.

use aws_lc_rs::{digest, hmac};
use http::header::{AUTHORIZATION, HOST, InvalidHeaderValue};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;

use crate::root_credentials::RootCredentials;

/// SHA-256 of nothing.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const SIGNED_HEADERS: &str = "host;x-amz-content-sha256;x-amz-date";

/// Why a request can't be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// A value can't stand in a header.
    #[error("a value can't stand in a header")]
    Header(#[from] InvalidHeaderValue),
    /// The time can't be written.
    #[error("the time can't be written")]
    Time(#[from] jiff::Error),
}

/// Adds the headers that sign `GET path` without a query.
pub(super) fn get(
    host: &str,
    path: &str,
    headers: &mut HeaderMap,
    root: &RootCredentials,
    region: &str,
    now: Timestamp,
) -> Result<(), SignError> {
    let time = jiff::fmt::strtime::format("%Y%m%dT%H%M%SZ", now)?;
    let date = jiff::fmt::strtime::format("%Y%m%d", now)?;
    let scope = format!("{date}/{region}/s3/aws4_request");
    let canonical = format!(
        "GET\n{path}\n\nhost:{host}\nx-amz-content-sha256:{EMPTY}\nx-amz-date:{time}\n\n{SIGNED_HEADERS}\n{EMPTY}"
    );
    let hash = hex::encode(digest::digest(&digest::SHA256, canonical.as_bytes()));
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hash}");
    let mut key = format!("AWS4{}", root.secret_key.reveal()).into_bytes();
    for part in [date.as_str(), region, "s3", "aws4_request", text.as_str()] {
        key =
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec();
    }
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope},SignedHeaders={SIGNED_HEADERS},Signature={}",
        root.access_key,
        hex::encode(key)
    );
    headers.insert(HOST, HeaderValue::from_str(host)?);
    headers.insert("x-amz-content-sha256", HeaderValue::from_static(EMPTY));
    headers.insert("x-amz-date", HeaderValue::from_str(&time)?);
    headers.insert(AUTHORIZATION, HeaderValue::from_str(&authorization)?);
    Ok(())
}
