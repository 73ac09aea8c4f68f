//! Uploads in parts: their whole life, and what is refused on the way.

use coffer_tests::client::Answer;
use coffer_tests::server::Server;
use coffer_tests::stored::texts;

use crate::claim::{refuses, send, server};

const MIB: usize = 1 << 20;

pub(crate) async fn begin(server: &Server, path: &str) -> String {
    let answer = send(server.client(), &format!("POST {path}?uploads"), &[], "").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.element("UploadId").unwrap()
}

pub(crate) async fn part(
    server: &Server,
    path: &str,
    id: &str,
    number: u32,
    body: Vec<u8>,
) -> String {
    let answer =
        send(server.client(), &format!("PUT {path}?partNumber={number}&uploadId={id}"), &[], body)
            .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("etag")
}

pub(crate) fn document(parts: &[(u32, &str)]) -> String {
    let rows: String = parts
        .iter()
        .map(|(number, etag)| {
            format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag></Part>",
                etag.replace('"', "&quot;")
            )
        })
        .collect();
    format!("<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>")
}

async fn complete(server: &Server, path: &str, id: &str, parts: &[(u32, &str)]) -> Answer {
    send(server.client(), &format!("POST {path}?uploadId={id}"), &[], document(parts)).await
}

#[tokio::test]
async fn an_upload_lives_from_its_beginning_to_its_object() {
    let server = server().await;
    let client = server.client();
    let path = "/photos/big";
    let id = begin(&server, path).await;
    let (first, second) = (vec![1; 5 * MIB], vec![2; 100]);
    let old = part(&server, path, &id, 1, vec![9; 6 * MIB]).await;
    let one = part(&server, path, &id, 1, first.clone()).await;
    let two = part(&server, path, &id, 10_000, second.clone()).await;
    let unused = part(&server, path, &id, 7, vec![3; 100_000]).await;
    assert_ne!(old, one);
    let listed = send(client, &format!("GET {path}?uploadId={id}"), &[], "").await.text();
    assert_eq!(texts(&listed, "PartNumber"), ["1", "7", "10000"], "{listed}");
    assert_eq!(texts(&listed, "Size"), ["5242880", "100000", "100"], "{listed}");
    let paged = send(
        client,
        &format!("GET {path}?uploadId={id}&max-parts=1&part-number-marker=1"),
        &[],
        "",
    )
    .await
    .text();
    assert_eq!(
        (texts(&paged, "PartNumber"), texts(&paged, "NextPartNumberMarker")),
        (vec!["7".to_owned()], vec!["7".to_owned()]),
        "{paged}"
    );
    assert!(send(client, "GET /photos?uploads", &[], "").await.text().contains(&id));
    // Not there before it is complete.
    assert_eq!(send(client, "GET /photos/big", &[], "").await.status, 404);

    let wrong = format!("\"{}\"", "0".repeat(32));
    let aside = begin(&server, "/photos/aside").await;
    let line = format!("POST {path}?uploadId={id}");
    let (swapped, absent, changed, replaced, small, none) = (
        document(&[(10_000, &two), (1, &one)]),
        document(&[(1, &one), (2, &two)]),
        document(&[(1, &wrong), (10_000, &two)]),
        document(&[(1, &old), (10_000, &two)]),
        document(&[(7, &unused), (10_000, &two)]),
        document(&[]),
    );
    let twice = document(&[(1, &one), (1, &one)]);
    let good = document(&[(1, &one), (10_000, &two)]);
    let stranger = format!("POST /photos/other-key?uploadId={id}");
    let other_bucket = format!("POST /other/big?uploadId={id}");
    let part_of_another = format!("PUT /photos/big?partNumber=1&uploadId={aside}");
    let (part_0, part_10001) = (
        format!("PUT {path}?partNumber=0&uploadId={id}"),
        format!("PUT {path}?partNumber=10001&uploadId={id}"),
    );
    let part_letters = format!("PUT {path}?partNumber=one&uploadId={id}");
    refuses(
        &server,
        &[
            ("parts out of order", &line, &[], &swapped, 400, "InvalidPartOrder"),
            ("a part twice", &line, &[], &twice, 400, "InvalidPartOrder"),
            ("a part that isn't there", &line, &[], &absent, 400, "InvalidPart"),
            ("another ETag", &line, &[], &changed, 400, "InvalidPart"),
            ("the ETag of a part that was replaced", &line, &[], &replaced, 400, "InvalidPart"),
            ("a small part that isn't the last", &line, &[], &small, 400, "EntityTooSmall"),
            ("no part", &line, &[], &none, 400, "MalformedXML"),
            ("another size", &line, &[("x-amz-mp-object-size", "5")], &good, 400, "InvalidRequest"),
            (
                "a wrong checksum of the whole",
                &line,
                &[("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=")],
                &good,
                400,
                "BadDigest",
            ),
            ("another key's upload", &stranger, &[], &good, 404, "NoSuchUpload"),
            ("another bucket's upload", &other_bucket, &[], &good, 404, "NoSuchUpload"),
            ("a part of another's upload", &part_of_another, &[], "x", 404, "NoSuchUpload"),
            (
                "an upload that never was",
                "POST /photos/big?uploadId=abc",
                &[],
                &good,
                404,
                "NoSuchUpload",
            ),
            (
                "an upload's name that climbs",
                "POST /photos/big?uploadId=..%2F..%2Fx",
                &[],
                &good,
                404,
                "NoSuchUpload",
            ),
            ("part 0", &part_0, &[], "x", 400, "InvalidArgument"),
            ("part 10001", &part_10001, &[], "x", 400, "InvalidArgument"),
            ("part one", &part_letters, &[], "x", 400, "InvalidArgument"),
            (
                "parts of an upload that never was",
                "GET /photos/big?uploadId=abc",
                &[],
                "",
                404,
                "NoSuchUpload",
            ),
            ("the end of one", "DELETE /photos/big?uploadId=abc", &[], "", 404, "NoSuchUpload"),
        ],
    )
    .await;

    let done = complete(&server, path, &id, &[(1, &one), (10_000, &two)]).await;
    assert_eq!(done.status, 200, "{}", done.text());
    assert!(done.text().contains("-2&quot;") || done.text().contains("-2\""), "{}", done.text());
    let whole = send(client, "GET /photos/big", &[], "").await;
    assert_eq!((&whole.body[..5 * MIB], &whole.body[5 * MIB..]), (&first[..], &second[..]));
    let across = send(client, "GET /photos/big", &[("range", "bytes=5242879-5242880")], "").await;
    assert_eq!((across.status.as_u16(), &across.body[..]), (206, &[1_u8, 2][..]));
    let last = send(client, "GET /photos/big?partNumber=2", &[], "").await;
    assert_eq!(
        (last.status.as_u16(), last.header("x-amz-mp-parts-count").as_str(), &last.body[..]),
        (206, "2", &second[..])
    );
    assert_eq!(send(client, "GET /photos/big?partNumber=3", &[], "").await.status, 416);
    // Its life is over.
    for line in [
        format!("GET {path}?uploadId={id}"),
        format!("DELETE {path}?uploadId={id}"),
        format!("PUT {path}?partNumber=1&uploadId={id}"),
    ] {
        assert_eq!(send(client, &line, &[], "").await.code(), "NoSuchUpload", "{line}");
    }
    assert_eq!(
        send(client, &format!("DELETE /photos/aside?uploadId={aside}"), &[], "").await.status,
        204
    );
    let uploads = send(client, "GET /photos?uploads", &[], "").await.text();
    assert!(texts(&uploads, "UploadId").is_empty(), "{uploads}");
    server.assert_discreet();
}

