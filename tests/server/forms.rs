//! Browsers' forms: what they may say, what becomes of their file, and when nothing does.

use std::time::Duration;

use coffer_tests::stored::Stored;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::claim::{assert_all, assert_answer, mismatch, send, server, server_with};
use crate::form::{BOUNDARY, Form, Version, end, post};

fn form() -> Form {
    Form::new(Version::V4, "photos").field("key", "new")
}

#[tokio::test]
async fn a_form_becomes_an_object_with_what_its_fields_say() {
    let server = server().await;
    let client = server.client();
    for version in [Version::V4, Version::V2] {
        let made = Form::new(version, "photos")
            .file_named("C:\\pictures\\a b.txt")
            .field("key", "in/${filename}")
            .field("Content-Type", "text/plain")
            .field("Cache-Control", "no-cache")
            .field("Content-Disposition", "attachment; filename=\"x\"")
            .field("Content-Encoding", "gzip")
            .field("Expires", "Thu, 01 Jan 2037 00:00:00 GMT")
            .field("x-amz-meta-a", "ü")
            .field("x-amz-checksum-crc32", "NhCmhg==")
            .field("acl", "private")
            .field("x-ignore-me", "x");
        let answer = made.send(client, "/photos", b"hello").await;
        assert_answer("a form", &answer, 204, "");
        assert_eq!(answer.header("etag"), "\"5d41402abc4b2a76b9719d911017c592\"");
        assert!(answer.header("location").ends_with("/photos/in/a%20b.txt"), "{answer:?}");
        let got = send(client, "GET /photos/in/a%20b.txt", &[], "").await;
        assert_eq!(got.text(), "hello");
        for (name, value) in [
            ("content-type", "text/plain"),
            ("cache-control", "no-cache"),
            ("content-disposition", "attachment; filename=\"x\""),
            ("content-encoding", "gzip"),
            ("expires", "Thu, 01 Jan 2037 00:00:00 GMT"),
            ("x-amz-meta-a", "ü"),
        ] {
            assert_eq!(got.header(name), value, "{version:?} {name}");
        }
        assert_eq!(send(client, "DELETE /photos/in/a%20b.txt", &[], "").await.status, 204);
    }
    server.assert_discreet();
}

#[tokio::test]
async fn a_form_comes_over_http_2_too() {
    let server = server().await;
    let client = server.client().over_http2();
    assert_answer("a form", &form().send(&client, "/photos", b"hello").await, 204, "");
    let range = form().condition("[\"content-length-range\",0,4]");
    let answer = range.send(&client, "/photos", b"longer").await;
    assert_answer("too large", &answer, 400, "EntityTooLarge");
    assert_eq!(send(&client, "GET /photos/new", &[], "").await.text(), "hello");
}

#[tokio::test]
async fn a_form_is_answered_as_it_asks() {
    let server = server().await;
    let client = server.client();
    let page = "https://a.example/b?c=d";
    for (claim, made, status, text) in [
        ("nothing", form(), 204, ""),
        ("200", form().field("success_action_status", "200"), 200, ""),
        ("201", form().field("success_action_status", "201"), 201, "<Key>new</Key>"),
        ("another", form().field("success_action_status", "500"), 204, ""),
        ("a page", form().field("success_action_redirect", page), 303, ""),
    ] {
        let answer = made.send(client, "/photos", b"hello").await;
        assert_eq!(answer.status.as_u16(), status, "{claim}: {}", answer.text());
        assert!(answer.text().contains(text), "{claim}: {}", answer.text());
        assert_eq!(answer.text().is_empty(), text.is_empty(), "{claim}: {}", answer.text());
        if status == 303 {
            let expected =
                format!("{page}&bucket=photos&key=new&etag=%225d41402abc4b2a76b9719d911017c592%22");
            assert_eq!(answer.header("location"), expected);
        }
    }
}

