//! Uploads in parts, in every form.

use coffer_tests::server::Server;

use super::{Form, ask, content, customer, done, pair, server_with};
use crate::claim::mismatch;
use crate::multipart::document;

const MIB: usize = 1 << 20;

async fn begin(server: &Server, path: &str, form: Form) -> String {
    let begun = done(server, &format!("POST {path}?uploads"), &[&form.write()], "").await;
    form.assert_told(&begun, "begun");
    begun.element("UploadId").unwrap()
}

async fn part(
    server: &Server,
    path: &str,
    id: &str,
    number: u32,
    form: Form,
    body: Vec<u8>,
) -> String {
    let line = format!("PUT {path}?partNumber={number}&uploadId={id}");
    let answer = done(server, &line, &[&form.read()], body).await;
    form.assert_told(&answer, "a part");
    answer.header("etag")
}

#[tokio::test]
async fn an_upload_in_any_form_becomes_its_object() {
    let server = server_with(&[]).await;
    let (one, two, three) = (content(5 * MIB), content(5 * MIB + 70_001), content(12_345));
    let whole = [one.clone(), two.clone(), three.clone()].concat();
    done(&server, "PUT /photos/source", &[&Form::Customer(7).write()], whole.clone()).await;
    for (form, with_key) in [
        (Form::Plain, true),
        (Form::S3, true),
        (Form::Kms, true),
        (Form::KmsOther, true),
        (Form::Customer(1), true),
        // Most clients don't send the key with the completion.
        (Form::Customer(1), false),
    ] {
        let path = "/photos/big";
        let id = begin(&server, path, form).await;
        // Sent twice: the second counts.
        let stale = part(&server, path, &id, 2, form, content(6 * MIB)).await;
        let first = part(&server, path, &id, 2, form, one.clone()).await;
        let last = part(&server, path, &id, 9, form, three.clone()).await;
        // The one in the middle is copied, from what is encrypted otherwise.
        let line = format!("PUT {path}?partNumber=5&uploadId={id}");
        let range = pair(
            "x-amz-copy-source-range",
            &format!("bytes={}-{}", one.len(), one.len() + two.len() - 1),
        );
        let from = pair("x-amz-copy-source", "/photos/source");
        let headers = [&form.read()[..], &Form::Customer(7).source(), &[from, range]];
        let copied = done(&server, &line, &headers, "").await;
        form.assert_told(&copied, "a copied part");
        let middle = copied.element("ETag").unwrap().replace("&quot;", "\"");
        let complete = format!("POST {path}?uploadId={id}");
        let wrong = document(&[(2, &stale), (5, &middle), (9, &last)]);
        assert_eq!(ask(&server, &complete, &[], wrong).await.code(), "InvalidPart", "{form:?}");
        let parts = document(&[(2, &first), (5, &middle), (9, &last)]);
        let key = if with_key { form.read() } else { Vec::new() };
        let completed = done(&server, &complete, &[&key], parts).await;
        assert!(completed.element("ETag").unwrap().contains("-3"), "{}", completed.text());
        let got = done(&server, "GET /photos/big", &[&form.read()], "").await;
        form.assert_told(&got, "an object of parts");
        assert!(got.body == whole, "{form:?}");
        for (from, to) in [
            (0, 0),
            (one.len() - 1, one.len()),
            (one.len() + 65_535, one.len() + 65_536),
            (one.len() + two.len() - 3, whole.len() - 1),
            (10, whole.len() - 10),
        ] {
            let range = pair("range", &format!("bytes={from}-{to}"));
            let got = done(&server, "GET /photos/big", &[&form.read(), &[range]], "").await;
            assert!(got.body == whole[from..=to], "{form:?} {from}-{to}");
        }
        for (number, part) in [(1, &one), (2, &two), (3, &three)] {
            let line = format!("photos/big?partNumber={number}");
            let got = done(&server, &format!("GET /{line}"), &[&form.read()], "").await;
            assert_eq!(
                (got.status.as_u16(), got.header("x-amz-mp-parts-count").as_str()),
                (206, "3")
            );
            assert!(got.body == *part, "{form:?} part {number}");
            let head = done(&server, &format!("HEAD /{line}"), &[&form.read()], "").await;
            assert_eq!(head.header("content-length"), part.len().to_string());
        }
        if let Form::Customer(_) = form {
            assert_eq!(ask(&server, "GET /photos/big", &[], "").await.code(), "InvalidRequest");
            let other = Form::Customer(2).read();
            assert_eq!(ask(&server, "GET /photos/big", &[&other], "").await.status, 403);
        }
        // What was put together can be copied again.
        let headers =
            [&Form::S3.write()[..], &form.source(), &[pair("x-amz-copy-source", "/photos/big")]];
        done(&server, "PUT /photos/again", &headers, "").await;
        assert!(done(&server, "GET /photos/again", &[], "").await.body == whole, "{form:?}");
    }
    server.assert_discreet();
}

#[tokio::test]
async fn an_empty_upload_and_a_small_one_are_encrypted_too() {
    let server = server_with(&[]).await;
    for form in Form::ENCRYPTED {
        for size in [0, 1, 40_000] {
            let id = begin(&server, "/photos/k", form).await;
            let tag = part(&server, "/photos/k", &id, 1, form, content(size)).await;
            let line = format!("POST /photos/k?uploadId={id}");
            done(&server, &line, &[&form.read()], document(&[(1, &tag)])).await;
            let got = done(&server, "GET /photos/k", &[&form.read()], "").await;
            assert!(got.body == content(size), "{form:?} {size}");
        }
    }
}

#[tokio::test]
async fn a_part_says_what_its_upload_said() {
    let server = server_with(&[]).await;
    let start = "x-amz-server-side-encryption-customer";
    for (form, key, code) in [
        (Form::Customer(1), Vec::new(), "InvalidRequest"),
        (Form::Customer(1), customer(start, 2), "InvalidRequest"),
        (Form::S3, customer(start, 1), "InvalidRequest"),
        (Form::Plain, customer(start, 1), "InvalidRequest"),
        (Form::S3, Form::Kms.write(), "InvalidRequest"),
        (Form::Kms, Form::S3.write(), "InvalidRequest"),
        (Form::Kms, Form::KmsOther.write(), "InvalidRequest"),
        (Form::Plain, Form::S3.write(), "InvalidRequest"),
    ] {
        let id = begin(&server, "/photos/k", form).await;
        let line = format!("PUT /photos/k?partNumber=1&uploadId={id}");
        let answer = ask(&server, &line, &[&key], "x").await;
        assert_eq!(mismatch(&format!("{form:?}"), &answer, 400, code), None);
        let listed = done(&server, &format!("GET /photos/k?uploadId={id}"), &[], "").await;
        assert!(!listed.text().contains("<Part>"), "{}", listed.text());
    }
}
