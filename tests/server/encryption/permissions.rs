//! What policies say about forms of encryption, and about the keys of the KMS.

use coffer_tests::client::Client;
use coffer_tests::server::Server;
use coffer_tests::{identity, static_kms};
use tempfile::TempDir;

use super::{Form, KMS_KEY, SSE, done};
use crate::claim::{assert_answer, send};
use crate::people::{allow, change_in, client_of, user};

fn on_key(actions: &str, key: &str, condition: &str) -> String {
    format!(
        r#"{{"Effect":"Allow","Action":[{actions}],"Resource":"arn:aws:kms:::{key}"{condition}}}"#
    )
}

async fn server() -> Server {
    let folder = TempDir::new().unwrap();
    identity::write(folder.path());
    let both = r#""kms:GenerateDataKey","kms:Decrypt""#;
    change_in(folder.path(), |draft| {
        let s3 = allow(&["s3:*"]);
        user(draft, "stranger", &s3)?;
        user(draft, "archivist", &format!("{s3},{}", on_key(both, "archive", "")))?;
        user(draft, "writer", &format!("{s3},{}", on_key(r#""kms:GenerateDataKey""#, "*", "")))?;
        user(draft, "reader", &format!("{s3},{}", on_key(r#""kms:Decrypt""#, "*", "")))?;
        let project = r#","Condition":{"StringEquals":{"kms:EncryptionContext:project":"x","kms:ViaService":"s3"}}"#;
        user(draft, "member", &format!("{s3},{}", on_key(both, "*", project)))?;
        let only = |key: &str, value: &str| {
            format!(
                r#"{s3},{},{{"Effect":"Deny","Action":"s3:PutObject","Resource":"*","Condition":{{"StringNotEquals":{{"{key}":"{value}"}}}}}}"#,
                on_key(both, "*", "")
            )
        };
        user(draft, "strict", &only("s3:x-amz-server-side-encryption", "aws:kms"))?;
        user(draft, "stricter", &only("s3:x-amz-server-side-encryption-aws-kms-key-id", "archive"))?;
        user(draft, "own", &only("s3:x-amz-server-side-encryption-customer-algorithm", "AES256"))
    })
    .await;
    let kms = static_kms::write(folder.path());
    let settings: Vec<(&str, &str)> =
        kms.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let server = Server::start_in(folder, &settings).await;
    done(&server, "PUT /photos", &[], "").await;
    server
}

async fn put(client: &Client, form: Form) -> u16 {
    let headers = form.write();
    let headers: Vec<(&str, &str)> =
        headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    send(client, "PUT /photos/k", &headers, "x").await.status.as_u16()
}

#[tokio::test]
async fn a_key_of_the_kms_is_used_by_those_who_may() {
    let server = server().await;
    let [plain, s3, kms, other, own] = Form::ALL;
    for (name, writes) in [
        ("stranger", [200, 200, 403, 403, 200]),
        ("archivist", [200, 200, 403, 200, 200]),
        ("writer", [200, 200, 200, 200, 200]),
        ("reader", [200, 200, 403, 403, 200]),
        // Its context is only in one of them.
        ("member", [200, 200, 403, 200, 200]),
        ("strict", [403, 403, 200, 200, 403]),
        ("stricter", [403, 403, 403, 200, 403]),
        ("own", [403, 403, 403, 403, 200]),
    ] {
        let client = client_of(&server, name);
        for (form, status) in [plain, s3, kms, other, own].into_iter().zip(writes) {
            assert_eq!(put(&client, form).await, status, "{name} writes {form:?}");
        }
    }
    for (form, readers) in [
        (
            kms,
            [
                ("stranger", 403),
                ("archivist", 403),
                ("writer", 403),
                ("reader", 200),
                ("member", 403),
            ],
        ),
        (
            other,
            [
                ("stranger", 403),
                ("archivist", 200),
                ("writer", 403),
                ("reader", 200),
                ("member", 200),
            ],
        ),
        (
            s3,
            [
                ("stranger", 200),
                ("archivist", 200),
                ("writer", 200),
                ("reader", 200),
                ("member", 200),
            ],
        ),
    ] {
        done(&server, "PUT /photos/k", &[&form.write()], "x").await;
        for (name, status) in readers {
            let client = client_of(&server, name);
            let got = send(&client, "GET /photos/k", &[], "").await;
            assert_eq!(got.status.as_u16(), status, "{name} reads {form:?}");
            let range = [("range", "bytes=0-0")];
            let part = send(&client, "GET /photos/k", &range, "").await;
            assert_eq!(part.status.is_success(), status == 200, "{name} reads a part of {form:?}");
            let copied =
                send(&client, "PUT /photos/c", &[("x-amz-copy-source", "/photos/k")], "").await;
            assert_eq!(copied.status.as_u16(), status, "{name} copies {form:?}");
            assert_eq!(send(&client, "HEAD /photos/k", &[], "").await.status, 200);
        }
    }
}

#[tokio::test]
async fn a_buckets_default_key_is_asked_for_too_and_uploads_need_to_read() {
    let server = server().await;
    let document = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>archive</KMSMasterKeyID></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";
    done(&server, "PUT /photos?encryption", &[], document).await;
    for (name, status) in [("stranger", 403), ("archivist", 200), ("writer", 200)] {
        let client = client_of(&server, name);
        assert_eq!(put(&client, Form::Plain).await, status, "{name}");
    }
    for (name, status) in [("stranger", 403), ("archivist", 200), ("writer", 403), ("reader", 403)]
    {
        let begun = send(&client_of(&server, name), "POST /photos/k?uploads", &[], "").await;
        assert_eq!(begun.status.as_u16(), status, "{name}");
    }
    let id = done(&server, "POST /photos/k?uploads", &[], "").await.element("UploadId").unwrap();
    let line = format!("PUT /photos/k?partNumber=1&uploadId={id}");
    for (name, status) in [("stranger", 403), ("writer", 403), ("archivist", 200)] {
        let part = send(&client_of(&server, name), &line, &[], "x").await;
        assert_eq!(part.status.as_u16(), status, "{name}");
    }
}

#[tokio::test]
async fn a_policy_is_not_dodged_by_another_name_of_the_key() {
    let server = server().await;
    let client = client_of(&server, "stricter");
    for (key, status) in [
        ("archive", 200),
        ("arn:aws:kms:::archive", 200),
        ("alias/archive", 200),
        ("photos", 403),
        ("arn:aws:kms:::photos", 403),
        ("arn:aws:kms:archive:x:photos", 403),
    ] {
        let headers = [(SSE, "aws:kms"), (KMS_KEY, key)];
        let answer = send(&client, "PUT /photos/k", &headers, "x").await;
        let code = if status == 200 { "" } else { "AccessDenied" };
        assert_answer(key, &answer, status, code);
    }
}