/// CVE-2023-28434, CVE-2023-43040, GHSA-w5fh-f8xh-5x3p: conditions and buckets of forms.
#[tokio::test]
async fn section_1_a_form_that_its_policy_does_not_allow_is_refused() {
    let server = server().await;
    let client = server.client();
    let before = Stored::of(&server).await;
    let mut wrong = Vec::new();
    for version in [Version::V4, Version::V2] {
        let form = || Form::new(version, "photos").field("key", "new");
        let range = || form().condition("[\"content-length-range\",2,10]");
        let large = vec![b'x'; 500_000];
        for (claim, path, made, file, status, code) in [
            ("another bucket's form", "/other", form(), &b"x"[..], 403, "AccessDenied"),
            (
                "another bucket's field",
                "/photos",
                form().unsigned("bucket", "other"),
                b"x",
                403,
                "AccessDenied",
            ),
            (
                "a field more",
                "/photos",
                form().unsigned("acl", "private"),
                b"x",
                403,
                "AccessDenied",
            ),
            (
                "metadata more",
                "/photos",
                form().unsigned("x-amz-meta-a", "b"),
                b"x",
                403,
                "AccessDenied",
            ),
            ("two keys", "/photos", form().unsigned("Key", "other"), b"x", 400, "InvalidArgument"),
            (
                "a key that isn't allowed",
                "/photos",
                Form::new(version, "photos").unsigned("key", "k"),
                b"x",
                403,
                "AccessDenied",
            ),
            ("expired", "/photos", form().good_for(-1), b"x", 403, "AccessDenied"),
            ("too small", "/photos", range(), b"x", 400, "EntityTooSmall"),
            ("empty", "/photos", range(), b"", 400, "EntityTooSmall"),
            ("too large", "/photos", range(), b"01234567890", 400, "EntityTooLarge"),
            ("much too large", "/photos", range(), &large, 400, "EntityTooLarge"),
            (
                "a token nobody issued",
                "/photos",
                form().field("x-amz-security-token", "t"),
                b"x",
                400,
                "InvalidToken",
            ),
            (
                "no key",
                "/photos",
                Form::new(version, "photos"),
                b"x",
                400,
                "UserKeyMustBeSpecified",
            ),
            (
                "a public object",
                "/photos",
                form().field("acl", "public-read"),
                b"x",
                400,
                "AccessControlListNotSupported",
            ),
            (
                "encryption",
                "/photos",
                form().field("x-amz-server-side-encryption", "AES256"),
                b"x",
                501,
                "NotImplemented",
            ),
            ("tags", "/photos", form().field("tagging", "<Tagging/>"), b"x", 501, "NotImplemented"),
            (
                "a lock",
                "/photos",
                form().field("x-amz-object-lock-mode", "GOVERNANCE"),
                b"x",
                501,
                "NotImplemented",
            ),
            (
                "a copy",
                "/photos",
                form().field("x-amz-copy-source", "/other/k"),
                b"x",
                501,
                "NotImplemented",
            ),
            (
                "a class nobody has",
                "/photos",
                form().field("x-amz-storage-class", "GLACIER"),
                b"x",
                400,
                "InvalidStorageClass",
            ),
            (
                "a wrong checksum",
                "/photos",
                form().field("x-amz-checksum-crc32", "AAAAAA=="),
                b"x",
                400,
                "BadDigest",
            ),
            (
                "a wrong MD5",
                "/photos",
                form().field("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="),
                b"x",
                400,
                "BadDigest",
            ),
            (
                "too much metadata",
                "/photos",
                form().field("x-amz-meta-a", &"b".repeat(2048)),
                b"x",
                400,
                "MetadataTooLarge",
            ),
            (
                "too long a field",
                "/photos",
                form().field("x-ignore-a", &"b".repeat(20 * 1024 + 1)),
                b"x",
                400,
                "MaxPostPreDataLengthExceededError",
            ),
            (
                "a bucket that isn't there",
                "/absent",
                Form::new(version, "absent").field("key", "new"),
                b"x",
                404,
                "NoSuchBucket",
            ),
            ("to an object", "/photos/new", form(), b"x", 405, "MethodNotAllowed"),
            ("to the service", "/", form(), b"x", 405, "MethodNotAllowed"),
        ] {
            let answer = made.send(client, path, file).await;
            wrong.extend(mismatch(&format!("{version:?} {claim}"), &answer, status, code));
        }
        let body = form().body(client, b"hello");
        let text = String::from_utf8(body.clone()).unwrap();
        for (claim, body, status, code) in [
            ("no end", body[..body.len() - 6].to_vec(), 400, "MalformedPOSTRequest"),
            (
                "half a file",
                body[..body.len() - end().len() - 2].to_vec(),
                400,
                "MalformedPOSTRequest",
            ),
            (
                "no file",
                text.replace("name=\"file\"", "name=\"files\"").into_bytes(),
                400,
                "IncorrectNumberOfFilesInPostRequest",
            ),
            (
                "another boundary",
                text.replace(BOUNDARY, "another").into_bytes(),
                400,
                "MalformedPOSTRequest",
            ),
            ("a preamble", format!("hello\r\n{text}").into_bytes(), 400, "MalformedPOSTRequest"),
            ("nothing", Vec::new(), 400, "MalformedPOSTRequest"),
        ] {
            let answer = post(client, "/photos", body).await;
            wrong.extend(mismatch(&format!("{version:?} {claim}"), &answer, status, code));
        }
    }
    let nobody = Form::new(Version::None, "photos").field("key", "new");
    let answer = nobody.send(client, "/photos", b"x").await;
    wrong.extend(mismatch("nobody's", &answer, 403, "AccessDenied"));
    for (line, status, code) in [
        ("/photos?delete", 403, "AccessDenied"),
        ("/photos/k?uploads", 403, "AccessDenied"),
        ("/photos/k?uploadId=u", 403, "AccessDenied"),
        ("/photos/k?restore", 403, "AccessDenied"),
    ] {
        let (path, query) = line.split_once('?').unwrap();
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        let headers = client.headers(&[("content-type", &kind)]);
        let body = form().body(client, b"x");
        let answer = client.send_as_is("POST", path, query, headers, body).await.unwrap();
        wrong.extend(mismatch(line, &answer, status, code));
    }
    assert_all(wrong);
    before.assert_same(&server, "a form that isn't allowed stored something").await;
    server.assert_discreet();
}

