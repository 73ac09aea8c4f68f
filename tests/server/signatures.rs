//! Section 1 of what broke others: signatures that are bent in time, purpose or framing, and bodies sent before them.

use std::time::Duration;

use coffer_signature::{PayloadHash, Signer};
use coffer_tests::client::{Client, now};
use coffer_tests::stored::Stored;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::{SignedDuration, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::claim::{assert_all, assert_answer, mismatch, send, server};
use crate::smuggling::head;

fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap()
}

/// Headers for a PUT of `x`, signed at this time.
fn signed_at(client: &Client, time: Timestamp) -> HeaderMap {
    let mut headers = client.headers(&[]);
    let payload = PayloadHash::of(b"x");
    client
        .signer()
        .sign_headers(&Method::PUT, "/photos/new", "", &mut headers, &payload, time)
        .unwrap();
    headers
}

/// CVE-2025-68671, CVE-2020-12692.
#[tokio::test]
async fn section_1_a_signature_has_one_date_and_it_is_now() {
    let server = server().await;
    let client = server.client();
    let before = Stored::of(&server).await;
    let right = signed_at(client, now());
    let date = right["x-amz-date"].to_str().unwrap().to_owned();
    let authorization = right["authorization"].to_str().unwrap().to_owned();
    let day = &date[..8];
    let other_day = (now() - SignedDuration::from_hours(24)).strftime("%Y%m%d").to_string();
    let with = |change: &dyn Fn(&mut HeaderMap)| {
        let mut headers = right.clone();
        change(&mut headers);
        headers
    };
    let later = (now() + SignedDuration::from_mins(1)).strftime("%Y%m%dT%H%M%SZ").to_string();
    let mut wrong = Vec::new();
    for (claim, headers, accepted) in [
        (
            "a scope of another day",
            with(&|headers| {
                let scope = authorization.replace(day, &other_day);
                headers.insert("authorization", text(&scope));
            }),
            &[(400, "AuthorizationHeaderMalformed"), (403, "SignatureDoesNotMatch")][..],
        ),
        (
            "the same date twice",
            with(&|headers| {
                headers.append("x-amz-date", text(&date));
            }),
            &[(400, "InvalidRequest"), (403, "AccessDenied")],
        ),
        (
            "two dates",
            with(&|headers| {
                headers.append("x-amz-date", text(&later));
            }),
            &[(400, "InvalidRequest"), (403, "AccessDenied")],
        ),
        (
            "another date",
            with(&|headers| {
                headers.insert("x-amz-date", text(&later));
            }),
            &[(403, "SignatureDoesNotMatch")],
        ),
        (
            "a date without a time",
            with(&|headers| {
                headers.insert("x-amz-date", text(day));
            }),
            &[(403, "AccessDenied"), (400, "AuthorizationHeaderMalformed")],
        ),
    ] {
        let answer = client.send_as_is("PUT", "/photos/new", "", headers, "x").await.unwrap();
        let is = (answer.status.as_u16(), answer.code());
        if !accepted.iter().any(|(status, code)| (*status, *code) == (is.0, is.1.as_str())) {
            wrong.push(format!("{claim}: {is:?}: {}", answer.text()));
        }
    }
    assert_all(wrong);
    before.assert_same(&server, "a request of another time changed something").await;
    // The old header beside the new one is no second date: clients send it.
    let with_date = with(&|headers| {
        headers.insert("date", text("Tue, 24 Nov 2026 12:00:00 GMT"));
    });
    let answer = client.send_as_is("PUT", "/photos/new", "", with_date, "x").await.unwrap();
    assert_answer("an unsigned Date", &answer, 200, "");
}

/// CVE-2025-68671: the life of a URL, which its maker chose and nobody lengthens.
#[tokio::test]
async fn section_1_a_url_lives_as_long_as_it_says() {
    let server = server().await;
    let client = server.client();
    let url = |life: u64, age: i64| {
        let time = now() - SignedDuration::from_secs(age);
        client
            .signer()
            .presign(
                &Method::GET,
                "/photos/k",
                "",
                &client.headers(&[]),
                Duration::from_secs(life),
                time,
            )
            .unwrap()
    };
    let right = url(60, 0);
    let life = |to: &str| right.replacen("X-Amz-Expires=60", &format!("X-Amz-Expires={to}"), 1);
    let malformed = (400, "AuthorizationQueryParametersError");
    let mut wrong = Vec::new();
    for (claim, query, (status, code)) in [
        ("a second after its end", url(60, 61), (403, "AccessDenied")),
        ("a week and a second old", url(604_800, 604_801), (403, "AccessDenied")),
        ("no life", life("0"), malformed),
        ("a negative one", life("-1"), malformed),
        ("a second more than a week", life("604801"), malformed),
        ("one that is no whole number", life("1e20"), malformed),
        ("an endless one", life("99999999999999999999"), malformed),
        ("one with a sign", life("%2B60"), malformed),
        ("one with a space", life("60%20"), malformed),
        ("one in hex", life("0x3C"), malformed),
        ("an empty one", life(""), malformed),
    ] {
        let answer =
            client.send_as_is("GET", "/photos/k", &query, client.headers(&[]), "").await.unwrap();
        wrong.extend(mismatch(claim, &answer, status, code));
    }
    assert_all(wrong);
    for (life, age) in [(60, 0), (60, 58), (604_800, 604_790)] {
        let answer = client
            .send_as_is("GET", "/photos/k", &url(life, age), client.headers(&[]), "")
            .await
            .unwrap();
        assert_eq!(answer.text(), "hello world", "{life} s, {age} s old");
    }
}

