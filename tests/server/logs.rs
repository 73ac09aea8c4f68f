//! No secret, signature, token, policy or string to sign is in any log, at any level.
//!
//! CVE-2018-16889, CVE-2026-45040, CVE-2026-22782, RUSTSEC-2024-0358, CVE-2025-52893.

use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use coffer_signature::PayloadHash;
use coffer_tests::client::{Client, now};
use coffer_tests::server::{ACCESS_KEY, SECRET_KEY};
use http::{HeaderMap, HeaderValue, Method};
use md5::{Digest, Md5};

use crate::claim::{send, server_with};

const TOKEN: &str = "canary-session-token-5d1f";
const CUSTOMER_KEY: &str = "Y2FuYXJ5LWN1c3RvbWVyLWtleS1vZi0zMi1ieXRlcyE=";
const CONTENT: &str = "canary-content-91c4";
const VERSION_2: &str = "Y2FuYXJ5LW9mLXZlcnNpb24tMiE=";
const POLICY: &str =
    r#"{"expiration":"2030-01-01T00:00:00Z","conditions":[["eq","$key","canary-policy"]]}"#;

/// Everything that a log must not hold.
struct Canaries(Vec<String>);

impl Canaries {
    fn new() -> Self {
        let policy = STANDARD.encode(POLICY);
        let texts = [SECRET_KEY, TOKEN, CUSTOMER_KEY, CONTENT, VERSION_2, "canary-policy", &policy];
        let mut canaries: Vec<String> = texts.into_iter().map(str::to_owned).collect();
        // What every canonical request, string to sign and header of a signature has.
        canaries.extend(
            ["AWS4-HMAC-SHA256", "aws4_request", "UNSIGNED-PAYLOAD", "Bearer "].map(str::to_owned),
        );
        Self(canaries)
    }

    /// The signatures of this request.
    fn add(&mut self, headers: &HeaderMap, query: &str, body: &[u8]) {
        let header = headers.get("authorization").and_then(|value| value.to_str().ok());
        let body = String::from_utf8_lossy(body);
        for (text, before) in [
            (header.unwrap_or_default(), "Signature="),
            (query, "Signature="),
            (&body, "-signature="),
        ] {
            for (at, _) in text.match_indices(before) {
                let rest = &text[at + before.len()..];
                let end = rest.find(|char: char| !char.is_ascii_hexdigit()).unwrap_or(rest.len());
                assert_eq!(end, 64, "{rest}");
                self.0.push(rest[..end].to_owned());
            }
        }
    }

    fn assert_absent(&self, log: &str) {
        for canary in &self.0 {
            assert!(!log.contains(canary), "the log holds `{canary}`");
        }
    }
}

