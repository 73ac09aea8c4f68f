//! Request documents: too large, too deep, not XML, or not what their digest says.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use coffer_tests::client::{Answer, Client};
use coffer_tests::server::Server;
use coffer_tests::stored::Stored;

use crate::claim::{assert_all, mismatch, refuses, send, server};

/// CRC-32 as `x-amz-checksum-crc32`, computed here so that the server isn't asked about itself.
pub(crate) fn crc32(bytes: &[u8]) -> String {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (0_u32.wrapping_sub(crc & 1)));
        }
    }
    STANDARD.encode((!crc).to_be_bytes())
}

/// DeleteObjects with this document.
pub(crate) async fn delete(server: &Server, bucket: &str, document: &str) -> Answer {
    delete_as(server.client(), bucket, document).await
}

/// The same, sent by whoever that is.
pub(crate) async fn delete_as(client: &Client, bucket: &str, document: &str) -> Answer {
    let checksum = crc32(document.as_bytes());
    let line = format!("POST /{bucket}?delete");
    send(client, &line, &[("x-amz-checksum-crc32", &checksum)], document.to_owned()).await
}

/// CVE-2022-47950, CVE-2025-59952, RUSTSEC-2026-0194 and -0195.
#[tokio::test]
async fn section_6_hostile_xml_is_refused_at_once_and_costs_no_memory() {
    let server = server().await;
    let before = Stored::of(&server).await;
    let deep = format!("{}{}", "<Object>".repeat(100_000), "</Object>".repeat(100_000));
    let attributes: Vec<String> = (0..100_000).map(|n| format!("a{n}=\"1\"")).collect();
    let key = |text: &str| format!("<Delete><Object><Key>{text}</Key></Object></Delete>");
    let objects = |count: usize| {
        let rows: String = (0..count).map(|n| format!("<Object><Key>{n}</Key></Object>")).collect();
        format!("<Delete>{rows}</Delete>")
    };
    let mut wrong = Vec::new();
    let resident = server.resident();
    for (claim, document) in [
        ("a DTD", format!("<!DOCTYPE a [<!ENTITY b \"k\">]>{}", key("&b;"))),
        (
            "an external entity",
            format!("<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]>{}", key("&b;")),
        ),
        (
            "a billion laughs",
            format!("<!DOCTYPE a [<!ENTITY b \"kk\"><!ENTITY c \"&b;&b;\">]>{}", key("&c;")),
        ),
        ("an entity nobody declared", key("&b;")),
        ("CDATA", key("<![CDATA[k]]>")),
        ("100,000 nested elements", deep),
        (
            "100,000 attributes",
            format!("<Delete {}><Object><Key>k</Key></Object></Delete>", attributes.join(" ")),
        ),
        ("5 MiB of namespace", format!("<Delete xmlns=\"{}\"", "x".repeat(5 << 20))),
        ("no end", "<Delete><Object><Key>k</Key>".to_owned()),
        ("a wrong end", "<Delete><Object><Key>k</Object></Key></Delete>".to_owned()),
        ("another root", "<Deletes><Object><Key>k</Key></Object></Deletes>".to_owned()),
        ("no object", "<Delete></Delete>".to_owned()),
        ("an object without a key", "<Delete><Object></Object></Delete>".to_owned()),
        ("1001 keys", objects(1001)),
        ("not XML", "{\"Objects\": [{\"Key\": \"k\"}]}".to_owned()),
        ("not UTF-8 told as UTF-16", "\u{feff}<Delete".to_owned()),
    ] {
        let before = server.processor_time();
        let answer = delete(&server, "photos", &document).await;
        wrong.extend(mismatch(claim, &answer, 400, "MalformedXML"));
        let spent = server.processor_time().saturating_sub(before);
        assert!(spent < Duration::from_millis(100), "{claim}: {spent:?}");
    }
    wrong.extend(mismatch(
        "nothing",
        &delete(&server, "photos", "").await,
        400,
        "MissingRequestBodyError",
    ));
    assert_all(wrong);
    let grown = server.resident().saturating_sub(resident);
    assert!(grown < 16 << 10, "{grown} KiB more for documents that were refused");
    before.assert_same(&server, "a document that was refused changed something").await;

    let most = objects(1000);
    let answer = delete(&server, "photos", &most).await;
    assert_eq!((answer.status.as_u16(), answer.text().matches("<Deleted>").count()), (200, 1000));
    server.assert_discreet();
}

#[tokio::test]
async fn a_document_has_to_be_the_one_that_was_meant() {
    let server = server().await;
    let document = "<Delete><Object><Key>k</Key></Object></Delete>";
    refuses(
        &server,
        &[
            ("no digest", "POST /photos?delete", &[], document, 400, "InvalidRequest"),
            (
                "a wrong MD5",
                "POST /photos?delete",
                &[("content-md5", "XrY7u+Ae7tCTyyK7j1rNww==")],
                document,
                400,
                "BadDigest",
            ),
            (
                "an MD5 that is none",
                "POST /photos?delete",
                &[("content-md5", "x")],
                document,
                400,
                "InvalidDigest",
            ),
            (
                "a wrong checksum",
                "POST /photos?delete",
                &[("x-amz-checksum-crc32", "AAAAAA==")],
                document,
                400,
                "BadDigest",
            ),
            (
                "an empty copy source",
                "PUT /photos/new",
                &[("x-amz-copy-source", "")],
                "",
                400,
                "InvalidRequest",
            ),
            (
                "a copy source of a slash",
                "PUT /photos/new",
                &[("x-amz-copy-source", "/")],
                "",
                400,
                "InvalidArgument",
            ),
            (
                "a copy source without a key",
                "PUT /photos/new",
                &[("x-amz-copy-source", "/photos/")],
                "",
                400,
                "InvalidArgument",
            ),
            (
                "a copy source that isn't UTF-8",
                "PUT /photos/new",
                &[("x-amz-copy-source", "/photos/%FF")],
                "",
                400,
                "InvalidArgument",
            ),
            ("an empty bucket", "GET //k", &[], "", 400, "InvalidBucketName"),
            ("a path that isn't UTF-8", "GET /photos/%C3", &[], "", 400, "InvalidURI"),
            (
                "a completion without parts",
                "POST /photos/k?uploadId=x",
                &[],
                "<CompleteMultipartUpload/>",
                400,
                "MalformedXML",
            ),
            (
                "a completion that is empty",
                "POST /photos/k?uploadId=x",
                &[],
                "",
                400,
                "MalformedXML",
            ),
            (
                "an ACL that is none",
                "PUT /photos?acl",
                &[],
                "<AccessControlPolicy>",
                400,
                "MalformedXML",
            ),
        ],
    )
    .await;
    assert_eq!(send(server.client(), "GET /photos/k", &[], "").await.text(), "hello world");
}

