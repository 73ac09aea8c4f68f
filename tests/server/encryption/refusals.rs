//! What is refused, by which code, and that nothing was stored then.

use super::{Form, ask, content, customer, done, pair, server_with};
use crate::claim::{refuses, send, server};
use crate::encryption::{KMS_KEY, SSE};

const ALGORITHM: (&str, &str) = ("x-amz-server-side-encryption-customer-algorithm", "AES256");

#[tokio::test]
async fn what_cant_be_meant_is_refused() {
    let server = server_with(&[]).await;
    done(&server, "PUT /photos/plain", &[], "x").await;
    done(&server, "PUT /photos/s3", &[&Form::S3.write()], "x").await;
    done(&server, "PUT /photos/c", &[&Form::Customer(1).write()], "x").await;
    let own = Form::Customer(1).read();
    let own: Vec<(&str, &str)> = own.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let other = Form::Customer(2).read();
    let other: Vec<(&str, &str)> = other.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let both: Vec<(&str, &str)> = own.iter().copied().chain([(SSE, "AES256")]).collect();
    let copy_c = [("x-amz-copy-source", "/photos/c")];
    refuses(
        &server,
        &[
            ("another form", "PUT /photos/new", &[(SSE, "rot13")], "x", 400, "InvalidArgument"),
            ("two layers", "PUT /photos/new", &[(SSE, "aws:kms:dsse")], "x", 501, "NotImplemented"),
            (
                "an unknown key",
                "PUT /photos/new",
                &[(SSE, "aws:kms"), (KMS_KEY, "nobody")],
                "x",
                400,
                "KMS.NotFoundException",
            ),
            (
                "a path for a key",
                "PUT /photos/new",
                &[(SSE, "aws:kms"), (KMS_KEY, "../root/secretKey")],
                "x",
                400,
                "InvalidArgument",
            ),
            (
                "a key without a form",
                "PUT /photos/new",
                &[(KMS_KEY, "photos")],
                "x",
                400,
                "InvalidArgument",
            ),
            ("two forms", "PUT /photos/new", &both, "x", 400, "InvalidArgument"),
            ("SSE-C without a key", "PUT /photos/new", &[ALGORITHM], "x", 400, "InvalidArgument"),
            (
                "SSE-C by AES128",
                "PUT /photos/new",
                &[(ALGORITHM.0, "AES128")],
                "x",
                400,
                "InvalidEncryptionAlgorithmError",
            ),
            ("a form on a read", "GET /photos/s3", &[(SSE, "AES256")], "", 400, "InvalidArgument"),
            ("SSE-C read without a key", "GET /photos/c", &[], "", 400, "InvalidRequest"),
            ("SSE-C read by another key", "GET /photos/c", &other, "", 403, "AccessDenied"),
            ("SSE-S3 read by a key", "GET /photos/s3", &own, "", 400, "InvalidRequest"),
            ("plain read by a key", "GET /photos/plain", &own, "", 400, "InvalidRequest"),
            (
                "attributes without a key",
                "GET /photos/c?attributes",
                &[("x-amz-object-attributes", "ETag")],
                "",
                400,
                "InvalidRequest",
            ),
            (
                "a copy without the source's key",
                "PUT /photos/new",
                &copy_c,
                "",
                400,
                "InvalidRequest",
            ),
            (
                "a copy to itself that changes nothing",
                "PUT /photos/s3",
                &[("x-amz-copy-source", "/photos/s3")],
                "",
                400,
                "InvalidRequest",
            ),
            (
                "by the URL",
                "PUT /photos/new?x-amz-server-side-encryption=AES256",
                &[],
                "x",
                400,
                "InvalidArgument",
            ),
            (
                "an unknown header",
                "PUT /photos/new",
                &[("x-amz-server-side-encryption-iv", "AAAA")],
                "x",
                501,
                "NotImplemented",
            ),
        ],
    )
    .await;
    for (headers, status) in [(&[][..], 400), (&other, 403), (&own, 200)] {
        let head = send(server.client(), "HEAD /photos/c", headers, "").await;
        assert_eq!(head.status.as_u16(), status);
    }
    // A condition tells nothing to who hasn't the key.
    let guess = [("if-none-match", "*")];
    assert_eq!(send(server.client(), "GET /photos/c", &guess, "").await.status, 400);
}

#[tokio::test]
async fn without_a_kms_there_is_sse_c_alone() {
    let server = server().await;
    refuses(
        &server,
        &[
            ("SSE-S3", "PUT /photos/new", &[(SSE, "AES256")], "x", 501, "NotImplemented"),
            ("SSE-KMS", "PUT /photos/new", &[(SSE, "aws:kms")], "x", 501, "NotImplemented"),
            (
                "an upload",
                "POST /photos/new?uploads",
                &[(SSE, "aws:kms")],
                "",
                501,
                "NotImplemented",
            ),
            (
                "a copy",
                "PUT /photos/new",
                &[(SSE, "AES256"), ("x-amz-copy-source", "/photos/k")],
                "",
                501,
                "NotImplemented",
            ),
            (
                "a default",
                "PUT /photos?encryption",
                &[],
                super::defaults::AES256,
                501,
                "NotImplemented",
            ),
        ],
    )
    .await;
    let form = Form::Customer(1);
    done(&server, "PUT /photos/c", &[&form.write()], content(100)).await;
    assert!(done(&server, "GET /photos/c", &[&form.read()], "").await.body == content(100));
}

#[tokio::test]
async fn a_kms_that_is_gone_fails_clearly_and_stores_nothing_plain() {
    let server = server_with(&[("COFFER_KMS_DATA_KEYS", "EveryRequest")]).await;
    done(&server, "PUT /photos/k", &[&Form::Kms.write()], "kept").await;
    let (keys, away) = (server.folder().join("kms"), server.folder().join("kms-away"));
    std::fs::rename(&keys, &away).unwrap();
    for form in [Form::S3, Form::Kms, Form::KmsOther] {
        let put = ask(&server, "PUT /photos/new", &[&form.write()], "x").await;
        assert_eq!(
            (put.status.as_u16(), put.code().as_str()),
            (400, "KMS.NotFoundException"),
            "{form:?}"
        );
    }
    assert_eq!(ask(&server, "GET /photos/k", &[], "").await.code(), "KMS.NotFoundException");
    assert_eq!(ask(&server, "GET /photos/new", &[], "").await.code(), "NoSuchKey");
    done(&server, "HEAD /photos/k", &[], "").await;
    std::fs::rename(&away, &keys).unwrap();
    assert_eq!(done(&server, "GET /photos/k", &[], "").await.body, "kept");
}

#[tokio::test]
async fn a_customers_key_belongs_to_its_object_alone() {
    let server = server_with(&[]).await;
    for byte in [1, 2] {
        done(&server, &format!("PUT /photos/{byte}"), &[&Form::Customer(byte).write()], "x").await;
    }
    let from = pair("x-amz-copy-source", "/photos/1");
    for (source, status) in [(2, 403), (1, 200)] {
        let key = customer("x-amz-copy-source-server-side-encryption-customer", source);
        let copied = ask(&server, "PUT /photos/3", &[&key, std::slice::from_ref(&from)], "").await;
        assert_eq!(copied.status.as_u16(), status, "{}", copied.text());
    }
}
