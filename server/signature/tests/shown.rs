//! What is shown of things that may hold signatures, tokens or keys.

use bytes::Bytes;
use coffer_signature::{
    Claim, Credentials, Expected, Refusal, Request, Scheme, SecretKey, Signer, SigningKeyCache,
    V2Signer, anonymous_payload, claim,
    post_form::{Fields, FormDecoder, FormLimits, PostPolicy},
    verify,
};
use http::{HeaderMap, HeaderValue, Method};

#[test]
fn only_what_is_harmless_is_shown() {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_static("canary"));
    let request =
        Request { method: &Method::PUT, path: "/b/k", query: "canary", headers: &headers };
    let mut fields = Fields::default();
    fields.push("Policy", "canary").unwrap();
    let form = FormDecoder::new(b"multipart/form-data; boundary=b", FormLimits::default()).unwrap();
    let body = anonymous_payload(&request).unwrap().decoder(Some(1));
    for (shown, expected) in [
        (format!("{request:?}"), "Request { method: PUT, path: \"/b/k\", .. }"),
        (format!("{fields:?}"), "[\"policy\"]"),
        (format!("{form:?}"), "FormDecoder { state: Start, .. }"),
        (format!("{body:?}"), "PayloadDecoder { failed: None, .. }"),
    ] {
        assert_eq!(shown, expected);
    }
}

#[test]
fn what_is_proven_says_when_how_and_by_whom() {
    let now = "2026-03-01T12:00:00Z".parse().unwrap();
    let credentials = Credentials {
        access_key_id: "id".parse().unwrap(),
        secret_key: SecretKey::new("secret".to_owned()),
        session_token: None,
    };
    let expected = Expected { region: "us-east-1", service: "s3", host_bucket: None };
    let signer = Signer { credentials: &credentials, region: "us-east-1", service: "s3" };
    let by_v2 = V2Signer { credentials: &credentials, host_bucket: None };
    let mut plain = HeaderMap::new();
    plain.insert("host", HeaderValue::from_static("s3.example.com"));
    let (mut v4, mut v2) = (plain.clone(), plain.clone());
    let hash = coffer_signature::PayloadHash::of(b"");
    signer.sign_headers(&Method::GET, "/b", "", &mut v4, &hash, now).unwrap();
    by_v2.sign_headers(&Method::GET, "/b", "", &mut v2, now).unwrap();
    let end = now + jiff::SignedDuration::from_mins(1);
    let minute = std::time::Duration::from_mins(1);
    let v4_query = signer.presign(&Method::GET, "/b", "", &plain, minute, now).unwrap();
    let v2_query = by_v2.presign(&Method::GET, "/b", "", &plain, end).unwrap();
    for (query, headers, scheme, signed_at, expires_at) in [
        ("", &v4, Scheme::V4Header, Some(now), None),
        ("", &v2, Scheme::V2Header, Some(now), None),
        (v4_query.as_str(), &plain, Scheme::V4Presigned, Some(now), Some(end)),
        (v2_query.as_str(), &plain, Scheme::V2Presigned, None, Some(end)),
    ] {
        let request = Request { method: &Method::GET, path: "/b", query, headers };
        let Ok(Claim::Signed(claimed)) = claim(&request) else { panic!("{scheme} isn't signed") };
        let said = (claimed.scheme(), claimed.signed_at(), claimed.expires_at());
        assert_eq!(said, (scheme, signed_at, expires_at));
        let keys = SigningKeyCache::default();
        let secret = Some(&credentials.secret_key);
        let verified = verify(&claimed, &request, secret, &expected, now, &keys).unwrap();
        let said = (verified.scheme(), verified.signed_at(), verified.expires_at());
        assert_eq!(said, (scheme, signed_at, expires_at));
        assert_eq!(verified.access_key_id().as_str(), "id");
        assert_eq!(verified.scope(), claimed.scope());
        let scope = verified.scope().map(|scope| (scope.date(), scope.region(), scope.service()));
        let of_v4 = Some(("20260301", "us-east-1", "s3")).filter(|_| !scheme.is_v2());
        assert_eq!(scope, of_v4);
    }
}

#[test]
fn each_refusal_has_its_code_and_status() {
    for (refusal, code, status) in [
        (Refusal::AccessDenied("x".into()), "AccessDenied", 403),
        (Refusal::EntityTooLarge(1), "EntityTooLarge", 400),
        (Refusal::EntityTooSmall(1), "EntityTooSmall", 400),
        (Refusal::IncompleteBody("x".into()), "IncompleteBody", 400),
        (Refusal::IncorrectNumberOfFilesInPostRequest, "IncorrectNumberOfFilesInPostRequest", 400),
        (Refusal::InvalidAccessKeyId, "InvalidAccessKeyId", 403),
        (Refusal::InvalidArgument("x".into()), "InvalidArgument", 400),
        (Refusal::InvalidPolicyDocument("x".into()), "InvalidPolicyDocument", 400),
        (Refusal::InvalidRequest("x".into()), "InvalidRequest", 400),
        (Refusal::InvalidUri("path"), "InvalidURI", 400),
        (Refusal::MalformedPOSTRequest("x".into()), "MalformedPOSTRequest", 400),
        (Refusal::MalformedTrailerError("x".into()), "MalformedTrailerError", 400),
        (Refusal::MaxPostPreDataLengthExceeded, "MaxPostPreDataLengthExceededError", 400),
        (Refusal::MissingContentLength, "MissingContentLength", 411),
        (Refusal::MissingSecurityHeader("x"), "MissingSecurityHeader", 400),
        (Refusal::NotImplemented(Scheme::V4a), "NotImplemented", 501),
        (Refusal::RequestTimeTooSkewed, "RequestTimeTooSkewed", 403),
        (Refusal::SignatureDoesNotMatch, "SignatureDoesNotMatch", 403),
        (Refusal::XAmzContentSHA256Mismatch, "XAmzContentSHA256Mismatch", 400),
    ] {
        assert_eq!((refusal.code(), refusal.status()), (code, status));
        assert_eq!(refusal.expected_region(), None, "{code}");
    }
    let region = Some("us-east-1".to_owned());
    for (refusal, code) in [
        (
            Refusal::AuthorizationHeaderMalformed { message: "x".into(), region: region.clone() },
            "AuthorizationHeaderMalformed",
        ),
        (
            Refusal::AuthorizationQueryParametersError { message: "x".into(), region },
            "AuthorizationQueryParametersError",
        ),
    ] {
        assert_eq!((refusal.code(), refusal.status()), (code, 400));
        assert_eq!(refusal.expected_region(), Some("us-east-1"));
    }
}

#[test]
fn a_form_that_was_refused_stays_so() {
    let mut form =
        FormDecoder::new(b"multipart/form-data; boundary=b", FormLimits::default()).unwrap();
    let mut out = Vec::new();
    let first = form.push(Bytes::from_static(b"hello"), &mut out).unwrap_err();
    assert_eq!(form.push(Bytes::from_static(b"--b--"), &mut out), Err(first.clone()));
    assert_eq!(form.finish(), Err(first));
    assert!(PostPolicy::parse("!").is_err());
}
