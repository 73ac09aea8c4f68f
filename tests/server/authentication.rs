//! Who may be believed: signatures in headers and URLs, and their time.

use std::str::FromStr;
use std::time::Duration;

use coffer_signature::{AccessKeyId, Credentials, PayloadHash, SecretKey, Signer, V2Signer};
use coffer_tests::client::{Client, now};
use coffer_tests::server::{ACCESS_KEY, SECRET_KEY, Server};
use coffer_tests::stored::Stored;
use http::{HeaderMap, HeaderValue, Method};
use jiff::SignedDuration;

use crate::claim::{assert_all, assert_answer, mismatch, server, server_with};
use crate::form::{Form, Version};

/// Who signs, for whom, and when.
struct How<'a> {
    key: &'a str,
    secret: &'a str,
    region: &'a str,
    service: &'a str,
    minutes: i64,
}

const RIGHT: How<'static> =
    How { key: ACCESS_KEY, secret: SECRET_KEY, region: "us-east-1", service: "s3", minutes: 0 };

impl How<'_> {
    fn credentials(&self) -> Credentials {
        Credentials {
            access_key_id: AccessKeyId::from_str(self.key).unwrap(),
            secret_key: SecretKey::new(self.secret.to_owned()),
            session_token: None,
        }
    }

    fn headers(&self, client: &Client, path: &str, body: &str) -> HeaderMap {
        let credentials = self.credentials();
        let signer =
            Signer { credentials: &credentials, region: self.region, service: self.service };
        let mut headers = client.headers(&[("x-amz-meta-a", "1")]);
        let time = now() + SignedDuration::from_mins(self.minutes);
        let payload = PayloadHash::of(body.as_bytes());
        signer.sign_headers(&Method::PUT, path, "", &mut headers, &payload, time).unwrap();
        headers
    }

    fn url(&self, client: &Client, method: &Method, expires: u64) -> String {
        let credentials = self.credentials();
        let signer =
            Signer { credentials: &credentials, region: self.region, service: self.service };
        let time = now() + SignedDuration::from_mins(self.minutes);
        let headers = client.headers(&[]);
        signer
            .presign(method, "/photos/new", "", &headers, Duration::from_secs(expires), time)
            .unwrap()
    }
}

async fn refused(
    server: &Server,
    claim: &str,
    path: &str,
    headers: HeaderMap,
    body: &str,
    status: u16,
    code: &str,
) -> Option<String> {
    let answer =
        server.client().send_as_is("PUT", path, "", headers, body.to_owned()).await.unwrap();
    mismatch(claim, &answer, status, code)
}

