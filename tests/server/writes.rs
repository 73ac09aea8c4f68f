//! Conditional writes: decided in the same commit, so that of many exactly one wins.

use coffer_tests::server::Server;
use coffer_tests::stored::Stored;
use futures_util::future::join_all;

use crate::claim::{Row, refuses, send, server};

#[tokio::test]
async fn a_write_whose_condition_fails_changes_nothing() {
    let server = server().await;
    let client = server.client();
    let begun = send(client, "POST /photos/k?uploads", &[], "").await.element("UploadId").unwrap();
    let part = send(client, &format!("PUT /photos/k?partNumber=1&uploadId={begun}"), &[], "new")
        .await
        .header("etag");
    let document = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{part}</ETag></Part></CompleteMultipartUpload>"
    );
    let complete = format!("POST /photos/k?uploadId={begun}");
    let copy = [("x-amz-copy-source", "/other/k"), ("if-none-match", "*")];
    let rows: &[Row<'_>] = &[
        (
            "a put where there is one",
            "PUT /photos/k",
            &[("if-none-match", "*")],
            "new",
            412,
            "PreconditionFailed",
        ),
        (
            "a put over another",
            "PUT /photos/k",
            &[("if-match", "\"a\"")],
            "new",
            412,
            "PreconditionFailed",
        ),
        (
            "a put over none",
            "PUT /photos/absent",
            &[("if-match", "\"a\"")],
            "new",
            404,
            "NoSuchKey",
        ),
        (
            "both",
            "PUT /photos/k",
            &[("if-match", "\"a\""), ("if-none-match", "*")],
            "new",
            501,
            "NotImplemented",
        ),
        (
            "none of some",
            "PUT /photos/k",
            &[("if-none-match", "\"a\"")],
            "new",
            501,
            "NotImplemented",
        ),
        (
            "a blob where there is one",
            "PUT /photos/k",
            &[("if-none-match", "*")],
            &"x".repeat(100_000),
            412,
            "PreconditionFailed",
        ),
        (
            "a completion where there is one",
            &complete,
            &[("if-none-match", "*")],
            &document,
            412,
            "PreconditionFailed",
        ),
        (
            "a completion over another",
            &complete,
            &[("if-match", "\"a\"")],
            &document,
            412,
            "PreconditionFailed",
        ),
        (
            "a delete of another",
            "DELETE /photos/k",
            &[("if-match", "\"a\"")],
            "",
            412,
            "PreconditionFailed",
        ),
        ("a copy where there is one", "PUT /photos/k", &copy, "", 412, "PreconditionFailed"),
    ];
    refuses(&server, rows).await;

    let etag = send(client, "HEAD /photos/k", &[], "").await.header("etag");
    let put = send(client, "PUT /photos/k", &[("if-match", &etag)], "newer").await;
    assert_eq!(put.status, 200);
    let done = send(client, &complete, &[("if-match", &put.header("etag"))], document).await;
    assert_eq!(done.status, 200, "{}", done.text());
    let etag = send(client, "HEAD /photos/k", &[], "").await.header("etag");
    assert_eq!(send(client, "DELETE /photos/k", &[("if-match", &etag)], "").await.status, 204);
    assert_eq!(send(client, "PUT /photos/k", &[("if-none-match", "*")], "again").await.status, 200);
}

/// Sends 32 writes at once and says how many won.
async fn winners(
    server: &Server,
    key: &str,
    headers: &[(&str, &str)],
    size: usize,
    first: u8,
) -> usize {
    let requests = (0..32_u8).map(|n| {
        let client = server.client().clone();
        async move {
            let body = vec![first + n; size];
            let answer = client.send("PUT", key, "", headers, body).await;
            match answer.status.as_u16() {
                200 => Some(n),
                412 | 409 => None,
                other => panic!("{other}: {}", answer.text()),
            }
        }
    });
    let won: Vec<u8> = join_all(requests).await.into_iter().flatten().collect();
    let got = server.client().send("GET", key, "", &[], "").await;
    assert!(
        got.body.len() == size
            && won.iter().any(|n| got.body.iter().all(|byte| *byte == first + n)),
        "{key}"
    );
    won.len()
}

#[tokio::test]
async fn of_32_conditional_writes_exactly_one_wins() {
    let server = server().await;
    let client = server.client();
    for (round, size) in [10, 50_000, 10, 50_000].into_iter().enumerate() {
        let key = format!("/photos/race{round}");
        assert_eq!(
            winners(&server, &key, &[("if-none-match", "*")], size, b'A').await,
            1,
            "{size}"
        );
        let etag = send(client, &format!("HEAD {key}"), &[], "").await.header("etag");
        assert_eq!(winners(&server, &key, &[("if-match", &etag)], size, b'a').await, 1, "{size}");
    }
    // The losers' blobs are gone.
    let keys: Vec<String> = (0..4).map(|n| format!("DELETE /photos/race{n}")).collect();
    for line in keys {
        assert_eq!(send(client, &line, &[], "").await.status, 204);
    }
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while format!("{:?}", Stored::of(&server).await).contains("/blobs/") {
        assert!(
            std::time::Instant::now() < deadline,
            "blobs stayed: {:?}",
            Stored::of(&server).await
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// A name is what follows the prefix, once.
#[tokio::test]
async fn metadata_of_names_that_repeat_the_prefix_stay_apart() {
    let server = server().await;
    let client = server.client();
    let pairs = [("x-amz-meta-a", "one"), ("x-amz-meta-x-amz-meta-a", "two")];
    assert_eq!(send(client, "PUT /photos/m", &pairs, "x").await.status, 200);
    let read = send(client, "HEAD /photos/m", &[], "").await;
    for (name, value) in pairs {
        assert_eq!(read.header(name), value, "{name}");
    }
}