/// SeaweedFS #9121: what the URL's maker didn't sign, its user adds.
#[tokio::test]
async fn section_1_nothing_is_added_beside_a_presigned_put() {
    let server = server().await;
    let client = server.client();
    let before = Stored::of(&server).await;
    let headers = client.headers(&[]);
    let life = Duration::from_mins(1);
    let url =
        client.signer().presign(&Method::PUT, "/photos/new", "", &headers, life, now()).unwrap();
    let mut wrong = Vec::new();
    for (name, value) in [
        ("x-amz-acl", "private"),
        ("x-amz-acl", "public-read"),
        ("x-amz-tagging", "a=b"),
        ("x-amz-meta-a", "b"),
        ("x-amz-server-side-encryption", "AES256"),
        ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
        ("x-amz-object-lock-mode", "GOVERNANCE"),
        ("x-amz-object-lock-legal-hold", "ON"),
        ("x-amz-bypass-governance-retention", "true"),
        ("x-amz-copy-source", "/other/k"),
        ("x-amz-security-token", "token"),
        ("x-amz-storage-class", "STANDARD"),
        ("x-amz-website-redirect-location", "/"),
        ("x-amz-expected-bucket-owner", "111111111111"),
        ("x-amz-date", "20261124T120000Z"),
        ("X-AMZ-Meta-B", "c"),
    ] {
        let answer = client
            .send_as_is("PUT", "/photos/new", &url, client.headers(&[(name, value)]), "x")
            .await
            .unwrap();
        // A second token is a second way to authenticate.
        if answer.status != 403 && answer.status != 400 {
            wrong.push(format!("{name}: {} {}", answer.status, answer.text()));
        }
        if name != "x-amz-security-token" && name != "x-amz-date" {
            wrong.extend(mismatch(name, &answer, 403, "AccessDenied"));
        }
    }
    // Nor by the query, which the signature covers whole.
    for pair in ["x-amz-acl=public-read", "x-amz-meta-a=b", "X-Amz-Security-Token=token", "tagging"]
    {
        let query = format!("{url}&{pair}");
        let answer = client
            .send_as_is("PUT", "/photos/new", &query, client.headers(&[]), "x")
            .await
            .unwrap();
        if !answer.status.is_client_error() {
            wrong.push(format!("{pair}: {} {}", answer.status, answer.text()));
        }
    }
    assert_all(wrong);
    before.assert_same(&server, "something was added to a presigned PUT").await;
    // What its maker signed is good.
    let headers = client.headers(&[("x-amz-meta-a", "b")]);
    let url =
        client.signer().presign(&Method::PUT, "/photos/new", "", &headers, life, now()).unwrap();
    let answer = client.send_as_is("PUT", "/photos/new", &url, headers, "x").await.unwrap();
    assert_answer("signed with it", &answer, 200, "");
    let got = send(client, "HEAD /photos/new", &[], "").await;
    assert_eq!(got.header("x-amz-meta-a"), "b");
}