#[tokio::test]
async fn a_signature_in_headers_that_is_not_right_is_refused() {
    let server = server().await;
    let client = server.client();
    let before = Stored::of(&server).await;
    let mut wrong = Vec::new();
    for (claim, how, status, code) in [
        ("an unknown key", How { key: "somebodyelse", ..RIGHT }, 403, "InvalidAccessKeyId"),
        ("a wrong secret", How { secret: "not-the-secret", ..RIGHT }, 403, "SignatureDoesNotMatch"),
        (
            "another region",
            How { region: "eu-west-1", ..RIGHT },
            400,
            "AuthorizationHeaderMalformed",
        ),
        ("another service", How { service: "sts", ..RIGHT }, 400, "AuthorizationHeaderMalformed"),
        ("16 minutes old", How { minutes: -16, ..RIGHT }, 403, "RequestTimeTooSkewed"),
        ("16 minutes ahead", How { minutes: 16, ..RIGHT }, 403, "RequestTimeTooSkewed"),
        ("a day old", How { minutes: -24 * 60, ..RIGHT }, 403, "RequestTimeTooSkewed"),
    ] {
        wrong.extend(
            refused(
                &server,
                claim,
                "/photos/new",
                how.headers(client, "/photos/new", "x"),
                "x",
                status,
                code,
            )
            .await,
        );
    }
    let right = RIGHT.headers(client, "/photos/new", "x");
    let changed = |name: &'static str, value: &str| {
        let mut headers = right.clone();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        headers
    };
    let authorization = right["authorization"].to_str().unwrap().to_owned();
    let without = |name: &str| {
        let mut headers = right.clone();
        headers.remove(name);
        headers
    };
    let flipped = {
        let last = if authorization.ends_with('0') { '1' } else { '0' };
        format!("{}{last}", &authorization[..authorization.len() - 1])
    };
    let unsigned_meta = authorization.replace(";x-amz-meta-a", "");
    let not_host = authorization.replace("SignedHeaders=host;", "SignedHeaders=");
    for (claim, path, headers, body, status, code) in [
        ("nobody", "/photos/new", client.headers(&[]), "x", 403, "AccessDenied"),
        (
            "one bit of it",
            "/photos/new",
            changed("authorization", &flipped),
            "x",
            403,
            "SignatureDoesNotMatch",
        ),
        ("for another path", "/photos/neW", right.clone(), "x", 403, "SignatureDoesNotMatch"),
        ("for another bucket", "/other/new", right.clone(), "x", 403, "SignatureDoesNotMatch"),
        (
            "for another header",
            "/photos/new",
            changed("x-amz-meta-a", "2"),
            "x",
            403,
            "SignatureDoesNotMatch",
        ),
        (
            "a header that it doesn't cover",
            "/photos/new",
            changed("authorization", &unsigned_meta),
            "x",
            403,
            "AccessDenied",
        ),
        (
            "host not covered",
            "/photos/new",
            changed("authorization", &not_host),
            "x",
            400,
            "AuthorizationHeaderMalformed",
        ),
        ("for another body", "/photos/new", right.clone(), "y", 400, "XAmzContentSHA256Mismatch"),
        (
            "no body hash",
            "/photos/new",
            without("x-amz-content-sha256"),
            "x",
            400,
            "MissingSecurityHeader",
        ),
        (
            "a body hash that is none",
            "/photos/new",
            changed("x-amz-content-sha256", "abc"),
            "x",
            400,
            "InvalidArgument",
        ),
        ("no date", "/photos/new", without("x-amz-date"), "x", 403, "AccessDenied"),
        (
            "a date that is none",
            "/photos/new",
            changed("x-amz-date", "yesterday"),
            "x",
            403,
            "AccessDenied",
        ),
        (
            "version 2, which it isn't",
            "/photos/new",
            changed("authorization", "AWS testrootaccess:c2lnbmF0dXJl"),
            "x",
            403,
            "SignatureDoesNotMatch",
        ),
        (
            "basic",
            "/photos/new",
            changed("authorization", "Basic dGVzdDp0ZXN0"),
            "x",
            400,
            "InvalidArgument",
        ),
        (
            "nothing in it",
            "/photos/new",
            changed("authorization", "AWS4-HMAC-SHA256"),
            "x",
            400,
            "AuthorizationHeaderMalformed",
        ),
        (
            "a session token nobody issued",
            "/photos/new",
            changed("x-amz-security-token", "token"),
            "x",
            400,
            "InvalidToken",
        ),
    ] {
        wrong.extend(refused(&server, claim, path, headers, body, status, code).await);
    }
    // Twice the same header: neither may be chosen.
    let mut twice = right.clone();
    twice.append("authorization", HeaderValue::from_str(&authorization).unwrap());
    wrong.extend(
        refused(&server, "two signatures", "/photos/new", twice, "x", 400, "InvalidRequest").await,
    );
    assert_all(wrong);
    before.assert_same(&server, "a request that nobody signed changed something").await;

    for minutes in [-14, 14] {
        let headers = How { minutes, ..RIGHT }.headers(client, "/photos/new", "x");
        let answer = client.send_as_is("PUT", "/photos/new", "", headers, "x").await.unwrap();
        assert_answer("within 15 minutes", &answer, 200, "");
    }
    server.assert_discreet();
}