#[tokio::test]
async fn an_upload_that_is_given_up_leaves_nothing() {
    let server = server().await;
    let before = coffer_tests::stored::Stored::of(&server).await;
    let id = begin(&server, "/photos/gone").await;
    for number in 1..=3 {
        part(&server, "/photos/gone", &id, number, vec![1; 100_000]).await;
    }
    let line = format!("DELETE /photos/gone?uploadId={id}");
    assert_eq!(send(server.client(), &line, &[], "").await.status, 204);
    before.assert_same(&server, "parts stayed").await;
}

#[tokio::test]
async fn parts_carry_the_checksum_that_the_upload_chose() {
    let server = server().await;
    let client = server.client();
    for (claim, headers, code) in [
        (
            "a type without an algorithm",
            vec![("x-amz-checksum-type", "COMPOSITE")],
            "InvalidRequest",
        ),
        (
            "a type that the algorithm hasn't",
            vec![("x-amz-checksum-algorithm", "SHA256"), ("x-amz-checksum-type", "FULL_OBJECT")],
            "InvalidRequest",
        ),
        (
            "the other way about",
            vec![("x-amz-checksum-algorithm", "CRC64NVME"), ("x-amz-checksum-type", "COMPOSITE")],
            "InvalidRequest",
        ),
        ("an unknown algorithm", vec![("x-amz-checksum-algorithm", "MD5")], "InvalidRequest"),
    ] {
        let answer = send(client, "POST /photos/sum?uploads", &headers, "").await;
        crate::claim::assert_answer(claim, &answer, 400, code);
    }
    for (algorithm, kind) in [
        ("CRC32", "COMPOSITE"),
        ("CRC32C", "FULL_OBJECT"),
        ("SHA1", "COMPOSITE"),
        ("SHA256", "COMPOSITE"),
        ("CRC64NVME", "FULL_OBJECT"),
    ] {
        let begun = send(
            client,
            "POST /photos/sum?uploads",
            &[("x-amz-checksum-algorithm", algorithm), ("x-amz-checksum-type", kind)],
            "",
        )
        .await;
        let id = begun.element("UploadId").unwrap();
        let other = if algorithm == "SHA1" {
            ("x-amz-checksum-crc32", "DUoRhQ==")
        } else {
            ("x-amz-checksum-sha1", "Kq5sNclPz7QV2+lfQIuc6R7oRu0=")
        };
        let line = format!("PUT /photos/sum?partNumber=1&uploadId={id}");
        assert_eq!(
            send(client, &line, &[other], "hello world").await.code(),
            "InvalidRequest",
            "{algorithm}"
        );
        let header = format!("x-amz-checksum-{}", algorithm.to_lowercase());
        let uploaded = send(client, &line, &[], "hello world").await;
        let (etag, sum) = (uploaded.header("etag"), uploaded.header(&header));
        let named = |element: &str, sum: &str| {
            let named = format!("<Checksum{element}>{sum}</Checksum{element}></Part>");
            document(&[(1, &etag)]).replace("</Part>", &named)
        };
        let line = format!("POST /photos/sum?uploadId={id}");
        let other = if algorithm == "SHA1" { "CRC32" } else { "SHA1" };
        let wrong = send(client, &line, &[], named(other, "AAAAAA==")).await;
        assert_eq!(wrong.code(), "InvalidRequest", "{algorithm}: a checksum of another kind");
        let wrong = send(client, &line, &[], named(algorithm, "AAAAAA==")).await;
        assert_eq!(wrong.code(), "InvalidPart", "{algorithm}: another checksum");
        let bare = complete(&server, "/photos/sum", &id, &[(1, &etag)]).await;
        let done = if kind == "COMPOSITE" {
            assert_eq!(bare.code(), "InvalidRequest", "{algorithm}: {}", bare.text());
            send(client, &line, &[], named(algorithm, &sum)).await
        } else {
            bare
        };
        assert_eq!(
            (done.status.as_u16(), done.element("ChecksumType").unwrap().as_str()),
            (200, kind),
            "{algorithm}: {}",
            done.text()
        );
        let head =
            send(client, "HEAD /photos/sum", &[("x-amz-checksum-mode", "ENABLED")], "").await;
        let value = head.header(&header);
        assert_eq!(value.ends_with("-1"), kind == "COMPOSITE", "{algorithm}: {value}");
    }
}
