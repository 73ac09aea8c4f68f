//! The seam to the wire library: what it is given is what was verified, and what it leaves out of its answers is put in.

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use jiff::Timestamp;
use s3s::Body;
use tracing::error;

use super::Service;
use crate::accept::sources::Source;
use crate::answer::{self, Ids, Refusal};
use crate::authenticate::DecodedBody;
use crate::authorize::Authorized;
use crate::operation::Operation;
use crate::s3;
use crate::s3::encryption::asked::Asked;

impl Service {
    /// Hands the request to the wire library, without all that was dealt with already.
    #[expect(
        clippy::too_many_arguments,
        reason = "the seam between the head's way and the operation: each is one fact of it"
    )]
    pub(super) async fn wire(
        &self,
        head: Parts,
        body: DecodedBody,
        length: Option<u64>,
        authorized: Authorized,
        encryption: Asked,
        source: Source,
        now: Timestamp,
        resource: &str,
        ids: &Ids,
    ) -> Result<Response<Body>, Refusal> {
        let operation = authorized.operation();
        let method = head.method.clone();
        let mut request = Request::new(Body::empty());
        *request.method_mut() = head.method;
        *request.uri_mut() =
            bare_uri(&authorized.target().path, head.uri.query().unwrap_or_default())?;
        *request.headers_mut() = head.headers;
        let trailers = body.trailers();
        let conditions = s3::conditions::take(request.headers_mut())?;
        s3::range::tidy(request.headers_mut());
        let stored = s3::attributes::take(request.headers_mut())?;
        bare_headers(request.headers_mut(), length);
        let mut room = self.documents.of(source);
        *request.body_mut() = if takes_document(operation) {
            let patience = self.limits.patience();
            let document = s3::document::read(body, length, operation, &mut room, patience).await?;
            request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(document.len()));
            s3::document::check_digests(&document, request.headers(), &trailers, operation)?;
            Body::from(document)
        } else {
            Body::http_body_unsync(body)
        };
        request.extensions_mut().insert(s3::Context {
            authorized,
            conditions,
            encryption,
            stored,
            trailers,
            now,
        });
        let mut response = self.s3.call(request).await.map_err(|error| {
            let error = s3s::StdError::from(error);
            error!(
                id = ids.request,
                operation = operation.name(),
                error = &*error,
                "no answer could be made"
            );
            Refusal::new(
                "InternalError",
                500,
                "We encountered an internal error. Please try again.",
            )
        })?;
        // The wire library takes the headers of a read, and no status.
        if response.status() == StatusCode::OK
            && response.headers().contains_key(header::CONTENT_RANGE)
        {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        // Source: AWS, PutBucketTagging; the library has another.
        if response.status() == StatusCode::OK && operation == Operation::PutBucketTagging {
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        // An object that was read is the client's bytes, never a document of ours.
        let ours = operation != Operation::GetObject || !response.status().is_success();
        if !ours {
            return Ok(response);
        }
        let finished = finished(response, &method, resource, ids);
        let unquotes = operation == Operation::GetObjectAttributes;
        Ok(if unquotes { s3::document::without_quotes(finished) } else { finished })
    }
}

/// Whether the operation's body is an XML document, which is read before it is parsed.
fn takes_document(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::CreateBucket
            | Operation::DeleteObjects
            | Operation::CompleteMultipartUpload
            | Operation::PutBucketAcl
            | Operation::PutObjectAcl
            | Operation::PutBucketEncryption
            | Operation::PutBucketTagging
    )
}

/// The path in path style with the query, less the parameters of a presigned request: they were verified.
pub(super) fn bare_uri(path: &str, query: &str) -> Result<Uri, Refusal> {
    let signing = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        let of_v4 = name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("x-amz-"))
            && is_signing(name);
        !of_v4 && !matches!(name, "AWSAccessKeyId" | "Expires" | "Signature")
    };
    let kept: Vec<&str> =
        query.split('&').filter(|pair| !pair.is_empty()).filter(signing).collect();
    let uri = if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) };
    uri.parse()
        .map_err(|_error| Refusal::new("InvalidURI", 400, "Couldn't parse the specified URI."))
}

fn is_signing(name: &str) -> bool {
    [
        "Algorithm",
        "Credential",
        "Date",
        "Expires",
        "SignedHeaders",
        "Signature",
        "Security-Token",
        "Content-Sha256",
    ]
    .iter()
    .any(|known| name.get(6..).is_some_and(|rest| rest.eq_ignore_ascii_case(known)))
}

/// Takes out what was verified, so that nothing behind this point can read it differently.
fn bare_headers(headers: &mut HeaderMap, length: Option<u64>) {
    for name in [
        "authorization",
        "x-amz-date",
        "x-amz-security-token",
        "x-amz-content-sha256",
        "x-amz-decoded-content-length",
        "transfer-encoding",
        "expect",
        "te",
        "trailer",
    ] {
        headers.remove(name);
    }
    match length {
        Some(length) => headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length)),
        None => headers.remove(header::CONTENT_LENGTH),
    };
}

/// The wire library's answer with what it leaves out: ids and resource in errors, references for controls in documents.
fn finished(
    response: Response<Body>,
    method: &Method,
    resource: &str,
    ids: &Ids,
) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let is_document =
        head.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/xml");
    let failed = head.status.is_client_error() || head.status.is_server_error();
    if failed && let Some(code) = body.bytes().as_ref().and_then(answer::code) {
        head.extensions.insert(code);
    }
    if failed && *method == Method::HEAD {
        head.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(head, Body::empty());
    }
    if head.status == StatusCode::NOT_MODIFIED {
        return Response::from_parts(head, Body::empty());
    }
    if failed {
        // The library forgets it where an error has headers of its own.
        head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    }
    let Some(bytes) = body.bytes().filter(|_| is_document || failed) else {
        return Response::from_parts(head, body);
    };
    let cleaned = answer::without_controls(&bytes).map(bytes::Bytes::from);
    let bytes = cleaned.unwrap_or(bytes);
    let completed =
        if failed { answer::complete(&bytes, resource, ids).map(bytes::Bytes::from) } else { None };
    Response::from_parts(head, Body::from(completed.unwrap_or(bytes)))
}
