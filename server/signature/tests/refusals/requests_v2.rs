//! Requests signed by Signature V2.

use coffer_signature::{
    Claim, Credentials, Expected, SecretKey, SigningKeyCache, V2_SUB_RESOURCES, V2Signer, claim,
    verify,
};
use http::Method;
use jiff::SignedDuration;

use crate::sent::{EXPECTED, Sent, base, credentials, now, v2_in_header, v2_presigned};

type Change = fn(&mut Sent);

#[test]
fn a_header_signature_is_refused_by_code() {
    const NO: &str = "SignatureDoesNotMatch";
    let rows: &[(&str, Change, &str)] = &[
        ("nothing changed", |_| (), "OK"),
        ("method", |s| s.method = Method::DELETE, NO),
        ("path", |s| s.path = "/bucket/kez".to_owned(), NO),
        ("same path, other escape", |s| s.path = "/bucket/%6bey".to_owned(), NO),
        ("sub-resource added", |s| s.query.push_str("&acl"), NO),
        ("override added", |s| s.query.push_str("&response-content-type=text/html"), NO),
        ("version changed", |s| s.edit_query("versionId=null", "versionId=1"), NO),
        ("version gone", |s| s.edit_query("versionId=null&", ""), NO),
        ("version twice", |s| s.query.push_str("&version%49d=null"), "InvalidArgument"),
        ("what V2 doesn't sign", |s| s.edit_query("a=1", "a=2"), "OK"),
        ("a bad escape", |s| s.query.push_str("&acl=%"), "InvalidURI"),
        ("content-type", |s| s.set("content-type", "text/html"), NO),
        ("content-type gone", |s| drop(s.headers.remove("content-type")), NO),
        ("content-type twice", |s| s.add("content-type", "text/plain"), "InvalidRequest"),
        ("content-md5 added", |s| s.set("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="), NO),
        ("amz header changed", |s| s.set("x-amz-meta-a", "2"), NO),
        ("amz header gone", |s| drop(s.headers.remove("x-amz-meta-a")), NO),
        ("amz header twice", |s| s.add("x-amz-meta-a", "1"), NO),
        ("acl added", |s| s.set("x-amz-acl", "public-read"), NO),
        ("token added", |s| s.set("x-amz-security-token", "t"), NO),
        ("copy source added", |s| s.set("x-amz-copy-source", "/other/key"), NO),
        ("hash added", |s| s.set("x-amz-content-sha256", "UNSIGNED-PAYLOAD"), NO),
        ("no hash", |s| s.set("x-amz-content-sha256", "none"), "InvalidArgument"),
        ("another date", |s| s.set("date", "Sun, 01 Mar 2026 12:00:01 GMT"), NO),
        ("same date in another spelling", |s| s.set("date", "20260301T120000Z"), NO),
        ("amz date beside it", |s| s.set("x-amz-date", "20260301T120000Z"), NO),
        ("no date", |s| drop(s.headers.remove("date")), "AccessDenied"),
        ("a date that is none", |s| s.set("date", "today"), "AccessDenied"),
        ("two dates", |s| s.add("date", "Sun, 01 Mar 2026 12:00:00 GMT"), "InvalidRequest"),
        ("unknown key", |s| s.edit_header("authorization", "id:", "other:"), "InvalidAccessKeyId"),
        ("no key", |s| s.edit_header("authorization", "id:", ":"), "InvalidAccessKeyId"),
        ("no colon", |s| s.edit_header("authorization", "id:", "id"), "InvalidArgument"),
        ("no base64", |s| s.set("authorization", "AWS id:!"), NO),
        ("a short signature", |s| s.set("authorization", "AWS id:c2ln"), NO),
        ("no signature", |s| s.set("authorization", "AWS id:"), NO),
        ("only the name", |s| s.set("authorization", "AWS"), "InvalidArgument"),
        ("a V4 signature beside it", |s| s.query.push_str("&X-Amz-Signature=0"), "InvalidRequest"),
    ];
    for (name, change, expected) in rows {
        let mut sent = v2_in_header();
        change(&mut sent);
        assert_eq!(sent.code(), *expected, "{name}");
    }
}

#[test]
fn a_presigned_url_is_refused_by_code() {
    const NO: &str = "SignatureDoesNotMatch";
    let rows: &[(&str, Change, &str)] = &[
        ("nothing changed", |_| (), "OK"),
        ("method", |s| s.method = Method::DELETE, NO),
        ("path", |s| s.path = "/bucket/kez".to_owned(), NO),
        ("sub-resource added", |s| s.query.push_str("&acl"), NO),
        ("version changed", |s| s.edit_query("versionId=null", "versionId=1"), NO),
        ("made longer", |s| s.edit_query("Expires=1", "Expires=2"), NO),
        ("made endless", |s| s.edit_query("Expires=1", "Expires=11"), "AccessDenied"),
        ("no end", |s| s.edit_query("Expires=", "expired="), "AccessDenied"),
        ("two ends", |s| s.query.push_str("&Expires=1"), "InvalidArgument"),
        ("in another case", |s| s.edit_query("Expires=", "expires="), "InvalidArgument"),
        ("two keys", |s| s.query.push_str("&AWSAccessKeyId=id"), "InvalidArgument"),
        ("two signatures", |s| s.query.push_str("&%53ignature=x"), "InvalidArgument"),
        ("unknown key", |s| s.edit_query("Id=id", "Id=other"), "InvalidAccessKeyId"),
        ("no signature", |s| s.edit_query("Signature=", "S="), "AccessDenied"),
        ("header added", |s| s.set("x-amz-acl", "public-read"), NO),
        ("type added", |s| s.set("content-type", "text/html"), NO),
        ("token added", |s| s.query.push_str("&x-amz-security-token=t"), NO),
        ("token in a header", |s| s.set("x-amz-security-token", "t"), NO),
        (
            "both tokens",
            |s| {
                s.query.push_str("&x-amz-security-token=t");
                s.set("x-amz-security-token", "t");
            },
            "InvalidRequest",
        ),
        ("authorization beside it", |s| s.set("authorization", "AWS id:x"), "InvalidRequest"),
    ];
    for (name, change, expected) in rows {
        let mut sent = v2_presigned();
        change(&mut sent);
        assert_eq!(sent.code(), *expected, "{name}");
    }
}

