//! What is known of a request, as the condition keys of policies.
//!
//! Every key is named here, beside where its value comes from. A header or parameter fills only the key that is about it: no
//! client can name the key that the server makes.
//! Source: AWS IAM global condition context keys; Amazon S3 condition keys.

use std::net::IpAddr;
use std::sync::Arc;

use coffer_policy::{Context, Key};
use coffer_signature::Scheme;
use http::HeaderMap;
use http::header::{IF_MATCH, IF_NONE_MATCH, REFERER, USER_AGENT};
use http::request::Parts;
use jiff::Timestamp;
use rustls::ProtocolVersion;

use super::Caller;
use crate::iam::entity::BucketPolicy;
use crate::operation::Operation;
use crate::route::{Target, parameters as of_query};
use crate::s3::encryption::asked::bare_name;

/// What the steps before know of a request.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Its head.
    pub head: &'a Parts,
    /// Where it came from.
    pub source: IpAddr,
    /// The version of TLS that it came by.
    pub tls: Option<ProtocolVersion>,
    /// When it came.
    pub now: Timestamp,
    /// How it was signed.
    pub scheme: Scheme,
    /// When it was signed, where that was proven.
    pub signed_at: Option<Timestamp>,
    /// The region that signatures name here.
    pub region: &'a str,
    /// The policies of the buckets that it names, target and source.
    pub buckets: &'a [Arc<BucketPolicy>],
}

/// Headers that are keys of their own name.
const HEADERS: &[(&str, Key)] = &[
    ("x-amz-acl", Key::S3XAmzAcl),
    ("x-amz-content-sha256", Key::S3XAmzContentSha256),
    ("x-amz-grant-full-control", Key::S3XAmzGrantFullControl),
    ("x-amz-grant-read", Key::S3XAmzGrantRead),
    ("x-amz-grant-read-acp", Key::S3XAmzGrantReadAcp),
    ("x-amz-grant-write", Key::S3XAmzGrantWrite),
    ("x-amz-grant-write-acp", Key::S3XAmzGrantWriteAcp),
    ("x-amz-metadata-directive", Key::S3XAmzMetadataDirective),
    ("x-amz-object-ownership", Key::S3XAmzObjectOwnership),
    ("x-amz-server-side-encryption", Key::S3XAmzServerSideEncryption),
    (
        "x-amz-server-side-encryption-customer-algorithm",
        Key::S3XAmzServerSideEncryptionCustomerAlgorithm,
    ),
    ("x-amz-storage-class", Key::S3XAmzStorageClass),
    ("x-amz-tagging-directive", Key::S3XAmzTaggingDirective),
    ("x-amz-website-redirect-location", Key::S3XAmzWebsiteRedirectLocation),
    ("x-amz-object-lock-mode", Key::S3ObjectLockMode),
    ("x-amz-object-lock-legal-hold", Key::S3ObjectLockLegalHold),
    ("x-amz-object-lock-retain-until-date", Key::S3ObjectLockRetainUntilDate),
];

/// The keys that every request has: when, whence, by whom and how it was sent.
pub(crate) fn common(caller: &Caller, facts: &Facts<'_>) -> Context<'static> {
    let Facts { head, source, tls, now, scheme, signed_at, region, buckets: _ } = *facts;
    let mut context = Context::new();
    context.set(Key::AwsCurrentTime, now.to_string());
    context.set(Key::AwsEpochTime, now.as_second().to_string());
    context.set(Key::AwsSecureTransport, "true");
    context.set(Key::AwsSourceIp, source.to_canonical().to_string());
    context.set(Key::AwsRequestedRegion, region.to_owned());
    if let Some(version) = version(tls) {
        context.set(Key::S3TlsVersion, version);
    }
    signed(&mut context, scheme, signed_at, now);
    identity(&mut context, caller);
    for (name, key) in
        [(USER_AGENT.as_str(), Key::AwsUserAgent), (REFERER.as_str(), Key::AwsReferer)]
    {
        if let Some(value) = header(&head.headers, name) {
            context.set(key, value);
        }
    }
    context
}

/// The one value of a header. Two of them have no one meaning: the key is absent rather than one of the two.
fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().and_then(|value| value.to_str().ok());
    if values.next().is_some() { None } else { value.map(str::to_owned) }
}

