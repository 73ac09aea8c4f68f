//! Copies: what is taken over and what is set anew.

use coffer_tests::stored::Stored;

use crate::claim::{Row, refuses, send, server};
use crate::multipart::{begin, document};

#[tokio::test]
async fn a_copy_takes_over_or_replaces() {
    let server = server().await;
    let client = server.client();
    let described =
        [("content-type", "text/x-a"), ("x-amz-meta-a", "1"), ("cache-control", "no-store")];
    assert_eq!(send(client, "PUT /photos/source", &described, "content").await.status, 200);
    for (claim, headers, kind, meta, cache) in [
        ("as it is", vec![], "text/x-a", "1", "no-store"),
        (
            "COPY, so what is sent doesn't count",
            vec![
                ("x-amz-metadata-directive", "COPY"),
                ("content-type", "text/x-b"),
                ("x-amz-meta-a", "2"),
            ],
            "text/x-a",
            "1",
            "no-store",
        ),
        (
            "REPLACE",
            vec![
                ("x-amz-metadata-directive", "REPLACE"),
                ("content-type", "text/x-b"),
                ("x-amz-meta-a", "2"),
            ],
            "text/x-b",
            "2",
            "",
        ),
        (
            "REPLACE by nothing",
            vec![("x-amz-metadata-directive", "REPLACE")],
            "binary/octet-stream",
            "",
            "",
        ),
    ] {
        let mut all = vec![("x-amz-copy-source", "/photos/source")];
        all.extend(headers);
        let copied = send(client, "PUT /other/copy", &all, "").await;
        assert_eq!(copied.status, 200, "{claim}: {}", copied.text());
        let got = send(client, "GET /other/copy", &[], "").await;
        assert_eq!(
            (
                got.text().as_str(),
                got.header("content-type").as_str(),
                got.header("x-amz-meta-a").as_str(),
                got.header("cache-control").as_str()
            ),
            ("content", kind, meta, cache),
            "{claim}"
        );
    }
    let etag = send(client, "HEAD /photos/source", &[], "").await.header("etag");
    let source = ("x-amz-copy-source", "/photos/source");
    let rows: &[Row<'_>] = &[
        ("onto itself, unchanged", "PUT /photos/source", &[source], "", 400, "InvalidRequest"),
        (
            "an unknown directive",
            "PUT /other/copy",
            &[source, ("x-amz-metadata-directive", "MERGE")],
            "",
            400,
            "InvalidArgument",
        ),
        (
            "new tags",
            "PUT /other/copy",
            &[source, ("x-amz-tagging-directive", "REPLACE")],
            "",
            501,
            "NotImplemented",
        ),
        (
            "a source that isn't there",
            "PUT /other/copy",
            &[("x-amz-copy-source", "/photos/absent")],
            "",
            404,
            "NoSuchKey",
        ),
        (
            "a source bucket that isn't there",
            "PUT /other/copy",
            &[("x-amz-copy-source", "/absent/k")],
            "",
            404,
            "NoSuchBucket",
        ),
        ("a bucket that isn't there", "PUT /absent/copy", &[source], "", 404, "NoSuchBucket"),
        (
            "another version",
            "PUT /other/copy",
            &[("x-amz-copy-source", "/photos/source?versionId=3")],
            "",
            404,
            "NoSuchVersion",
        ),
        (
            "a source that changed",
            "PUT /other/copy",
            &[source, ("x-amz-copy-source-if-match", "\"a\"")],
            "",
            412,
            "PreconditionFailed",
        ),
        (
            "a source that didn't change",
            "PUT /other/copy",
            &[source, ("x-amz-copy-source-if-none-match", &etag)],
            "",
            412,
            "PreconditionFailed",
        ),
        (
            "a source that is newer",
            "PUT /other/copy",
            &[source, ("x-amz-copy-source-if-unmodified-since", "Fri, 02 Jan 2015 03:04:05 GMT")],
            "",
            412,
            "PreconditionFailed",
        ),
        (
            "a target that is there",
            "PUT /other/copy",
            &[source, ("if-none-match", "*")],
            "",
            412,
            "PreconditionFailed",
        ),
        (
            "encrypted",
            "PUT /other/copy",
            &[source, ("x-amz-server-side-encryption", "AES256")],
            "",
            501,
            "NotImplemented",
        ),
        (
            "an access point",
            "PUT /other/copy",
            &[("x-amz-copy-source", "arn:aws:s3:us-east-1:123456789012:accesspoint/ap/object/k")],
            "",
            400,
            "InvalidArgument",
        ),
    ];
    refuses(&server, rows).await;
    let onto_itself = send(
        client,
        "PUT /photos/source",
        &[source, ("x-amz-metadata-directive", "REPLACE"), ("x-amz-meta-a", "3")],
        "",
    )
    .await;
    assert_eq!(onto_itself.status, 200);
    let got = send(client, "GET /photos/source", &[], "").await;
    assert_eq!((got.text().as_str(), got.header("x-amz-meta-a").as_str()), ("content", "3"));
    server.assert_discreet();
}

#[tokio::test]
async fn a_part_is_copied_from_a_range() {
    let server = server().await;
    let client = server.client();
    let large: Vec<u8> = (0..6_u32 << 18).flat_map(u32::to_le_bytes).collect();
    assert_eq!(send(client, "PUT /other/large", &[], large.clone()).await.status, 200);
    let id = begin(&server, "/photos/joined").await;
    let line = |number: u32| format!("PUT /photos/joined?partNumber={number}&uploadId={id}");
    let (one, two) = (line(1), line(2));
    let (large_source, small_source) =
        (("x-amz-copy-source", "/other/large"), ("x-amz-copy-source", "/photos/k"));
    let before = Stored::of(&server).await;
    for range in [
        "bytes=0-11",
        "bytes=5-4",
        "bytes=-5",
        "bytes=5-",
        "0-5",
        "bytes=0-18446744073709551615",
        "bytes=0-1,2-3",
    ] {
        let answer =
            send(client, &one, &[small_source, ("x-amz-copy-source-range", range)], "").await;
        crate::claim::assert_answer(range, &answer, 400, "InvalidArgument");
    }
    before.assert_same(&server, "a part of a bad range was kept").await;
    let first =
        send(client, &one, &[large_source, ("x-amz-copy-source-range", "bytes=4-5242883")], "")
            .await;
    assert_eq!(first.status, 200, "{}", first.text());
    let second = send(client, &two, &[small_source], "").await;
    let etag = |answer: &coffer_tests::client::Answer| {
        answer.element("ETag").unwrap().replace("&quot;", "\"")
    };
    let done = send(
        client,
        &format!("POST /photos/joined?uploadId={id}"),
        &[],
        document(&[(1, &etag(&first)), (2, &etag(&second))]),
    )
    .await;
    assert_eq!(done.status, 200, "{}", done.text());
    let joined = send(client, "GET /photos/joined", &[], "").await.body;
    assert_eq!(
        (&joined[..5 << 20], &joined[5 << 20..]),
        (&large[4..(5 << 20) + 4], &b"hello world"[..])
    );
}
