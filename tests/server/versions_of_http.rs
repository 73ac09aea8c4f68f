//! The same over HTTP/1.1 and HTTP/2.

use coffer_signature::PayloadHash;
use coffer_tests::client::now;
use http::Method;

use crate::claim::{send, server};

#[tokio::test]
async fn http_2_does_all_that_http_1_does() {
    let server = server().await;
    for client in [server.client().clone(), server.client().over_http2()] {
        let body = vec![7; 3 << 20];
        assert_eq!(
            send(&client, "PUT /photos/h", &[("x-amz-meta-a", "1")], body.clone()).await.status,
            200
        );
        let got = send(&client, "GET /photos/h", &[], "").await;
        assert!(got.body == body && got.header("x-amz-meta-a") == "1");
        assert_eq!(
            send(&client, "GET /photos/h", &[("range", "bytes=0-9")], "").await.body.len(),
            10
        );
        assert_eq!(
            send(&client, "HEAD /photos/h", &[], "").await.header("content-length"),
            body.len().to_string()
        );
        assert!(
            send(&client, "GET /photos?list-type=2", &[], "").await.text().contains("<Key>h</Key>")
        );
        assert_eq!(
            send(&client, "PUT /photos/h", &[("if-none-match", "*")], "x").await.code(),
            "PreconditionFailed"
        );
        assert_eq!(
            send(&client, "PUT /photos/h", &[("x-amz-checksum-crc32", "AAAAAA==")], "x")
                .await
                .code(),
            "BadDigest"
        );
        assert_eq!(send(&client, "GET /photos/absent", &[], "").await.code(), "NoSuchKey");
        assert_eq!(send(&client, "DELETE /photos/h", &[], "").await.status, 204);
    }
    // Over HTTP/2 the host stands in `:authority`, and the signature covers it under its name.
    let client = server.client().over_http2();
    let mut headers = client.signed("GET", "/photos/k", "", &[], &PayloadHash::of(b""));
    headers.remove("host");
    assert_eq!(
        client.send_as_is("GET", "/photos/k", "", headers, "").await.unwrap().text(),
        "hello world"
    );
    server.assert_discreet();
}

/// CVE-2025-22871 and its kin: two names for one request.
#[tokio::test]
async fn section_9_host_and_authority_that_differ_are_refused() {
    let server = server().await;
    let client = server.client().over_http2();
    let mut headers = client.headers(&[]);
    headers.insert("host", "elsewhere.example".parse().unwrap());
    client
        .signer()
        .sign_headers(&Method::GET, "/photos/k", "", &mut headers, &PayloadHash::of(b""), now())
        .unwrap();
    let answer = client.send_as_is("GET", "/photos/k", "", headers, "").await.unwrap();
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (400, "InvalidRequest"),
        "{}",
        answer.text()
    );
}

/// RFC 9113, section 8.2.1: a policy would be asked about ` AES256` and the object written as `AES256`.
#[tokio::test]
async fn a_value_with_blanks_around_it_is_refused() {
    let server = server().await;
    let client = server.client().over_http2();
    for value in [" private", "private ", "\tprivate"] {
        let mut headers = client.headers(&[("x-amz-acl", "private")]);
        let payload = PayloadHash::of(b"x");
        client
            .signer()
            .sign_headers(&Method::PUT, "/photos/blank", "", &mut headers, &payload, now())
            .unwrap();
        // The signature doesn't tell them apart.
        headers.insert("x-amz-acl", value.parse().unwrap());
        let answer = client.send_as_is("PUT", "/photos/blank", "", headers, "x").await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "InvalidRequest"));
    }
    assert_eq!(
        send(&client, "PUT /photos/blank", &[("x-amz-acl", "private")], "x").await.status,
        200
    );
}
