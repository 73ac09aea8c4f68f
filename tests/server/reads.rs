//! Reads: ranges, conditions, HEAD, and headers that the query sets.

use coffer_tests::stored::Stored;

use crate::claim::{answers, assert_answer, refuses, send, server};

#[tokio::test]
async fn a_range_is_what_it_says_or_refused() {
    let server = server().await;
    let client = server.client();
    assert_eq!(send(client, "PUT /photos/empty", &[], "").await.status, 200);
    let large: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    assert_eq!(send(client, "PUT /photos/large", &[], large.clone()).await.status, 200);
    for (range, status, body, content_range) in [
        ("bytes=0-4", 206, "hello", "bytes 0-4/11"),
        ("bytes=0-0", 206, "h", "bytes 0-0/11"),
        ("bytes=6-", 206, "world", "bytes 6-10/11"),
        ("bytes=-5", 206, "world", "bytes 6-10/11"),
        ("bytes=-100", 206, "hello world", "bytes 0-10/11"),
        ("bytes=0-100", 206, "hello world", "bytes 0-10/11"),
        ("bytes=10-10", 206, "d", "bytes 10-10/11"),
        ("bytes=0-18446744073709551615", 206, "hello world", "bytes 0-10/11"),
        ("bytes=18446744073709551616-", 416, "", "bytes */11"),
        ("bytes=11-", 416, "", "bytes */11"),
        ("bytes=11-20", 416, "", "bytes */11"),
        ("bytes=-0", 416, "", "bytes */11"),
    ] {
        let answer = send(client, "GET /photos/k", &[("range", range)], "").await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-range").as_str()),
            (status, content_range),
            "{range}: {}",
            answer.text()
        );
        if status == 206 {
            assert_eq!(answer.text(), body, "{range}");
        } else {
            assert_answer(range, &answer, 416, "InvalidRange");
        }
        let head = send(client, "HEAD /photos/k", &[("range", range)], "").await;
        assert_eq!(head.status.as_u16(), status, "{range}");
    }
    // What is no range, or one of several, is not one: the whole comes, as RFC 9110 allows and AWS does.
    for range in [
        "bytes=5-4",
        "bytes=a-b",
        "bytes=",
        "bytes=-",
        "bytes",
        "items=0-1",
        "bytes=0-1,3-4",
        "bytes=1-a",
        "bytes=+1-2",
        "bytes=1 -2",
    ] {
        let answer = send(client, "GET /photos/k", &[("range", range)], "").await;
        assert_eq!(
            (answer.status.as_u16(), answer.text().as_str()),
            (200, "hello world"),
            "{range}"
        );
    }
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=524287-524288", 524_287, 524_289),
        ("bytes=1000000-", 1_000_000, 1_200_000),
        ("bytes=-1", 1_199_999, 1_200_000),
    ] {
        let answer = send(client, "GET /photos/large", &[("range", range)], "").await;
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (206, &large[from..to]), "{range}");
    }
    let empty = send(client, "GET /photos/empty", &[("range", "bytes=0-")], "").await;
    assert_eq!((empty.status.as_u16(), empty.code().as_str()), (416, "InvalidRange"));
    refuses(
        &server,
        &[(
            "a range of a part",
            "GET /photos/k?partNumber=1",
            &[("range", "bytes=0-1")],
            "",
            400,
            "InvalidRequest",
        )],
    )
    .await;
}

#[tokio::test]
async fn a_conditional_read_is_decided_by_rfc_9110() {
    let server = server().await;
    let client = server.client();
    let head = send(client, "HEAD /photos/k", &[], "").await;
    let (etag, date) = (head.header("etag"), head.header("last-modified"));
    let bare = etag.trim_matches('"').to_owned();
    let list = format!("\"a\", {etag}");
    let (past, future) = ("Fri, 02 Jan 2015 03:04:05 GMT", "Fri, 02 Jan 2099 03:04:05 GMT");
    for method in ["GET", "HEAD"] {
        let line = format!("{method} /photos/k");
        let line = line.as_str();
        answers(
            &server,
            &[
                (line, &[("if-match", &etag)], "", 200),
                (line, &[("if-match", &bare)], "", 200),
                (line, &[("if-match", &list)], "", 200),
                (line, &[("if-match", "*")], "", 200),
                (line, &[("if-match", "\"a\"")], "", 412),
                (line, &[("if-none-match", &etag)], "", 304),
                (line, &[("if-none-match", &list)], "", 304),
                (line, &[("if-none-match", "*")], "", 304),
                (line, &[("if-none-match", "\"a\"")], "", 200),
                (line, &[("if-modified-since", &date)], "", 304),
                (line, &[("if-modified-since", past)], "", 200),
                (line, &[("if-unmodified-since", &date)], "", 200),
                (line, &[("if-unmodified-since", past)], "", 412),
                (line, &[("if-match", &etag), ("if-unmodified-since", past)], "", 200),
                (line, &[("if-none-match", "\"a\""), ("if-modified-since", future)], "", 200),
                (line, &[("if-modified-since", "yesterday")], "", 200),
                (line, &[("if-match", "\"a\""), ("range", "bytes=0-1")], "", 412),
            ],
        )
        .await;
    }
    let not_modified = send(client, "GET /photos/k", &[("if-none-match", &etag)], "").await;
    assert_eq!((not_modified.header("etag"), not_modified.body.len()), (etag, 0));
    let failed = send(client, "GET /photos/k", &[("if-match", "\"a\"")], "").await;
    assert_eq!(failed.code(), "PreconditionFailed");
}