/// All keys of a request of the S3 API.
pub(super) fn context(caller: &Caller, target: &Target, facts: &Facts<'_>) -> Context<'static> {
    let head = facts.head;
    let mut context = common(caller, facts);
    let header = |name: &str| header(&head.headers, name);
    for (name, key) in HEADERS {
        if let Some(value) = header(name) {
            context.set(*key, value);
        }
    }
    // A presigned URL says it by leaving it out. Source: AWS, "Amazon S3 Signature Version 4 authentication specific policy keys".
    if facts.scheme == Scheme::V4Presigned && header("x-amz-content-sha256").is_none() {
        let query = head.uri.query().unwrap_or_default();
        let said = of_query(query).find(|(name, _)| name == "X-Amz-Content-Sha256");
        let said = said.and_then(|(_, value)| decoded(value));
        context
            .set(Key::S3XAmzContentSha256, said.unwrap_or_else(|| "UNSIGNED-PAYLOAD".to_owned()));
    }
    // By its name alone: it can be written in several ways, and a policy names it in one.
    if let Some(key) = header("x-amz-server-side-encryption-aws-kms-key-id") {
        context.set(Key::S3XAmzServerSideEncryptionAwsKmsKeyId, bare_name(&key).to_owned());
    }
    if let Some(source) = copy_source(&head.headers) {
        context.set(Key::S3XAmzCopySource, source);
    }
    if writes(target.operation) {
        for (name, key) in
            [(IF_MATCH.as_str(), Key::S3IfMatch), (IF_NONE_MATCH.as_str(), Key::S3IfNoneMatch)]
        {
            if let Some(value) = header(name) {
                context.set(key, value);
            }
        }
        context.set(Key::S3ObjectCreationOperation, target.operation.name());
    }
    parameters(&mut context, target.operation, head.uri.query().unwrap_or_default());
    context
}

/// The source that a copy names, as `/bucket/key`.
pub(crate) fn copy_source(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("x-amz-copy-source")?.to_str().ok()?;
    let path = text.split_once("?versionId=").map_or(text, |(path, _)| path);
    let path = percent_encoding::percent_decode_str(path).decode_utf8().ok()?;
    Some(format!("/{}", path.strip_prefix('/').unwrap_or(&path)))
}

fn version(tls: Option<ProtocolVersion>) -> Option<&'static str> {
    match tls? {
        ProtocolVersion::TLSv1_3 => Some("1.3"),
        ProtocolVersion::TLSv1_2 => Some("1.2"),
        _ => None,
    }
}

fn signed(
    context: &mut Context<'static>,
    scheme: Scheme,
    signed_at: Option<Timestamp>,
    now: Timestamp,
) {
    let place = match scheme {
        Scheme::Anonymous => return,
        Scheme::V4Header | Scheme::V4a | Scheme::V2Header => "REST-HEADER",
        Scheme::V4Presigned | Scheme::V2Presigned => "REST-QUERY-STRING",
        Scheme::PostForm | Scheme::V4Form | Scheme::V2Form => "POST",
    };
    context.set(Key::S3AuthType, place);
    context.set(Key::S3Signatureversion, if scheme.is_v2() { "AWS" } else { "AWS4-HMAC-SHA256" });
    if scheme == Scheme::V4Presigned
        && let Some(signed_at) = signed_at
    {
        let age = now.duration_since(signed_at).as_millis().max(0);
        context.set(Key::S3SignatureAge, age.to_string());
    }
}

/// Who asks.
pub(crate) fn identity(context: &mut Context<'_>, caller: &Caller) {
    let principal = caller.principal();
    context.set(Key::AwsPrincipalType, principal.kind.name());
    if !principal.arn.is_empty() {
        context.set(Key::AwsPrincipalArn, principal.arn.to_owned());
        context.set(Key::AwsUserid, principal.name.to_owned());
    }
    if let Some(user) = caller.user() {
        context.set(Key::AwsUsername, user.name.as_str().to_owned());
        context.set_all(Key::AwsGroups, user.groups.iter().map(|group| group.as_str().to_owned()));
    }
}

fn parameters(context: &mut Context<'static>, operation: Operation, query: &str) {
    let lists = matches!(
        operation,
        Operation::ListObjects
            | Operation::ListObjectsV2
            | Operation::ListObjectVersions
            | Operation::ListMultipartUploads
    );
    let (mut prefix, mut delimiter, mut max_keys, mut version) = (None, None, None, None);
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let slot = match decoded(name).as_deref() {
            Some("prefix") if lists => &mut prefix,
            Some("delimiter") if lists => &mut delimiter,
            Some("max-keys") if lists => &mut max_keys,
            Some("versionId") => &mut version,
            Some(_) | None => continue,
        };
        *slot = decoded(value);
    }
    if lists {
        // As AWS has it: a listing of everything has the empty prefix.
        context.set(Key::S3Prefix, prefix.unwrap_or_default());
    }
    for (key, value) in
        [(Key::S3Delimiter, delimiter), (Key::S3MaxKeys, max_keys), (Key::S3Versionid, version)]
    {
        if let Some(value) = value {
            context.set(key, value);
        }
    }
}

fn decoded(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    percent_encoding::percent_decode_str(&text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

fn writes(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::PutObject
            | Operation::CopyObject
            | Operation::CompleteMultipartUpload
            | Operation::CreateMultipartUpload
            | Operation::UploadPart
            | Operation::UploadPartCopy
    )
}