/// Requests in all forms: right, wrong, and cut.
async fn all_forms(client: &Client, canaries: &mut Canaries) {
    let put = Method::PUT;
    let send_as_is = async |method: &str, query: &str, headers: HeaderMap, body: Vec<u8>| {
        // Whether it is taken doesn't matter here.
        let _answer = client.send_as_is(method, "/photos/log", query, headers, body).await;
    };
    for form in [
        PayloadHash::of(CONTENT.as_bytes()),
        PayloadHash::Unsigned,
        PayloadHash::SignedChunks,
        PayloadHash::SignedChunksTrailer,
        PayloadHash::UnsignedChunksTrailer,
    ] {
        let length = CONTENT.len().to_string();
        let framed = !matches!(form, PayloadHash::Sha256(_) | PayloadHash::Unsigned);
        let mut headers = client.headers(&[("x-amz-meta-a", "1")]);
        if framed {
            headers.insert("x-amz-decoded-content-length", length.parse().unwrap());
        }
        let trailing =
            matches!(form, PayloadHash::SignedChunksTrailer | PayloadHash::UnsignedChunksTrailer);
        if trailing {
            headers.insert("x-amz-trailer", HeaderValue::from_static("x-amz-checksum-sha256"));
        }
        let encoder =
            client.signer().sign_headers(&put, "/photos/log", "", &mut headers, &form, now());
        let body = match encoder.unwrap() {
            None => CONTENT.as_bytes().to_vec(),
            Some(mut encoder) => {
                let mut wire: Vec<Bytes> = Vec::new();
                encoder.chunk(CONTENT.into(), &mut wire);
                let sum = digest::digest(&digest::SHA256, CONTENT.as_bytes());
                let value = STANDARD.encode(sum).parse().unwrap();
                let trailer = [("x-amz-checksum-sha256".parse().unwrap(), value)];
                encoder.finish(if trailing { &trailer } else { &[] }, &mut wire);
                wire.concat()
            }
        };
        canaries.add(&headers, "", &body);
        let answer =
            client.send_as_is("PUT", "/photos/log", "", headers.clone(), body.clone()).await;
        assert_eq!(answer.unwrap().status, 200, "{form:?}");
        // The same, cut, with other content, with one header more, and as another method.
        send_as_is("PUT", "", headers.clone(), body[..body.len() - 1].to_vec()).await;
        let changed = String::from_utf8_lossy(&body).replace("canary-content", "canary-cOntent");
        send_as_is("PUT", "", headers.clone(), changed.into_bytes()).await;
        send_as_is("DELETE", "", headers.clone(), body.clone()).await;
        headers.insert("x-amz-security-token", HeaderValue::from_static(TOKEN));
        send_as_is("PUT", "", headers, body).await;
    }
    let headers = client.headers(&[]);
    let life = Duration::from_mins(1);
    for query in ["", "acl", "response-content-type=text%2Fplain", "versionId=null"] {
        let url = client
            .signer()
            .presign(&Method::GET, "/photos/log", query, &headers, life, now())
            .unwrap();
        canaries.add(&headers, &url, b"");
        send_as_is("GET", &url, headers.clone(), Vec::new()).await;
        send_as_is("DELETE", &url, headers.clone(), Vec::new()).await;
        let with_token = format!("{url}&X-Amz-Security-Token={TOKEN}");
        send_as_is("GET", &with_token, headers.clone(), Vec::new()).await;
    }
    let version_2 = format!("AWS {ACCESS_KEY}:{VERSION_2}");
    for (name, value) in [
        ("authorization", version_2.as_str()),
        ("authorization", &format!("Bearer {TOKEN}")),
        ("authorization", &format!("Basic {CUSTOMER_KEY}")),
        ("authorization", TOKEN),
        ("x-amz-security-token", TOKEN),
        ("cookie", TOKEN),
    ] {
        send_as_is("GET", "", client.headers(&[(name, value)]), Vec::new()).await;
        send_as_is("PUT", "", client.headers(&[(name, value)]), b"x".to_vec()).await;
    }
    let encoded = VERSION_2.replace('=', "%3D");
    let query = format!("AWSAccessKeyId={ACCESS_KEY}&Expires=1900000000&Signature={encoded}");
    send_as_is("GET", &query, headers, Vec::new()).await;
    let md5 = STANDARD.encode(Md5::digest(STANDARD.decode(CUSTOMER_KEY).unwrap()));
    // A customer's key beside a right signature gets as far as a request can.
    for line in ["PUT /photos/log", "GET /photos/log", "HEAD /photos/log"] {
        let customer = [
            ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
            ("x-amz-server-side-encryption-customer-key", CUSTOMER_KEY),
            ("x-amz-server-side-encryption-customer-key-md5", &md5),
        ];
        let status = send(client, line, &customer, "").await.status;
        assert_eq!(status, 200, "{line}");
    }
    // A bucket's policy, and a browser's form with one.
    send(client, "PUT /photos?policy", &[], POLICY).await;
    let policy = STANDARD.encode(POLICY);
    let form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nlog\r\n\
         --b\r\nContent-Disposition: form-data; name=\"AWSAccessKeyId\"\r\n\r\n{ACCESS_KEY}\r\n\
         --b\r\nContent-Disposition: form-data; name=\"policy\"\r\n\r\n{policy}\r\n\
         --b\r\nContent-Disposition: form-data; name=\"signature\"\r\n\r\n{VERSION_2}\r\n\
         --b\r\nContent-Disposition: form-data; name=\"x-amz-security-token\"\r\n\r\n{TOKEN}\r\n\
         --b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n{CONTENT}\r\n--b--\r\n"
    );
    let headers = client.headers(&[("content-type", "multipart/form-data; boundary=b")]);
    let _answer = client.send_as_is("POST", "/photos", "", headers, form).await;
}

#[tokio::test]
async fn section_7_nothing_secret_is_logged_at_any_level() {
    for (claim, level) in [
        ("ours", "trace"),
        (
            "of the libraries too, as far as anyone can ask for it",
            "trace,h2::codec=trace,h2::proto=trace,h2::hpack=trace,hyper::proto=trace,hyper::server=trace,\
             hyper_util::server=trace,rustls::server=trace,rustls::common_state=trace,s3s=trace,s3s::ops=trace,\
             s3s::service=trace,s3s::http=trace,[{req}]=trace",
        ),
    ] {
        let server = server_with(&[("COFFER_LOG", level)]).await;
        let mut canaries = Canaries::new();
        all_forms(server.client(), &mut canaries).await;
        all_forms(&server.client().over_http2(), &mut canaries).await;
        assert!(canaries.0.len() > 30, "{}", canaries.0.len());
        let log = server.read_log();
        assert!(log.len() > 10_000, "{claim}: it logs hardly anything: {}", log.len());
        canaries.assert_absent(&log);
        if level == "trace" {
            server.assert_discreet();
        }
    }
}
