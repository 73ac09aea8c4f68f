//! Objects in one piece: put, read, read in part, asked about.

use super::{Form, ask, content, done, md5_tag, pair, server_with};
use crate::claim::send;
use crate::encryption::SSE;
use coffer_tests::stored::texts;

const FRAME: usize = 65_536;

#[tokio::test]
async fn what_is_put_in_any_form_comes_back() {
    let server = server_with(&[]).await;
    for form in Form::ALL {
        for size in [0, 1, 15, 32 * 1024, 32 * 1024 + 1, FRAME - 1, FRAME, FRAME + 1, 5 * FRAME + 7]
        {
            let why = format!("{form:?} of {size}");
            let content = content(size);
            let put = done(&server, "PUT /photos/k", &[&form.write()], content.clone()).await;
            form.assert_told(&put, &why);
            assert_eq!(put.header("etag") == md5_tag(&content), form.tells_md5(), "{why}");
            assert!(!put.header("x-amz-checksum-crc64nvme").is_empty(), "{why}");
            let got = done(&server, "GET /photos/k", &[&form.read()], "").await;
            form.assert_told(&got, &why);
            assert!(got.body == content, "{why}");
            let head = done(&server, "HEAD /photos/k", &[&form.read()], "").await;
            form.assert_told(&head, &why);
            for answer in [&got, &head] {
                assert_eq!(answer.header("content-length"), size.to_string(), "{why}");
                assert_eq!(answer.header("etag"), put.header("etag"), "{why}");
            }
            let listed = send(server.client(), "GET /photos?list-type=2", &[], "").await.text();
            assert_eq!(texts(&listed, "Size"), [size.to_string()], "{why}");
            let names = pair("x-amz-object-attributes", "ObjectSize,ETag");
            let told =
                done(&server, "GET /photos/k?attributes", &[&form.read(), &[names]], "").await;
            assert_eq!(told.element("ObjectSize"), Some(size.to_string()), "{why}");
        }
    }
    server.assert_discreet();
}

#[tokio::test]
async fn a_range_is_read_of_any_form() {
    let server = server_with(&[]).await;
    let size = 3 * FRAME + 100;
    let content = content(size);
    for form in Form::ALL {
        done(&server, "PUT /photos/k", &[&form.write()], content.clone()).await;
        for (from, to) in [
            (0, 0),
            (0, size - 1),
            (1, size - 1),
            (FRAME - 1, FRAME),
            (FRAME, FRAME),
            (FRAME, 2 * FRAME - 1),
            (2 * FRAME - 1, 3 * FRAME),
            (3 * FRAME, size - 1),
            (size - 1, size - 1),
            (100, size + 1000),
        ] {
            let why = format!("{form:?} {from}-{to}");
            let range = pair("range", &format!("bytes={from}-{to}"));
            let got = done(&server, "GET /photos/k", &[&form.read(), &[range]], "").await;
            let end = to.min(size - 1);
            assert_eq!(got.status, 206, "{why}");
            assert_eq!(got.header("content-range"), format!("bytes {from}-{end}/{size}"), "{why}");
            assert!(got.body == content[from..=end], "{why}");
        }
        let last = pair("range", "bytes=-5");
        let got = done(&server, "GET /photos/k", &[&form.read(), &[last]], "").await;
        assert!(got.body == content[size - 5..], "{form:?}");
        let beyond = pair("range", &format!("bytes={size}-"));
        let got = ask(&server, "GET /photos/k", &[&form.read(), &[beyond]], "").await;
        assert_eq!((got.status.as_u16(), got.code().as_str()), (416, "InvalidRange"), "{form:?}");
        let first = done(&server, "GET /photos/k?partNumber=1", &[&form.read()], "").await;
        assert!(first.body == content, "{form:?}");
    }
}

#[tokio::test]
async fn what_was_encrypted_is_read_after_a_restart_and_after_the_default_key_changed() {
    let mut server = server_with(&[]).await;
    for form in Form::ALL {
        let line = format!("PUT /photos/{form:?}").replace(['(', ')'], "");
        done(&server, &line, &[&form.write()], content(100_000)).await;
    }
    server.kill();
    server.set("COFFER_KMS_DEFAULT_KEY", "archive");
    server.launch().await;
    for form in Form::ALL {
        let line = format!("GET /photos/{form:?}").replace(['(', ')'], "");
        let got = done(&server, &line, &[&form.read()], "").await;
        form.assert_told(&got, "after the change");
        assert!(got.body == content(100_000), "{form:?}");
    }
    let put = done(&server, "PUT /photos/new", &[&Form::Kms.write()], "x").await;
    Form::KmsOther.assert_told(&put, "the new default key");
}

#[tokio::test]
async fn a_key_is_named_in_any_way() {
    let server = server_with(&[]).await;
    for name in ["archive", "alias/archive", "arn:aws:kms:archive", "arn:aws:kms:::key/archive"] {
        let headers = [pair(SSE, "aws:kms"), pair(super::KMS_KEY, name)];
        let put = done(&server, "PUT /photos/k", &[&headers], "x").await;
        Form::KmsOther.assert_told(&put, name);
    }
}

#[tokio::test]
async fn a_form_encrypts_its_file() {
    let server = server_with(&[]).await;
    for (form, value) in [(Form::S3, "AES256"), (Form::Kms, "aws:kms")] {
        let upload = crate::form::Form::new(crate::form::Version::V4, "photos")
            .field("key", "k")
            .field(SSE, value);
        let answer = upload.send(server.client(), "/photos", b"of a form").await;
        assert_eq!(answer.status, 204, "{}", answer.text());
        form.assert_told(&answer, "a form");
        let got = done(&server, "GET /photos/k", &[], "").await;
        form.assert_told(&got, "a form");
        assert_eq!(got.body, "of a form");
    }
}