/// N10: what was allowed is what is stored, whatever a key looks like.
#[tokio::test]
async fn section_6_a_forms_key_is_exact() {
    let server = server().await;
    let client = server.client();
    for (key, path) in [
        ("../other/k", "/photos/../other/k"),
        ("a//b/./c", "/photos/a//b/./c"),
        ("/lead", "/photos//lead"),
        ("a%2Fb+c ü?&#", "/photos/a%252Fb%2Bc%20%C3%BC%3F%26%23"),
    ] {
        let form = Form::new(Version::V4, "photos").field("key", key);
        let answer = form.send(client, "/photos", b"by form").await;
        assert_answer(key, &answer, 204, "");
        assert_eq!(send(client, &format!("GET {path}"), &[], "").await.text(), "by form", "{key}");
    }
    assert_eq!(send(client, "GET /other/k", &[], "").await.text(), "theirs");
}

/// CVE-2018-1000538: a form's file is not held in memory, and is gone when its form isn't whole.
#[tokio::test]
async fn section_1_a_large_file_streams_and_a_broken_one_leaves_nothing() {
    let server = server().await;
    let client = server.client();
    let before = Stored::of(&server).await;
    let piece = vec![7; 1 << 20];
    let pieces = 200;
    let at_rest = server.resident();
    let mut most = 0;
    for (claim, last, expected) in [
        ("cut", &b""[..], "HTTP/1.1 400 "),
        ("too large by a byte", b"x", "HTTP/1.1 400 "),
        ("whole", b"", "HTTP/1.1 204 "),
    ] {
        let range = format!("[\"content-length-range\",0,{}]", piece.len() * pieces);
        let head = form().condition(&range).head(client);
        let whole = claim != "cut";
        let end = end();
        let length = head.len() + piece.len() * pieces + last.len() + end.len();
        let mut stream = client.connect().await;
        let request = format!(
            "POST /photos HTTP/1.1\r\nhost: {}\r\ncontent-type: multipart/form-data; boundary={BOUNDARY}\r\ncontent-length: {length}\r\n\r\n",
            client.host()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.write_all(&head).await.unwrap();
        for n in 0..pieces {
            stream.write_all(&piece).await.unwrap();
            if n % 50 == 0 {
                most = most.max(server.resident());
            }
        }
        stream.write_all(last).await.unwrap();
        if whole {
            stream.write_all(end.as_bytes()).await.unwrap();
        } else {
            // As many bytes as were announced, without the boundary among them.
            stream.write_all(&vec![b'x'; end.len()]).await.unwrap();
        }
        let mut answer = vec![0; 4096];
        let read = tokio::time::timeout(Duration::from_secs(90), stream.read(&mut answer));
        let read = read.await.unwrap().unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
        assert!(answer.starts_with(expected), "{claim}: {answer}");
        drop(stream);
        if expected.contains("400") {
            before.assert_same(&server, claim).await;
        }
    }
    let head = send(client, "HEAD /photos/new", &[], "").await;
    assert_eq!(head.header("content-length"), (piece.len() * pieces).to_string());
    let grown = most.saturating_sub(at_rest);
    assert!(grown < 64 * 1024, "{grown} KiB more than at rest");
}

/// CVE-2022-31028: fields that don't come.
#[tokio::test]
async fn section_9_fields_that_drip_are_given_up() {
    let server = server_with(&[("COFFER_IDLE_SECONDS", "1")]).await;
    let client = server.client();
    let request = format!(
        "POST /photos HTTP/1.1\r\nhost: {}\r\ncontent-type: multipart/form-data; boundary={BOUNDARY}\r\ncontent-length: 10000\r\n\r\n--{BOUNDARY}\r\n",
        client.host()
    );
    let mut stream = client.connect().await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let mut read = 0;
    for byte in format!("Content-Disposition: form-data; name=\"{}\"", "k".repeat(100)).bytes() {
        // Always soon enough to be no pause.
        let piece = tokio::time::timeout(Duration::from_millis(300), stream.read(&mut answer));
        if let Ok(length) = piece.await {
            read = length.unwrap();
            break;
        }
        let _sent = stream.write_all(&[byte]).await;
    }
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.contains("<Code>RequestTimeout</Code>"), "{answer}");
}