#[tokio::test]
async fn a_presigned_url_is_good_for_what_it_says_and_no_longer() {
    let server = server().await;
    let client = server.client();
    let before = Stored::of(&server).await;
    let mut wrong = Vec::new();
    let url = |how: How<'_>, expires| how.url(client, &Method::PUT, expires);
    let right = url(RIGHT, 60);
    let flip = |text: &str, from: &str, to: &str| text.replacen(from, to, 1);
    for (claim, method, query, status, code) in [
        ("expired", "PUT", url(How { minutes: -2, ..RIGHT }, 60), 403, "AccessDenied"),
        ("not yet begun", "PUT", url(How { minutes: 16, ..RIGHT }, 60), 403, "AccessDenied"),
        ("for another method", "DELETE", right.clone(), 403, "SignatureDoesNotMatch"),
        (
            "made longer",
            "PUT",
            flip(&right, "X-Amz-Expires=60", "X-Amz-Expires=600"),
            403,
            "SignatureDoesNotMatch",
        ),
        (
            "longer than a week",
            "PUT",
            flip(&right, "X-Amz-Expires=60", "X-Amz-Expires=604801"),
            400,
            "AuthorizationQueryParametersError",
        ),
        (
            "never",
            "PUT",
            flip(&right, "X-Amz-Expires=60", "X-Amz-Expires=-1"),
            400,
            "AuthorizationQueryParametersError",
        ),
        (
            "no life",
            "PUT",
            flip(&right, "X-Amz-Expires=60&", ""),
            400,
            "AuthorizationQueryParametersError",
        ),
        (
            "with a parameter more",
            "PUT",
            format!("{right}&x-id=PutObject"),
            403,
            "SignatureDoesNotMatch",
        ),
        ("with a sub-resource more", "PUT", format!("{right}&acl"), 403, "SignatureDoesNotMatch"),
        (
            "with a parameter twice",
            "PUT",
            format!("{right}&X-Amz-Expires=60"),
            400,
            "InvalidArgument",
        ),
        (
            "a wrong secret",
            "PUT",
            url(How { secret: "not-the-secret", ..RIGHT }, 60),
            403,
            "SignatureDoesNotMatch",
        ),
        (
            "an unknown key",
            "PUT",
            url(How { key: "somebodyelse", ..RIGHT }, 60),
            403,
            "InvalidAccessKeyId",
        ),
        (
            "another region",
            "PUT",
            url(How { region: "eu-west-1", ..RIGHT }, 60),
            400,
            "AuthorizationQueryParametersError",
        ),
    ] {
        let answer = client
            .send_as_is(method, "/photos/new", &query, client.headers(&[]), "x")
            .await
            .unwrap();
        wrong.extend(mismatch(claim, &answer, status, code));
    }
    let both = RIGHT.headers(client, "/photos/new", "x");
    let answer = client.send_as_is("PUT", "/photos/new", &right, both, "x").await.unwrap();
    wrong.extend(mismatch("signed twice over", &answer, 400, "InvalidRequest"));
    assert_all(wrong);
    before.assert_same(&server, "a URL that isn't good changed something").await;

    let answer = client
        .send_as_is("PUT", "/photos/new", &right, client.headers(&[]), "presigned")
        .await
        .unwrap();
    assert_answer("in time", &answer, 200, "");
    let get = RIGHT.url(client, &Method::GET, 60);
    let got = client.send_as_is("GET", "/photos/new", &get, client.headers(&[]), "").await.unwrap();
    assert_eq!(got.text(), "presigned");
    server.assert_discreet();
}

/// The deprecated version in headers, in a URL and in a form.
async fn by_v2(server: &Server) -> Vec<(&'static str, coffer_tests::client::Answer)> {
    let client = server.client();
    let v2 = V2Signer { credentials: &client.credentials, host_bucket: None };
    let mut headers = client.headers(&[("x-amz-meta-a", "1")]);
    v2.sign_headers(&Method::PUT, "/photos/v2", "", &mut headers, now()).unwrap();
    let end = now() + SignedDuration::from_mins(1);
    let plain = client.headers(&[]);
    let query = v2.presign(&Method::GET, "/photos/k", "", &plain, end).unwrap();
    let form = Form::new(Version::V2, "photos").field("key", "by-form");
    vec![
        ("header", client.send_as_is("PUT", "/photos/v2", "", headers, "x").await.unwrap()),
        ("URL", client.send_as_is("GET", "/photos/k", &query, plain, "").await.unwrap()),
        ("form", form.send(client, "/photos", b"x").await),
    ]
}

#[tokio::test]
async fn signature_v2_can_be_turned_off() {
    let (on, off) = (server().await, server_with(&[("COFFER_SIGNATURE_V2", "off")]).await);
    for (name, answer) in by_v2(&on).await {
        assert!(answer.status.is_success(), "{name}: {}", answer.text());
    }
    let before = Stored::of(&off).await;
    for (name, answer) in by_v2(&off).await {
        assert_answer(name, &answer, 400, "InvalidRequest");
        let text = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.";
        assert_eq!(answer.element("Message").as_deref(), Some(text), "{name}");
    }
    before.assert_same(&off, "a request of version 2 changed something").await;
    let form = Form::new(Version::V4, "photos").field("key", "by-form");
    assert_eq!(form.send(off.client(), "/photos", b"x").await.status, 204);
    on.assert_discreet();
    off.assert_discreet();
}