/// What a document asks for and nobody here knows is refused: passed over, it would be lost without a word.
#[tokio::test]
async fn a_document_asks_for_nothing_that_is_passed_over() {
    let server = server().await;
    let tags = "<Tag><Key>a</Key><Value>b</Value></Tag>";
    let tagged =
        format!("<CreateBucketConfiguration><Tags>{tags}</Tags></CreateBucketConfiguration>");
    let coloured = format!(
        "<Tagging><TagSet>{}</TagSet></Tagging>",
        tags.replace("</Tag>", "<Color>c</Color></Tag>")
    );
    let rule = |more: &str| {
        format!(
            "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>\
             </ApplyServerSideEncryptionByDefault>{more}</Rule></ServerSideEncryptionConfiguration>"
        )
    };
    let blocked = rule(
        "<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>",
    );
    let unknown = rule("<Strict>true</Strict>");
    let delete = "<Delete><Object><Key>k</Key><VersionID>3</VersionID></Object></Delete>";
    let checksum = crc32(delete.as_bytes());
    let part = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag>\
                <ChecksumXXHASH64>x</ChecksumXXHASH64></Part></CompleteMultipartUpload>";
    refuses(
        &server,
        &[
            ("tags of a new bucket", "PUT /new", &[], &tagged, 501, "NotImplemented"),
            (
                "a configuration of nothing",
                "PUT /new",
                &[],
                "<CreateBucketConfiguration><Locations/></CreateBucketConfiguration>",
                400,
                "MalformedXML",
            ),
            ("a tag with more", "PUT /photos?tagging", &[], &coloured, 400, "MalformedXML"),
            ("blocked encryption", "PUT /photos?encryption", &[], &blocked, 501, "NotImplemented"),
            ("an unknown rule", "PUT /photos?encryption", &[], &unknown, 400, "MalformedXML"),
            (
                "a version under a wrong name",
                "POST /photos?delete",
                &[("x-amz-checksum-crc32", &checksum)],
                delete,
                400,
                "MalformedXML",
            ),
            (
                "a part's checksum that isn't known",
                "POST /photos/k?uploadId=00112233445566778899aabbccddeeff",
                &[],
                part,
                400,
                "InvalidRequest",
            ),
        ],
    )
    .await;
}

/// CVE-2016-8626, CVE-2019-10222, CVE-2020-12059, CVE-2022-3854, CVE-2025-69255: what is missing ends a request, not the server.
#[tokio::test]
async fn section_6_what_is_missing_is_told() {
    let server = server().await;
    let before = Stored::of(&server).await;
    let copy = |source: &'static str| [("x-amz-copy-source", source)];
    let (nothing, slash, bucket, no_key, no_bucket, broken) =
        (copy(""), copy("/"), copy("photos"), copy("/photos/"), copy("//k"), copy("/photos/%"));
    let part = "PUT /photos/k?partNumber=1&uploadId=00112233445566778899aabbccddeeff";
    refuses(
        &server,
        &[
            ("no source", "PUT /photos/new", &nothing, "", 400, "InvalidRequest"),
            ("a source of nothing", "PUT /photos/new", &slash, "", 400, "InvalidArgument"),
            ("a source without a key", "PUT /photos/new", &bucket, "", 400, "InvalidArgument"),
            ("a source of no key", "PUT /photos/new", &no_key, "", 400, "InvalidArgument"),
            ("a source of no bucket", "PUT /photos/new", &no_bucket, "", 400, "InvalidArgument"),
            ("a source that is no escape", "PUT /photos/new", &broken, "", 404, "NoSuchKey"),
            ("no source of a part", part, &nothing, "", 400, "InvalidRequest"),
            ("tags of nothing", "PUT /photos?tagging", &[], "", 400, "MissingRequestBodyError"),
            ("no set of tags", "PUT /photos?tagging", &[], "<Tagging/>", 400, "MalformedXML"),
            (
                "a tag of nothing",
                "PUT /photos?tagging",
                &[],
                "<Tagging><TagSet><Tag/></TagSet></Tagging>",
                400,
                "MalformedXML",
            ),
            ("no rule", "PUT /photos?encryption", &[], "<a/>", 400, "MalformedXML"),
            ("no policy", "PUT /photos?policy", &[], "", 400, "MalformedPolicy"),
            (
                "no part",
                "POST /photos/k?uploadId=00112233445566778899aabbccddeeff",
                &[],
                "<CompleteMultipartUpload/>",
                400,
                "MalformedXML",
            ),
        ],
    )
    .await;
    before.assert_same(&server, "what was refused changed something").await;
}
