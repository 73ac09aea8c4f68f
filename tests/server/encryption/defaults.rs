//! A bucket's default, what a request says against it, and what the tenant does by itself.

use super::{Form, ask, content, done, pair, server_with};
use crate::claim::{assert_answer, refuses, send};
use crate::encryption::{KMS_KEY, SSE};

pub(super) const AES256: &str = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";

fn kms(key: &str) -> String {
    format!(
        "<ServerSideEncryptionConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm>{key}</ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>"
    )
}

const ARCHIVE: &str = "<KMSMasterKeyID>archive</KMSMasterKeyID>";

#[tokio::test]
async fn a_default_is_set_read_and_removed() {
    let server = server_with(&[]).await;
    let client = server.client();
    let get = async || send(client, "GET /photos?encryption", &[], "").await;
    assert_answer("none", &get().await, 404, "ServerSideEncryptionConfigurationNotFoundError");
    for (document, algorithm, key) in [
        (AES256.to_owned(), "AES256", None),
        (kms(""), "aws:kms", None),
        (kms(ARCHIVE), "aws:kms", Some("arn:aws:kms:::archive")),
    ] {
        let put = send(client, "PUT /photos?encryption", &[], document).await;
        assert_eq!(put.status, 200, "{}", put.text());
        let got = get().await;
        assert_eq!(got.element("SSEAlgorithm").as_deref(), Some(algorithm), "{}", got.text());
        assert_eq!(got.element("KMSMasterKeyID").as_deref(), key, "{}", got.text());
    }
    for _again in 0..2 {
        assert_eq!(send(client, "DELETE /photos?encryption", &[], "").await.status, 204);
        assert_answer("none", &get().await, 404, "ServerSideEncryptionConfigurationNotFoundError");
    }
    let two = AES256.replace("</Rule>", "</Rule><Rule/>");
    let unknown = kms("<KMSMasterKeyID>nobody</KMSMasterKeyID>");
    let path = kms("<KMSMasterKeyID>../a</KMSMasterKeyID>");
    let with_key =
        AES256.replace("</SSEAlgorithm>", "</SSEAlgorithm><KMSMasterKeyID>photos</KMSMasterKeyID>");
    let other = AES256.replace("AES256", "SSE-C");
    let line = "PUT /photos?encryption";
    refuses(
        &server,
        &[
            ("no bucket", "PUT /nobodys?encryption", &[], AES256, 404, "NoSuchBucket"),
            ("no bucket to read", "GET /nobodys?encryption", &[], "", 404, "NoSuchBucket"),
            ("no bucket to clear", "DELETE /nobodys?encryption", &[], "", 404, "NoSuchBucket"),
            ("two rules", line, &[], &two, 400, "MalformedXML"),
            ("an unknown key", line, &[], &unknown, 400, "KMS.NotFoundException"),
            ("a path for a key", line, &[], &path, 400, "InvalidArgument"),
            ("a key for SSE-S3", line, &[], &with_key, 400, "InvalidArgument"),
            ("a customer's key", line, &[], &other, 400, "MalformedXML"),
            ("no document", line, &[], "", 400, "MissingRequestBodyError"),
        ],
    )
    .await;
    assert_answer(
        "nothing set",
        &get().await,
        404,
        "ServerSideEncryptionConfigurationNotFoundError",
    );
}

#[tokio::test]
async fn a_default_holds_unless_the_write_says_otherwise() {
    let mut server = server_with(&[]).await;
    done(&server, "PUT /photos/before", &[], "plain").await;
    for (document, by_default, by_kms) in [
        (AES256.to_owned(), Form::S3, Form::Kms),
        (kms(""), Form::Kms, Form::Kms),
        (kms(ARCHIVE), Form::KmsOther, Form::KmsOther),
    ] {
        done(&server, "PUT /photos?encryption", &[], document).await;
        for (claim, headers, expected) in [
            ("nothing said", Vec::new(), by_default),
            ("SSE-S3 wins", Form::S3.write(), Form::S3),
            ("SSE-KMS takes the default's key", Form::Kms.write(), by_kms),
            ("another key wins", vec![pair(SSE, "aws:kms"), pair(KMS_KEY, "photos")], Form::Kms),
            ("SSE-C wins", Form::Customer(1).write(), Form::Customer(1)),
        ] {
            let put = done(&server, "PUT /photos/k", &[&headers], content(70_000)).await;
            expected.assert_told(&put, claim);
            let got = done(&server, "GET /photos/k", &[&expected.read()], "").await;
            expected.assert_told(&got, claim);
            assert!(got.body == content(70_000), "{claim}");
        }
        let from = pair("x-amz-copy-source", "/photos/before");
        let copied = done(&server, "PUT /photos/copied", &[&[from]], "").await;
        by_default.assert_told(&copied, "a copy");
        let begun = done(&server, "POST /photos/upload?uploads", &[], "").await;
        by_default.assert_told(&begun, "an upload");
        let plain = done(&server, "GET /photos/before", &[], "").await;
        Form::Plain.assert_told(&plain, "what was there");
        assert_eq!(plain.body, "plain");
    }
    // It outlives the process, and old objects outlive it.
    done(&server, "PUT /photos/old", &[], "old").await;
    server.kill();
    server.launch().await;
    Form::KmsOther.assert_told(&done(&server, "PUT /photos/new", &[], "x").await, "restarted");
    done(&server, "DELETE /photos?encryption", &[], "").await;
    Form::Plain.assert_told(&done(&server, "PUT /photos/new", &[], "x").await, "no default");
    let old = done(&server, "GET /photos/old", &[], "").await;
    Form::KmsOther.assert_told(&old, "old");
    assert_eq!(old.body, "old");
}

#[tokio::test]
async fn a_tenant_encrypts_by_itself_and_refuses_what_is_plain() {
    let server = server_with(&[("COFFER_AUTO_ENCRYPT", "true")]).await;
    Form::S3.assert_told(&done(&server, "PUT /photos/k", &[], "x").await, "automatic");
    Form::Kms
        .assert_told(&done(&server, "PUT /photos/k", &[&Form::Kms.write()], "x").await, "asked");
    let shown = done(&server, "GET /photos?encryption", &[], "").await;
    assert_eq!(shown.element("SSEAlgorithm").as_deref(), Some("AES256"));
    done(&server, "PUT /photos?encryption", &[], kms(ARCHIVE)).await;
    Form::KmsOther.assert_told(&done(&server, "PUT /photos/k", &[], "x").await, "by the bucket");

    let server = server_with(&[("COFFER_REQUIRE_ENCRYPTION", "true")]).await;
    for form in Form::ENCRYPTED {
        done(&server, "PUT /photos/k", &[&form.write()], "x").await;
    }
    done(&server, "PUT /photos/s3", &[&Form::S3.write()], "x").await;
    let copies = [("x-amz-copy-source", "/photos/s3")];
    refuses(
        &server,
        &[
            ("a put", "PUT /photos/new", &[], "x", 403, "AccessDenied"),
            ("an upload", "POST /photos/new?uploads", &[], "", 403, "AccessDenied"),
            ("a copy", "PUT /photos/new", &copies, "", 403, "AccessDenied"),
        ],
    )
    .await;
    done(&server, "PUT /photos?encryption", &[], AES256).await;
    Form::S3.assert_told(&done(&server, "PUT /photos/new", &[], "x").await, "by the bucket");
    assert_eq!(ask(&server, "GET /photos/new", &[], "").await.body, "x");
}