/// Whence a form comes and by which program it was sent, its head says, as of any other request.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_may_ask_where_a_form_comes_from() {
    let server = crate::people::server_of(|draft| {
        let from = r#"{"Effect":"Allow","Action":"s3:PutObject","Resource":"*","Condition":{"StringEquals":{"aws:Referer":"https://shop.example/"}}}"#;
        let not_by = r#"{"Effect":"Deny","Action":"s3:PutObject","Resource":"*","Condition":{"StringLike":{"aws:UserAgent":"bad*"}}}"#;
        crate::people::user(draft, "seller", &format!("{from},{not_by}"))
    })
    .await;
    assert_eq!(send(server.client(), "PUT /photos", &[], "").await.status, 200);
    let seller = crate::people::client_of(&server, "seller");
    for (referer, agent, status) in [
        ("https://shop.example/", "good", 204),
        ("https://other.example/", "good", 403),
        ("https://shop.example/", "bad/1", 403),
    ] {
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        let headers =
            seller.headers(&[("content-type", &kind), ("referer", referer), ("user-agent", agent)]);
        let body = form().body(&seller, b"x");
        let answer = seller.send_as_is("POST", "/photos", "", headers, body).await.unwrap();
        assert_eq!(answer.status, status, "{referer} {agent}: {}", answer.text());
    }
}