/// CVE-2025-65073, swift3 1561199: a signature is for one service, region, method, host and path.
#[tokio::test]
async fn section_1_a_signature_is_good_for_its_purpose_alone() {
    let server = server().await;
    let client = server.client();
    let before = Stored::of(&server).await;
    let mut wrong = Vec::new();
    let signed = |region: &str, service: &str| {
        let mut headers = client.headers(&[]);
        Signer { credentials: &client.credentials, region, service }
            .sign_headers(
                &Method::PUT,
                "/photos/new",
                "",
                &mut headers,
                &PayloadHash::of(b"x"),
                now(),
            )
            .unwrap();
        headers
    };
    for (claim, region, service) in [
        ("STS", "us-east-1", "sts"),
        ("S3 Express", "us-east-1", "s3express"),
        ("IAM", "us-east-1", "iam"),
        ("no service", "us-east-1", ""),
        ("no region", "", "s3"),
        ("all regions", "*", "s3"),
        ("another region", "eu-west-1", "s3"),
        ("a region in capitals", "US-EAST-1", "s3"),
    ] {
        let answer = client
            .send_as_is("PUT", "/photos/new", "", signed(region, service), "x")
            .await
            .unwrap();
        wrong.extend(mismatch(claim, &answer, 400, "AuthorizationHeaderMalformed"));
    }
    let right = signed("us-east-1", "s3");
    for (claim, method, path, query, host) in [
        ("another method", "DELETE", "/photos/new", "", None),
        ("POST", "POST", "/photos/new", "uploads", None),
        ("another path", "PUT", "/other/new", "", None),
        ("another spelling of the path", "PUT", "/photos/%6Eew", "", None),
        ("a query", "PUT", "/photos/new", "acl", None),
        ("another host", "PUT", "/photos/new", "", Some("elsewhere.example")),
    ] {
        let mut headers = right.clone();
        if let Some(host) = host {
            headers.insert("host", text(host));
        }
        let answer = client.send_as_is(method, path, query, headers, "x").await.unwrap();
        // One key has one canonical spelling, and a right signature may be made over either.
        if claim == "another spelling of the path" {
            if answer.status == 200 {
                assert_eq!(send(client, "DELETE /photos/new", &[], "").await.status, 204);
            } else {
                wrong.extend(mismatch(claim, &answer, 403, "SignatureDoesNotMatch"));
            }
            continue;
        }
        wrong.extend(mismatch(claim, &answer, 403, "SignatureDoesNotMatch"));
    }
    assert_all(wrong);
    before.assert_same(&server, "a signature was used for something else").await;
}

/// GHSA-v2ch-c8v8-fgr7: sizes that overflow, and framing where no body belongs. The process lives on.
#[tokio::test]
async fn section_1_no_chunk_is_beyond_the_decoder() {
    let server = server().await;
    let client = server.client();
    let before = Stored::of(&server).await;
    let framed = |method: &str, path: &str, query: &str| {
        client.signed(
            method,
            path,
            query,
            &[
                ("x-amz-decoded-content-length", "5"),
                ("x-amz-trailer", "x-amz-checksum-crc32"),
                ("content-encoding", "aws-chunked"),
            ],
            &PayloadHash::UnsignedChunksTrailer,
        )
    };
    let zeros = "0".repeat(1024);
    let mut wrong = Vec::new();
    for size in [
        "ffffffffffffffff",
        "10000000000000000",
        "7fffffffffffffff",
        "8000000000000000",
        "-1",
        "",
        " 5",
        "5 ",
        "+5",
        "0x5",
        "5;",
        "1000001",
        "٥",
        &zeros,
    ] {
        let body = format!("{size}\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n");
        let headers = framed("PUT", "/photos/new", "");
        let answer = client.send_as_is("PUT", "/photos/new", "", headers, body).await.unwrap();
        if answer.status != 400 {
            wrong.push(format!("a size of `{size}`: {} {}", answer.status, answer.text()));
        }
    }
    let body = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
    for (method, path, query) in [
        ("GET", "/photos/k", ""),
        ("HEAD", "/photos/k", ""),
        ("DELETE", "/photos/absent", ""),
        ("GET", "/photos", "list-type=2"),
        ("POST", "/photos", "delete"),
        ("GET", "/minio/admin/v3/info", ""),
    ] {
        let headers = framed(method, path, query);
        let answer = client.send_as_is(method, path, query, headers, body).await.unwrap();
        // What has no body may ignore one; nothing may come of it.
        if answer.status.is_server_error() && answer.status != 501 {
            wrong.push(format!("{method} {path}?{query}: {} {}", answer.status, answer.text()));
        }
    }
    assert_all(wrong);
    before.assert_same(&server, "something came of a body that can't be").await;
    let headers = framed("PUT", "/photos/new", "");
    let answer = client.send_as_is("PUT", "/photos/new", "", headers, body).await.unwrap();
    assert_answer("a body that can be", &answer, 200, "");
}

