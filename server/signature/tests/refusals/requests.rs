//! Requests.

use coffer_signature::{
    Claim, Expected, PayloadHash, Refusal, Scheme, SecretKey, Signer, SigningKeyCache, claim,
    verify,
};
use http::Method;
use jiff::SignedDuration;

use crate::sent::{EXPECTED, SECRET, Sent, base, credentials, in_header, now, presigned};

type Change = fn(&mut Sent);

#[test]
fn a_header_signature_is_refused_by_code() {
    let rows: &[(&str, Change, &str)] = &[
        ("nothing changed", |_| (), "OK"),
        ("an unsigned header that isn't Amazon's", |s| s.set("user-agent", "x"), "OK"),
        ("method", |s| s.method = Method::DELETE, "SignatureDoesNotMatch"),
        ("path", |s| s.path = "/bucket/kez".to_owned(), "SignatureDoesNotMatch"),
        ("double slash", |s| s.path = "/bucket//key".to_owned(), "SignatureDoesNotMatch"),
        ("dots", |s| s.path = "/bucket/x/../key".to_owned(), "SignatureDoesNotMatch"),
        ("path decoded twice", |s| s.path = "/bucket/%256bey".to_owned(), "SignatureDoesNotMatch"),
        ("same path, other escape", |s| s.path = "/bucket/%6bey".to_owned(), "OK"),
        ("query", |s| s.query = "a=2".to_owned(), "SignatureDoesNotMatch"),
        ("query added", |s| s.query = "a=1&acl".to_owned(), "SignatureDoesNotMatch"),
        ("query doubled", |s| s.query = "a=1&a=1".to_owned(), "SignatureDoesNotMatch"),
        ("broken path", |s| s.path = "/bucket/%k".to_owned(), "InvalidURI"),
        ("broken query", |s| s.query = "a=%".to_owned(), "InvalidURI"),
        ("host", |s| s.set("host", "other.example.com"), "SignatureDoesNotMatch"),
        ("signed header changed", |s| s.set("x-amz-meta-a", "2"), "SignatureDoesNotMatch"),
        ("signed header repeated", |s| s.add("x-amz-meta-a", "1"), "SignatureDoesNotMatch"),
        ("signed header gone", |s| drop(s.headers.remove("x-amz-meta-a")), "AccessDenied"),
        ("host gone", |s| drop(s.headers.remove("host")), "AccessDenied"),
        ("unsigned acl", |s| s.set("x-amz-acl", "public-read"), "AccessDenied"),
        ("unsigned token", |s| s.set("x-amz-security-token", "t"), "AccessDenied"),
        (
            "host not in the list",
            |s| s.edit_header("authorization", "host;", ""),
            "AuthorizationHeaderMalformed",
        ),
        (
            "name twice",
            |s| s.edit_header("authorization", "host;", "host;host;"),
            "AuthorizationHeaderMalformed",
        ),
        (
            "name in upper case",
            |s| s.edit_header("authorization", "host;", "Host;"),
            "AuthorizationHeaderMalformed",
        ),
        (
            "empty name",
            |s| s.edit_header("authorization", "host;", "host;;"),
            "AuthorizationHeaderMalformed",
        ),
        (
            "other hash",
            |s| s.set("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
            "SignatureDoesNotMatch",
        ),
        ("hash twice", |s| s.add("x-amz-content-sha256", "UNSIGNED-PAYLOAD"), "InvalidRequest"),
        ("hash of another kind", |s| s.set("x-amz-content-sha256", "none"), "InvalidArgument"),
        ("date twice", |s| s.add("x-amz-date", "20260301T120000Z"), "InvalidRequest"),
        ("date changed", |s| s.set("x-amz-date", "20260301T120001Z"), "SignatureDoesNotMatch"),
        (
            "date of another day",
            |s| s.set("x-amz-date", "20260228T235959Z"),
            "AuthorizationHeaderMalformed",
        ),
        ("date that is none", |s| s.set("x-amz-date", "yesterday"), "AccessDenied"),
        (
            "other id",
            |s| s.edit_header("authorization", "Credential=id", "Credential=ie"),
            "InvalidAccessKeyId",
        ),
        (
            "empty id",
            |s| s.edit_header("authorization", "Credential=id", "Credential="),
            "InvalidAccessKeyId",
        ),
        (
            "scope date",
            |s| s.edit_header("authorization", "/20260301/", "/20260302/"),
            "AuthorizationHeaderMalformed",
        ),
        (
            "region",
            |s| s.edit_header("authorization", "us-east-1", "us-east-2"),
            "AuthorizationHeaderMalformed",
        ),
        (
            "no region",
            |s| s.edit_header("authorization", "us-east-1", ""),
            "AuthorizationHeaderMalformed",
        ),
        (
            "service",
            |s| s.edit_header("authorization", "/s3/", "/sts/"),
            "AuthorizationHeaderMalformed",
        ),
        (
            "terminator",
            |s| s.edit_header("authorization", "aws4_request", "aws5_request"),
            "AuthorizationHeaderMalformed",
        ),
        (
            "part missing",
            |s| s.edit_header("authorization", "/s3", ""),
            "AuthorizationHeaderMalformed",
        ),
        (
            "signature in upper case",
            |s| {
                let upper = s.signature().to_uppercase();
                let lower = s.signature();
                s.edit_header("authorization", &lower, &upper);
            },
            "SignatureDoesNotMatch",
        ),
        (
            "signature cut",
            |s| {
                let text = s.headers["authorization"].to_str().unwrap().to_owned();
                s.set("authorization", text.get(..text.len() - 1).unwrap());
            },
            "SignatureDoesNotMatch",
        ),
        (
            "two headers",
            |s| {
                let text = s.headers["authorization"].to_str().unwrap().to_owned();
                s.add("authorization", &text);
            },
            "InvalidRequest",
        ),
        (
            "query signature too",
            |s| s.query = "a=1&X-Amz-Signature=00".to_owned(),
            "InvalidRequest",
        ),
        (
            "query credential too",
            |s| s.query = "a=1&x-amz-credential=00".to_owned(),
            "InvalidRequest",
        ),
        (
            "query token too",
            |s| s.query = "a=1&X-Amz-Security-Token=t".to_owned(),
            "InvalidRequest",
        ),
    ];
    for (name, change, expected) in rows {
        let mut sent = in_header();
        change(&mut sent);
        assert_eq!(sent.code(), *expected, "{name}");
    }
}

#[test]
fn a_presigned_signature_is_refused_by_code() {
    let malformed = "AuthorizationQueryParametersError";
    let rows: &[(&str, Change, &str)] = &[
        ("nothing changed", |_| (), "OK"),
        ("method", |s| s.method = Method::DELETE, "SignatureDoesNotMatch"),
        ("path", |s| s.path = "/bucket/kez".to_owned(), "SignatureDoesNotMatch"),
        ("query added", |s| s.query += "&acl", "SignatureDoesNotMatch"),
        ("host", |s| s.set("host", "other.example.com"), "SignatureDoesNotMatch"),
        ("unsigned content type", |s| s.set("content-type", "text/plain"), "OK"),
        ("unsigned acl", |s| s.set("x-amz-acl", "public-read"), "AccessDenied"),
        ("unsigned tags", |s| s.set("x-amz-tagging", "a=b"), "AccessDenied"),
        ("unsigned metadata", |s| s.set("x-amz-meta-a", "b"), "AccessDenied"),
        (
            "unsigned encryption",
            |s| s.set("x-amz-server-side-encryption", "AES256"),
            "AccessDenied",
        ),
        ("unsigned lock", |s| s.set("x-amz-object-lock-mode", "COMPLIANCE"), "AccessDenied"),
        ("unsigned source", |s| s.set("x-amz-copy-source", "/other/key"), "AccessDenied"),
        ("unsigned token", |s| s.set("x-amz-security-token", "t"), "AccessDenied"),
        ("unsigned hash", |s| s.set("x-amz-content-sha256", "UNSIGNED-PAYLOAD"), "AccessDenied"),
        (
            "another hash",
            |s| s.set("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
            "AccessDenied",
        ),
        ("another date in a header", |s| s.set("x-amz-date", "20260301T120001Z"), "AccessDenied"),
        ("a name in lower case", |s| s.edit_query("X-Amz-Expires", "x-amz-expires"), malformed),
        (
            "token in both places",
            |s| {
                s.query += "&X-Amz-Security-Token=t";
                s.set("x-amz-security-token", "t");
            },
            "InvalidRequest",
        ),
        (
            "two hashes",
            |s| {
                s.query += "&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD";
                s.set("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
            },
            "InvalidRequest",
        ),
        ("token added", |s| s.query += "&X-Amz-Security-Token=t", "SignatureDoesNotMatch"),
        ("signature twice", |s| s.query += "&X-Amz-Signature=00", malformed),
        ("expires twice", |s| s.query += "&X-Amz-Expires=3600", malformed),
        ("expires twice, encoded", |s| s.query += "&X%2DAmz-Expires=3600", malformed),
        ("expires twice, lower case", |s| s.query += "&x-amz-expires=3600", malformed),
        ("longer life", |s| s.edit_query("Expires=3600", "Expires=3601"), "SignatureDoesNotMatch"),
        ("life too long", |s| s.edit_query("Expires=3600", "Expires=604801"), malformed),
        ("life of nothing", |s| s.edit_query("Expires=3600", "Expires=0"), malformed),
        ("life below nothing", |s| s.edit_query("Expires=3600", "Expires=-1"), malformed),
        ("life beyond numbers", |s| s.edit_query("Expires=3600", "Expires=1e20"), malformed),
        ("no life", |s| s.edit_query("&X-Amz-Expires=3600", ""), malformed),
        ("no algorithm", |s| s.edit_query("X-Amz-Algorithm=AWS4-HMAC-SHA256&", ""), malformed),
        ("other algorithm", |s| s.edit_query("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), malformed),
        ("no date", |s| s.edit_query("X-Amz-Date=20260301T120000Z&", ""), malformed),
        ("date that is none", |s| s.edit_query("20260301T120000Z", "20260301"), malformed),
        ("no names", |s| s.edit_query("&X-Amz-SignedHeaders=host", ""), malformed),
        (
            "names without host",
            |s| s.edit_query("SignedHeaders=host", "SignedHeaders=range"),
            malformed,
        ),
        ("region", |s| s.edit_query("us-east-1", "us-east-2"), malformed),
        ("service", |s| s.edit_query("%2Fs3%2F", "%2Fsts%2F"), malformed),
        ("scope date", |s| s.edit_query("%2F20260301%2F", "%2F20260302%2F"), malformed),
        ("only the credential", |s| s.query = "X-Amz-Credential=id".to_owned(), malformed),
        ("v2 too", |s| s.query += "&AWSAccessKeyId=id", "InvalidRequest"),
    ];
    for (name, change, expected) in rows {
        let mut sent = presigned();
        change(&mut sent);
        assert_eq!(sent.code(), *expected, "{name}");
    }
}

#[test]
fn what_a_url_says_may_be_said_in_signed_headers_too() {
    for (name, value, other, code) in [
        ("x-amz-date", "20260301T120000Z", "20260301T120001Z", "AccessDenied"),
        (
            "x-amz-content-sha256",
            "UNSIGNED-PAYLOAD",
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "InvalidRequest",
        ),
    ] {
        let mut sent = base();
        sent.query = "X-Amz-Content-Sha256=UNSIGNED-PAYLOAD".to_owned();
        sent.set(name, value);
        let credentials = credentials();
        let signer = Signer { credentials: &credentials, region: "us-east-1", service: "s3" };
        let life = std::time::Duration::from_hours(1);
        sent.query = signer
            .presign(&sent.method, &sent.path, &sent.query, &sent.headers, life, now())
            .unwrap();
        assert_eq!(sent.code(), "OK", "{name}");
        sent.set(name, other);
        assert_eq!(sent.code(), code, "{name}");
    }
}

#[test]
fn times_outside_their_window_are_refused() {
    let minutes = |minutes| now() + SignedDuration::from_mins(minutes);
    let second = SignedDuration::from_secs(1);
    for (name, sent, at, expected) in [
        ("header, 15 minutes late", in_header(), minutes(15), "OK"),
        ("header, later", in_header(), minutes(15) + second, "RequestTimeTooSkewed"),
        ("header, 15 minutes early", in_header(), minutes(-15), "OK"),
        ("header, earlier", in_header(), minutes(-15) - second, "RequestTimeTooSkewed"),
        ("presigned, its last second", presigned(), minutes(60), "OK"),
        ("presigned, expired", presigned(), minutes(60) + second, "AccessDenied"),
        ("presigned, 15 minutes early", presigned(), minutes(-15), "OK"),
        ("presigned, earlier", presigned(), minutes(-15) - second, "AccessDenied"),
    ] {
        assert_eq!(sent.code_at(at), expected, "{name}");
    }
}

#[test]
fn a_wrong_region_is_answered_with_the_right_one() {
    for sent in [in_header(), presigned()] {
        let refusal = sent
            .verify_at(
                now(),
                &Expected { region: "eu-central-1", service: "s3", host_bucket: None },
            )
            .unwrap_err();
        assert_eq!((refusal.status(), refusal.expected_region()), (400, Some("eu-central-1")));
        let refusal = sent
            .verify_at(now(), &Expected { region: "us-east-1", service: "sts", host_bucket: None })
            .unwrap_err();
        assert_eq!((refusal.status(), refusal.expected_region()), (400, None));
    }
}

#[test]
fn a_signature_is_not_good_at_another_service() {
    // Even one that was honestly made with the same key: the scope is signed.
    let mut sent = base();
    let credentials = credentials();
    let signer = Signer { credentials: &credentials, region: "us-east-1", service: "sts" };
    let hash = PayloadHash::of(b"");
    signer
        .sign_headers(&sent.method, &sent.path, &sent.query, &mut sent.headers, &hash, now())
        .unwrap();
    assert_eq!(sent.code(), "AuthorizationHeaderMalformed");
    sent.edit_header("authorization", "/sts/", "/s3/");
    assert_eq!(sent.code(), "SignatureDoesNotMatch");
}

#[test]
fn an_unknown_key_is_refused_only_after_the_same_checks() {
    for (name, sent, at, expected) in [
        ("in time", in_header(), now(), "InvalidAccessKeyId"),
        ("too late", in_header(), now() + SignedDuration::from_hours(1), "RequestTimeTooSkewed"),
        ("presigned", presigned(), now(), "InvalidAccessKeyId"),
    ] {
        let Claim::Signed(claim) = claim(&sent.request()).unwrap() else { panic!("{name}") };
        let keys = SigningKeyCache::default();
        let refusal = verify(&claim, &sent.request(), None, &EXPECTED, at, &keys).unwrap_err();
        assert_eq!(refusal.code(), expected, "{name}");
    }
}

#[test]
fn a_rotated_secret_opens_nothing_from_the_cache() {
    let sent = in_header();
    let Claim::Signed(claim) = claim(&sent.request()).unwrap() else { panic!("no signature") };
    let keys = SigningKeyCache::default();
    let with = |secret: &str| {
        let secret = SecretKey::new(secret.to_owned());
        verify(&claim, &sent.request(), Some(&secret), &EXPECTED, now(), &keys).map(drop)
    };
    assert_eq!(with(SECRET), Ok(()));
    assert_eq!(with("rotated"), Err(Refusal::SignatureDoesNotMatch));
    assert_eq!(with(SECRET), Ok(()));
}

#[test]
fn s3_wants_the_bodys_hash_and_sts_may_compute_it() {
    let mut sent = in_header();
    sent.headers.remove("x-amz-content-sha256");
    assert_eq!(sent.code(), "MissingSecurityHeader");
    let Claim::Signed(claim) = claim(&sent.request()).unwrap() else { panic!("no signature") };
    // The name is still in SignedHeaders, so it is refused for its absence now.
    let claim = claim.with_body_sha256([0; 32]);
    let keys = SigningKeyCache::default();
    let secret = credentials().secret_key;
    let refusal =
        verify(&claim, &sent.request(), Some(&secret), &EXPECTED, now(), &keys).unwrap_err();
    assert_eq!(refusal.code(), "AccessDenied");
}

#[test]
fn v4a_is_refused_by_name() {
    let mut sent = base();
    sent.set("authorization", "AWS4-ECDSA-P256-SHA256 Credential=id");
    let refusal = claim(&sent.request()).map(drop).unwrap_err();
    assert_eq!(refusal, Refusal::NotImplemented(Scheme::V4a));
    assert_eq!(refusal.status(), 501);
}

#[test]
fn a_form_is_a_claim_to_be_read() {
    let mut sent = Sent { method: Method::POST, ..base() };
    sent.set("content-type", "multipart/form-data; boundary=b");
    assert!(matches!(claim(&sent.request()), Ok(Claim::Form)));
    sent.method = Method::PUT;
    assert!(matches!(claim(&sent.request()), Ok(Claim::Anonymous)));
}

#[test]
fn nothing_secret_is_shown_of_a_request() {
    let token = "canary-token";
    let credentials = coffer_signature::Credentials {
        session_token: Some(SecretKey::new(token.to_owned())),
        ..credentials()
    };
    let signer = Signer { credentials: &credentials, region: "us-east-1", service: "s3" };
    let hash = PayloadHash::Unsigned;
    let mut header = base();
    signer
        .sign_headers(&header.method, &header.path, "", &mut header.headers, &hash, now())
        .unwrap();
    header.query.clear();
    let mut query = base();
    let life = std::time::Duration::from_hours(1);
    query.query =
        signer.presign(&query.method, &query.path, "", &query.headers, life, now()).unwrap();
    for sent in [header, query] {
        let Claim::Signed(claim) = claim(&sent.request()).unwrap() else { panic!("no signature") };
        assert_eq!(claim.session_token(), Some(token));
        let verified = sent.verify_at(now(), &EXPECTED).unwrap();
        let shown = format!("{:?} {claim:?} {verified:?} {signer:?}", sent.request());
        for canary in [token, SECRET, &sent.signature()] {
            assert!(!shown.contains(canary), "{shown}");
        }
    }
}