#[test]
fn each_sub_resource_is_signed() {
    let mut sorted = V2_SUB_RESOURCES;
    sorted.sort_unstable();
    assert_eq!(sorted, V2_SUB_RESOURCES);
    for name in V2_SUB_RESOURCES {
        for value in ["", "=1"] {
            let mut sent = v2_presigned();
            if name == "versionId" {
                sent.edit_query("versionId=null", "versionId=2");
            } else {
                sent.query = format!("{}&{name}{value}", sent.query);
            }
            assert_eq!(sent.code(), "SignatureDoesNotMatch", "{name}{value}");
        }
    }
}

#[test]
fn a_header_is_good_for_fifteen_minutes_either_way() {
    for (minutes, seconds, expected) in [
        (0, 0, "OK"),
        (15, 0, "OK"),
        (-15, 0, "OK"),
        (15, 1, "RequestTimeTooSkewed"),
        (-15, -1, "RequestTimeTooSkewed"),
    ] {
        let at = now() + SignedDuration::from_mins(minutes) + SignedDuration::from_secs(seconds);
        assert_eq!(v2_in_header().code_at(at), expected, "{minutes} {seconds}");
    }
    for (minutes, seconds, expected) in
        [(-600, 0, "OK"), (60, 0, "OK"), (60, 1, "AccessDenied"), (6000, 0, "AccessDenied")]
    {
        let at = now() + SignedDuration::from_mins(minutes) + SignedDuration::from_secs(seconds);
        assert_eq!(v2_presigned().code_at(at), expected, "{minutes} {seconds}");
    }
}

#[test]
fn it_is_good_for_s3_alone_and_for_its_bucket() {
    for sent in [v2_in_header(), v2_presigned()] {
        for (name, expected, code) in [
            ("sts", Expected { service: "sts", ..EXPECTED }, "InvalidRequest"),
            (
                "a bucket in the host",
                Expected { host_bucket: Some("other"), ..EXPECTED },
                "SignatureDoesNotMatch",
            ),
            ("any region", Expected { region: "eu-west-1", ..EXPECTED }, "OK"),
        ] {
            let answer = sent.verify_at(now(), &expected);
            assert_eq!(answer.map_or_else(|refusal| refusal.code(), |_| "OK"), code, "{name}");
        }
    }
}

#[test]
fn a_session_token_is_signed_in_either_place() {
    let credentials = Credentials {
        session_token: Some(SecretKey::new("canary-token+/=".to_owned())),
        ..credentials()
    };
    let by_v2 = V2Signer { credentials: &credentials, host_bucket: None };
    let mut header = base();
    by_v2
        .sign_headers(&header.method, &header.path, &header.query, &mut header.headers, now())
        .unwrap();
    let mut presigned = base();
    presigned.query =
        by_v2.presign(&presigned.method, &presigned.path, "", &presigned.headers, now()).unwrap();
    for sent in [header, presigned] {
        let Ok(Claim::Signed(signed)) = claim(&sent.request()) else { panic!("not signed") };
        assert_eq!(signed.session_token(), Some("canary-token+/="));
        assert!(!format!("{signed:?}").contains("canary"), "{signed:?}");
        let keys = SigningKeyCache::default();
        let secret = Some(&credentials.secret_key);
        assert!(verify(&signed, &sent.request(), secret, &EXPECTED, now(), &keys).is_ok());
        let mut bent = sent.clone();
        if bent.headers.contains_key("authorization") {
            bent.set("x-amz-security-token", "another");
        } else {
            bent.edit_query("canary", "another");
        }
        let Ok(Claim::Signed(signed)) = claim(&bent.request()) else { panic!("not signed") };
        let refusal =
            verify(&signed, &bent.request(), secret, &EXPECTED, now(), &keys).unwrap_err();
        assert_eq!(refusal.code(), "SignatureDoesNotMatch");
    }
}

#[test]
fn signed_chunks_need_signature_v4() {
    let mut sent = base();
    sent.set("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    let credentials = credentials();
    V2Signer { credentials: &credentials, host_bucket: None }
        .sign_headers(&sent.method, &sent.path, &sent.query, &mut sent.headers, now())
        .unwrap();
    assert_eq!(sent.code(), "AccessDenied");
}
