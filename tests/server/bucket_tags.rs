//! Tags of a bucket, as AWS keeps and refuses them.

use coffer_tests::client::{Answer, Client};
use http::StatusCode;

use crate::claim::{refuses, server};
use crate::people::{allow, client_of, server_of, user};

async fn send(client: &Client, line: &str, body: &str) -> Answer {
    crate::claim::send(client, line, &[], body.to_owned()).await
}

fn document(tags: &[(&str, &str)]) -> String {
    let tags: Vec<String> = tags
        .iter()
        .map(|(key, value)| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>"))
        .collect();
    format!("<Tagging><TagSet>{}</TagSet></Tagging>", tags.concat())
}

#[tokio::test]
async fn tags_are_read_as_they_were_set_until_they_are_deleted() {
    let mut server = server().await;
    let tags = document(&[("team", "media"), ("a b/c:d=e+f-g@h.i_j", "Größe"), ("none", "")]);
    let read = async |server: &coffer_tests::server::Server| {
        let answer = send(server.client(), "GET /photos?tagging", "").await;
        (answer.status, answer.text())
    };
    let put = send(server.client(), "PUT /photos?tagging", &tags).await;
    assert_eq!((put.status, put.text().as_str()), (StatusCode::NO_CONTENT, ""));
    let expected = document(&[("a b/c:d=e+f-g@h.i_j", "Größe"), ("none", ""), ("team", "media")]);
    let inner = expected.trim_start_matches("<Tagging>").trim_end_matches("</Tagging>").to_owned();
    let (status, text) = read(&server).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    assert!(text.replace("<Value/>", "<Value></Value>").contains(&inner), "{text}");
    // They are the bucket's, not the process's; and another set takes the place of all.
    server.kill();
    server.launch().await;
    assert_eq!(read(&server).await.0, StatusCode::OK);
    let other = document(&[("team", "video")]);
    assert_eq!(send(server.client(), "PUT /photos?tagging", &other).await.status, 204);
    let (_, text) = read(&server).await;
    assert!(text.contains("video") && !text.contains("none"), "{text}");
    for way in ["delete", "empty"] {
        assert_eq!(send(server.client(), "PUT /photos?tagging", &tags).await.status, 204);
        let gone = match way {
            "delete" => send(server.client(), "DELETE /photos?tagging", "").await,
            _ => send(server.client(), "PUT /photos?tagging", &document(&[])).await,
        };
        assert_eq!(gone.status, StatusCode::NO_CONTENT, "{way}");
        let (status, text) = read(&server).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{way}");
        assert!(text.contains("<Code>NoSuchTagSet</Code>"), "{way}: {text}");
    }
    // A bucket that is made anew by its name has none.
    assert_eq!(send(server.client(), "PUT /fresh", "").await.status, 200);
    assert_eq!(send(server.client(), "PUT /fresh?tagging", &tags).await.status, 204);
    assert_eq!(send(server.client(), "DELETE /fresh", "").await.status, 204);
    assert_eq!(send(server.client(), "PUT /fresh", "").await.status, 200);
    assert_eq!(send(server.client(), "GET /fresh?tagging", "").await.status, 404);
}

#[tokio::test]
async fn what_can_be_no_tag_is_refused_and_changes_nothing() {
    let server = server().await;
    let many: Vec<String> = (0..51).map(|number| format!("k{number}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "v")).collect();
    let (many, fifty) = (document(&many), document(&many[..50]));
    assert_eq!(send(server.client(), "PUT /photos?tagging", &fifty).await.status, 204);
    let long = |length: usize| "x".repeat(length);
    let bad = [
        ("51 tags", many, "BadRequest"),
        ("a key twice", document(&[("a", "1"), ("a", "2")]), "InvalidTag"),
        ("a key of AWS's", document(&[("aws:a", "1")]), "InvalidTag"),
        ("an empty key", document(&[("", "1")]), "InvalidTag"),
        ("a long key", document(&[(&long(129), "1")]), "InvalidTag"),
        ("a long value", document(&[("a", &long(257))]), "InvalidTag"),
        ("a character that no tag has", document(&[("a", "1&#10;2")]), "InvalidTag"),
        (
            "no value",
            "<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>".to_owned(),
            "MalformedXML",
        ),
        ("no document", "<a/>".to_owned(), "MalformedXML"),
        ("nothing", String::new(), "MissingRequestBodyError"),
    ];
    let rows: Vec<_> = bad
        .iter()
        .map(|(name, body, code)| {
            (*name, "PUT /photos?tagging", &[][..], body.as_str(), 400, *code)
        })
        .collect();
    refuses(&server, &rows).await;
    for method in ["GET", "PUT", "DELETE"] {
        let body = if method == "PUT" { document(&[("a", "b")]) } else { String::new() };
        let absent = send(server.client(), &format!("{method} /absent?tagging"), &body).await;
        assert_eq!(absent.code(), "NoSuchBucket", "{method}");
    }
    let kept = send(server.client(), "GET /photos?tagging", "").await.text();
    assert_eq!(kept.matches("<Tag>").count(), 50, "{kept}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_have_permissions_of_their_own() {
    let server = server_of(|draft| {
        user(draft, "reader", &allow(&["s3:GetBucketTagging"]))?;
        user(draft, "writer", &allow(&["s3:PutBucketTagging"]))
    })
    .await;
    assert_eq!(send(server.client(), "PUT /photos", "").await.status, 200);
    let tags = document(&[("team", "media")]);
    for (name, put, get, delete) in [("reader", 403, 404, 403), ("writer", 204, 403, 204)] {
        let client = client_of(&server, name);
        for (line, body, status) in [
            ("DELETE /photos?tagging", "", delete),
            ("GET /photos?tagging", "", get),
            ("PUT /photos?tagging", tags.as_str(), put),
        ] {
            let answer = send(&client, line, body).await;
            assert_eq!(answer.status, status, "{name}: {line}: {}", answer.text());
        }
    }
}