#[tokio::test]
async fn head_answers_as_get_does_without_the_body() {
    let server = server().await;
    let client = server.client();
    let headers = [
        ("content-type", "text/x-a"),
        ("cache-control", "no-store"),
        ("x-amz-meta-who", "me"),
        ("expires", "never"),
    ];
    assert_eq!(send(client, "PUT /photos/described", &headers, "abc").await.status, 200);
    let (get, head) = (
        send(client, "GET /photos/described", &[], "").await,
        send(client, "HEAD /photos/described", &[], "").await,
    );
    assert_eq!((get.text().as_str(), head.body.len()), ("abc", 0));
    for name in [
        "content-type",
        "cache-control",
        "x-amz-meta-who",
        "expires",
        "etag",
        "last-modified",
        "content-length",
        "accept-ranges",
    ] {
        assert_eq!(get.header(name), head.header(name), "{name}");
        assert!(!head.header(name).is_empty(), "{name}");
    }
    for (name, value) in headers {
        assert_eq!(head.header(name), value, "{name}");
    }
    // CVE-2016-9579, CVE-2026-27822: a browser neither guesses nor runs what was stored.
    assert_eq!(get.header("x-content-type-options"), "nosniff");
    assert!(get.header("content-security-policy").contains("sandbox"));
    for line in ["HEAD /photos/absent", "HEAD /absent", "HEAD /photos?acl", "HEAD /Bad_Name/k"] {
        let answer = send(client, line, &[], "").await;
        assert!(answer.status.is_client_error() && answer.body.is_empty(), "{line}: {answer:?}");
    }
    let bucket = send(client, "HEAD /photos", &[], "").await;
    assert_eq!(
        (bucket.status.as_u16(), bucket.header("x-amz-bucket-region").as_str()),
        (200, "us-east-1")
    );
}

/// CVE-2015-5245, CVE-2020-10753, CVE-2021-3524, CVE-2014-3497, CVE-2020-1760.
#[tokio::test]
async fn section_6_no_answer_is_split_by_what_a_client_sends() {
    let server = server().await;
    let client = server.client();
    let open = crate::people::document(
        r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::public/*"}"#,
    );
    for (line, body) in
        [("PUT /public", ""), ("PUT /public/k", "open"), ("PUT /public?policy", open.as_str())]
    {
        let made = send(client, line, &[], body.to_owned()).await;
        assert!(made.status.is_success(), "{line}: {}", made.text());
    }
    let before = Stored::of(&server).await;
    for name in [
        "content-type",
        "content-disposition",
        "content-language",
        "content-encoding",
        "cache-control",
        "expires",
    ] {
        for evil in [
            "a%0D%0Ax-evil%3A%201",
            "a%0Ax-evil%3A%201",
            "a%0Dx-evil%3A%201",
            "a%00b",
            "%0D%0A%0D%0A%3Cscript%3E",
        ] {
            let answer =
                send(client, &format!("GET /photos/k?response-{name}={evil}"), &[], "").await;
            assert!(answer.headers.get("x-evil").is_none(), "{name}={evil}");
            assert_eq!(answer.status, 400, "{name}={evil}: {answer:?}");
        }
        let value = if name == "expires" { "Thu, 01 Jan 2037 00:00:00 GMT" } else { "a/b" };
        let query = format!("response-{name}={}", value.replace([' ', ','], "%20"));
        let query = query.replace("Thu%20%20", "Thu%2C%20");
        for method in ["GET", "HEAD"] {
            let good = send(client, &format!("{method} /photos/k?{query}"), &[], "").await;
            assert_eq!((good.status.as_u16(), good.header(name).as_str()), (200, value), "{name}");
        }
        // The bucket is open to everyone; what it looks like isn't theirs to say.
        for (query, status) in [("", 200), (query.as_str(), 400)] {
            let headers = client.headers(&[]);
            let read = client.send_as_is("GET", "/public/k", query, headers, "").await.unwrap();
            assert_eq!(read.status.as_u16(), status, "{name}: {}", read.text());
            assert_eq!(read.code() == "InvalidRequest", status == 400, "{name}");
        }
    }
    for key in ["a%0D%0Ax-evil:%201", "a%0Ab"] {
        let answer = send(client, &format!("POST /photos/{key}?uploads"), &[], "").await;
        assert_eq!(answer.status, 200);
        assert!(answer.headers.get("x-evil").is_none(), "{key}");
        let id = answer.element("UploadId").unwrap();
        assert_eq!(
            send(client, &format!("DELETE /photos/{key}?uploadId={id}"), &[], "").await.status,
            204
        );
    }
    before.assert_same(&server, "a read changed something").await;
    server.assert_discreet();
}