/// CVE-2021-21390: a chunk that is announced larger than it is hides what its signature would have shown.
#[tokio::test]
async fn section_1_a_chunk_without_its_end_is_never_kept() {
    let server = server().await;
    let client = server.client();
    let before = Stored::of(&server).await;
    let mut headers = client.headers(&[("x-amz-decoded-content-length", "10")]);
    let mut encoder = client
        .signer()
        .sign_headers(
            &Method::PUT,
            "/photos/new",
            "",
            &mut headers,
            &PayloadHash::SignedChunks,
            now(),
        )
        .unwrap()
        .unwrap();
    let mut pieces = Vec::new();
    let mut piece = |encoder: &mut coffer_signature::ChunkEncoder, bytes: &'static [u8]| {
        let mut out: Vec<bytes::Bytes> = Vec::new();
        encoder.chunk(bytes.into(), &mut out);
        pieces.push(out.concat());
    };
    piece(&mut encoder, b"hello");
    piece(&mut encoder, b"world");
    let mut end: Vec<bytes::Bytes> = Vec::new();
    encoder.finish(&[], &mut end);
    let end = end.concat();
    let whole = [&pieces[0][..], &pieces[1], &end].concat();
    let swapped = [&pieces[1][..], &pieces[0], &end].concat();
    let twice = [&pieces[0][..], &pieces[0], &end].concat();
    let endless = [&pieces[0][..], &pieces[1]].concat();
    let longer = String::from_utf8(whole.clone()).unwrap().replacen('5', "f", 1).into_bytes();
    for (claim, body) in [
        ("swapped chunks", swapped),
        ("a chunk twice", twice),
        ("no last chunk", endless),
        ("a chunk that is announced longer", longer),
        ("bytes after the last chunk", [&whole[..], b"more"].concat()),
        ("one chunk and the end", [&pieces[0][..], &end].concat()),
    ] {
        // Sent whole, and cut by a half-close.
        let answer = client
            .send_as_is("PUT", "/photos/new", "", headers.clone(), body.clone())
            .await
            .unwrap();
        assert!(matches!(answer.status.as_u16(), 400 | 403), "{claim}: {}", answer.text());
        let mut stream = client.connect().await;
        let mut cut = headers.clone();
        cut.insert("content-length", HeaderValue::from(body.len() + 100));
        stream.write_all(head("PUT /photos/new", &cut).as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        assert!(tokio::time::timeout(Duration::from_secs(5), read).await.is_ok(), "{claim}");
        assert!(!String::from_utf8_lossy(&answer).contains(" 200 OK"), "{claim}");
        before.assert_same(&server, claim).await;
    }
    let answer = client.send_as_is("PUT", "/photos/new", "", headers, whole).await.unwrap();
    assert_answer("whole", &answer, 200, "");
}

/// CVE-2018-1000538, MinIO #5887, #8026: 5 GiB are announced by somebody whose signature is wrong.
#[tokio::test]
async fn section_1_a_body_is_not_read_before_its_signature() {
    let server = server().await;
    let client = server.client();
    let mut guessing = client.clone();
    guessing.credentials.secret_key = coffer_signature::SecretKey::new("guessed-secret".to_owned());
    let length = (5_u64 << 30).to_string();
    let resident = server.resident();
    for (claim, path, more) in [
        ("a PUT", "/photos/new", ""),
        ("a part", "/photos/new", "partNumber=1&uploadId=u"),
        ("a PUT that asks first", "/photos/new", ""),
        ("an upload by nobody", "/photos/new", ""),
    ] {
        let mut headers = guessing.signed(
            "PUT",
            path,
            more,
            &[("content-length", &length)],
            &PayloadHash::Unsigned,
        );
        if claim.contains("asks") {
            headers.insert("expect", HeaderValue::from_static("100-continue"));
        }
        if claim.contains("nobody") {
            headers = client.headers(&[("content-length", &length)]);
        }
        let line =
            if more.is_empty() { format!("PUT {path}") } else { format!("PUT {path}?{more}") };
        let mut stream = client.connect().await;
        stream.write_all(head(&line, &headers).as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        // The answer comes without a byte of the body.
        let mut answer = vec![0; 4096];
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut answer))
            .await
            .unwrap_or_else(|_| panic!("{claim}: no answer"))
            .unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
        assert!(answer.starts_with("HTTP/1.1 403 "), "{claim}: {answer}");
        assert!(answer.to_ascii_lowercase().contains("connection: close"), "{claim}: {answer}");
        // Who sends it all the same reaches nobody.
        let piece = vec![7; 1 << 20];
        let mut sent = 0;
        while sent < 256 {
            let write = tokio::time::timeout(Duration::from_secs(1), stream.write_all(&piece));
            if !matches!(write.await, Ok(Ok(()))) {
                break;
            }
            sent += 1;
        }
        assert!(sent < 256, "{claim}: the server reads on");
    }
    assert!(
        server.resident() < resident + (8 << 10),
        "{} KiB, {resident} before",
        server.resident()
    );
    // Over HTTP/2 the window holds the sender back.
    let over_2 = guessing.over_http2();
    let name = HeaderName::from_static("content-length");
    let mut headers = over_2.signed("PUT", "/photos/new", "", &[], &PayloadHash::Unsigned);
    headers.remove(&name);
    let body = vec![7; 32 << 20];
    if let Ok(answer) = over_2.send_as_is("PUT", "/photos/new", "", headers, body).await {
        assert_answer("over HTTP/2", &answer, 403, "SignatureDoesNotMatch");
    }
    assert!(
        server.resident() < resident + (8 << 10),
        "{} KiB, {resident} before",
        server.resident()
    );
}
