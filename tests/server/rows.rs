//! Every operation's row of the table: let through with exactly the actions that it asks for, denied without each of them.
//!
//! The rows come from the server's own tables of routes and actions, so a new operation is asked about by itself.

use std::time::Duration;

use coffer_policy::Action;
use coffer_server::authorize::table::{self, Need, On};
use coffer_server::iam::draft::{AccessKeyChange, Holder};
use coffer_server::iam::entity::{Parent, Status};
use coffer_server::iam::name::Name;
use coffer_server::operation::Operation;
use coffer_server::route::table::{Level, ROWS, Row, Source};
use coffer_signature::PayloadHash;
use coffer_tests::client::{Answer, Client, now};
use coffer_tests::server::Server;
use http::Method;

use crate::claim::{assert_all, send};
use crate::matrix::pair;
use crate::people::{access_key, allow, client_of, deny, document, server_of, user};

/// What is asked of a caller on a row: what the table says, and what the handler asks for on top.
fn actions(row: &Row) -> Vec<&'static str> {
    let needs = table::needs(row.operation).iter().map(|need| need.action.name());
    let of_source = (row.source == Source::Copy).then_some(Action::S3GetObject.name());
    needs.chain(of_source).collect()
}

/// Rows that are decided before any body: each key of a multi-delete is decided on its own, below.
fn rows() -> impl Iterator<Item = (usize, &'static Row)> {
    ROWS.iter().enumerate().filter(|(_, row)| row.operation != Operation::DeleteObjects)
}

fn path(row: &Row) -> &'static str {
    match row.level {
        Level::Service => "/",
        Level::Bucket => "/photos",
        Level::Object => "/photos/k",
    }
}

fn query(row: &Row) -> String {
    row.sub_resources.iter().map(|name| pair(name)).collect::<Vec<_>>().join("&")
}

fn headers(row: &Row) -> &'static [(&'static str, &'static str)] {
    match row.source {
        Source::Copy => &[("x-amz-copy-source", "/other/k")],
        Source::Body => &[],
    }
}

/// Whether an answer says that the caller may not. HEAD says it by its status alone.
fn is_denied(answer: &Answer, method: &Method) -> bool {
    let by_code = answer.code() == "AccessDenied";
    answer.status == 403 && (by_code || *method == Method::HEAD)
}

async fn ask(client: &Client, row: &Row, more_query: &str) -> Answer {
    let query = [query(row), more_query.to_owned()].join("&");
    client.send(row.method.as_str(), path(row), query.trim_matches('&'), headers(row), "").await
}

/// What is there before each row: it must neither be missing nor be empty.
async fn restore(server: &Server) {
    for line in ["PUT /photos", "PUT /other"] {
        let code = send(server.client(), line, &[], "").await.code();
        assert!(matches!(code.as_str(), "" | "BucketAlreadyOwnedByYou"), "{line}: {code}");
    }
    for line in ["PUT /photos/k", "PUT /photos/keep", "PUT /other/k"] {
        assert_eq!(send(server.client(), line, &[], "hello").await.status, 200, "{line}");
    }
}

/// CVE-2021-41137, CVE-2023-25812: users without a policy, and a Deny of each action beside an Allow of all.
#[tokio::test(flavor = "multi_thread")]
async fn each_row_needs_its_actions_and_all_of_them() {
    let server = server_of(|draft| {
        user(draft, "nobody", "")?;
        for (number, row) in rows() {
            let all = actions(row);
            user(draft, &format!("exact{number}"), &allow(&all))?;
            access_key(draft, &format!("key{number}"), Parent::Root, &allow(&all))?;
            for (n, missing) in all.iter().enumerate() {
                let mut others: Vec<&str> =
                    all.iter().copied().filter(|action| action != missing).collect();
                others.push("s3:GetBucketAbac");
                user(draft, &format!("without{number}.{n}"), &allow(&others))?;
                let denied = format!("{},{}", allow(&["s3:*"]), deny(&[missing]));
                user(draft, &format!("denied{number}.{n}"), &denied)?;
            }
        }
        Ok(())
    })
    .await;
    let mut wrong = Vec::new();
    let mut asked = 0;
    for (number, row) in rows() {
        restore(&server).await;
        let mut check = |who: &str, answer: &Answer, denied: bool| {
            asked += 1;
            if is_denied(answer, &row.method) != denied {
                let (method, query) = (&row.method, query(row));
                let path = path(row);
                wrong.push(format!(
                    "{who}: {method} {path}?{query} ({}): {} {}",
                    row.operation.name(),
                    answer.status,
                    answer.text()
                ));
            }
        };
        check("nobody", &ask(&client_of(&server, "nobody"), row, "").await, true);
        for n in 0..actions(row).len() {
            for who in [format!("without{number}.{n}"), format!("denied{number}.{n}")] {
                check(&who, &ask(&client_of(&server, &who), row, "").await, true);
            }
        }
        for who in [format!("exact{number}"), format!("key{number}")] {
            restore(&server).await;
            check(&who, &ask(&client_of(&server, &who), row, "").await, false);
        }
    }
    assert_all(wrong);
    assert!(asked > 400, "{asked}");
}

/// The same for strangers, by the bucket's policy.
#[tokio::test(flavor = "multi_thread")]
async fn each_row_of_a_bucket_is_open_to_strangers_by_its_policy_alone() {
    let server = server_of(|draft| user(draft, "everything", &allow(&["s3:*"]))).await;
    let everything = client_of(&server, "everything");
    let mut wrong = Vec::new();
    for (_, row) in rows().filter(|(_, row)| row.level != Level::Service) {
        restore(&server).await;
        let anonymous = async || {
            let client = server.client();
            let (method, headers) = (row.method.as_str(), client.headers(headers(row)));
            client.send_as_is(method, path(row), &query(row), headers, "").await.unwrap()
        };
        let mut check = |who: &str, answer: &Answer, denied: bool| {
            if is_denied(answer, &row.method) != denied {
                wrong.push(format!(
                    "{who}: {} {}: {} {}",
                    row.method,
                    row.operation.name(),
                    answer.status,
                    answer.text()
                ));
            }
        };
        check("without a policy", &anonymous().await, true);
        // A bucket that is created is not there to have a policy.
        if row.operation == Operation::CreateBucket {
            continue;
        }
        let put = async |effect: &str| {
            for bucket in ["photos", "other"] {
                let needs: Vec<&Need> = table::needs(row.operation).iter().collect();
                let mut statements = Vec::new();
                for need in needs {
                    // The form's route asks for the bucket: which object it is, stands in the form.
                    let on_object = need.on == On::Object || need.action == Action::S3PutObject;
                    let resource = match (on_object, row.operation) {
                        (true, Operation::PostObject) => format!("{bucket}*"),
                        (true, _) => format!("{bucket}/*"),
                        (false, _) => bucket.to_owned(),
                    };
                    statements.push(format!(
                        r#"{{"Effect":"{effect}","Principal":"*","Action":"{}","Resource":"arn:aws:s3:::{resource}"}}"#,
                        need.action.name()
                    ));
                }
                statements.push(format!(
                    r#"{{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::{bucket}/*"}}"#
                ));
                let line = format!("PUT /{bucket}?policy=");
                let answer =
                    send(server.client(), &line, &[], document(&statements.join(","))).await;
                assert_eq!(answer.status, 204, "{statements:?}: {}", answer.text());
            }
        };
        put("Deny").await;
        check("everything, denied by the bucket", &ask(&everything, row, "").await, true);
        put("Allow").await;
        check("by the policy", &anonymous().await, false);
        for line in ["DELETE /photos?policy=", "DELETE /other?policy="] {
            send(server.client(), line, &[], "").await;
        }
    }
    assert_all(wrong);
}

/// GHSA-3ppv-fx5m-m749: a version is not read or deleted by the right to the object.
#[tokio::test(flavor = "multi_thread")]
async fn versions_and_headers_that_set_more_have_actions_of_their_own() {
    let versioned = || {
        rows().filter(|(_, row)| {
            row.level == Level::Object
                && table::needs(row.operation)
                    .iter()
                    .any(|need| table::of_version(need.action) != need.action)
        })
    };
    let of_versions = |row: &Row| -> Vec<&'static str> {
        table::needs(row.operation)
            .iter()
            .map(|need| table::of_version(need.action).name())
            .collect()
    };
    let headers: [(&str, &str, &str); 6] = [
        ("x-amz-acl", "private", "s3:PutObjectAcl"),
        ("x-amz-grant-read", "id=1", "s3:PutObjectAcl"),
        ("x-amz-tagging", "a=b", "s3:PutObjectTagging"),
        ("x-amz-object-lock-mode", "GOVERNANCE", "s3:PutObjectRetention"),
        ("x-amz-object-lock-retain-until-date", "2030-01-01T00:00:00Z", "s3:PutObjectRetention"),
        ("x-amz-object-lock-legal-hold", "ON", "s3:PutObjectLegalHold"),
    ];
    let server = server_of(|draft| {
        for (number, row) in versioned() {
            user(draft, &format!("object{number}"), &allow(&actions(row)))?;
            user(draft, &format!("version{number}"), &allow(&of_versions(row)))?;
        }
        user(draft, "writer", &allow(&["s3:PutObject"]))?;
        for (n, (_, _, action)) in headers.iter().enumerate() {
            user(draft, &format!("writer{n}"), &allow(&["s3:PutObject", action]))?;
        }
        Ok(())
    })
    .await;
    let mut wrong = Vec::new();
    for (number, row) in versioned() {
        restore(&server).await;
        for (who, denied) in [("object", true), ("version", false)] {
            let client = client_of(&server, &format!("{who}{number}"));
            let answer = ask(&client, row, "versionId=null").await;
            if is_denied(&answer, &row.method) != denied {
                wrong.push(format!("{who}: {}: {}", row.operation.name(), answer.text()));
            }
        }
    }
    for (n, (name, value, _)) in headers.iter().enumerate() {
        for (line, needs_source) in [
            ("PUT /photos/new", false),
            ("POST /photos/new?uploads=", false),
            ("PUT /photos/new", true),
        ] {
            let mut sent = vec![(*name, *value)];
            if needs_source {
                sent.push(("x-amz-copy-source", "/other/k"));
            }
            let denied = send(&client_of(&server, "writer"), line, &sent, "").await;
            let answer = send(&client_of(&server, &format!("writer{n}")), line, &sent, "").await;
            if denied.code() != "AccessDenied" {
                wrong.push(format!("{name} without its action: {line}: {}", denied.text()));
            }
            // The source of a copy is asked for after all that the headers ask for.
            if answer.code() == "AccessDenied" && !needs_source {
                wrong.push(format!("{name} with its action: {line}: {}", answer.text()));
            }
        }
    }
    assert_all(wrong);
}

/// CVE-2026-50197: each key of a multi-delete is decided as the key that is then deleted.
#[tokio::test(flavor = "multi_thread")]
async fn each_key_of_a_multi_delete_is_decided_on_its_own() {
    let server = server_of(|draft| {
        let own = r#"{"Effect":"Allow","Action":["s3:DeleteObject","s3:PutObject"],"Resource":"arn:aws:s3:::photos/mine/*"},
            {"Effect":"Allow","Action":"s3:DeleteObjectVersion","Resource":"arn:aws:s3:::photos/old/*"},
            {"Effect":"Deny","Action":"s3:DeleteObject","Resource":"arn:aws:s3:::photos/mine/kept"}"#;
        user(draft, "alice", own)
    })
    .await;
    restore(&server).await;
    let keys = ["mine/a", "mine/kept", "theirs", "old/a", "mine/../theirs", "mine/%2e%2e/theirs"];
    for key in keys {
        let line = format!("PUT /photos/{}", key.replace('%', "%25"));
        assert_eq!(send(server.client(), &line, &[], "x").await.status, 200, "{key}");
    }
    let objects: String =
        keys.iter().map(|key| format!("<Object><Key>{key}</Key></Object>")).collect();
    let body = format!(
        "<Delete>{objects}<Object><Key>old/a</Key><VersionId>null</VersionId></Object><Object><Key>mine/a</Key><VersionId>null</VersionId></Object></Delete>"
    );
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body.as_bytes());
    let digest =
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, digest.as_ref());
    let alice = client_of(&server, "alice");
    let headers = [("x-amz-checksum-sha256", digest.as_str())];
    let answer = send(&alice, "POST /photos?delete=", &headers, body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.text();
    let deleted: Vec<&str> = text
        .split("<Deleted>")
        .skip(1)
        .filter_map(|part| part.split("<Key>").nth(1)?.split("</Key>").next())
        .collect();
    assert_eq!(deleted, ["mine/a", "mine/../theirs", "mine/%2e%2e/theirs", "old/a"], "{text}");
    assert_eq!(text.matches("<Code>AccessDenied</Code>").count(), 4, "{text}");
    for (line, status) in [
        ("HEAD /photos/theirs", 200),
        ("HEAD /photos/mine/kept", 200),
        ("HEAD /photos/mine/a", 404),
    ] {
        assert_eq!(send(server.client(), line, &[], "").await.status, status, "{line}");
    }
}

/// N3: CVE-2026-39360, CVE-2026-45042: a source that may not be read, in every spelling, by copy and by part copy.
#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_copys_source_goes_around_its_decision() {
    let server = server_of(|draft| {
        let own = r#"{"Effect":"Allow","Action":["s3:PutObject","s3:AbortMultipartUpload"],"Resource":"*"},
            {"Effect":"Allow","Action":["s3:GetObject","s3:GetObjectVersion"],"Resource":"arn:aws:s3:::photos/*"}"#;
        user(draft, "alice", own)
    })
    .await;
    restore(&server).await;
    let alice = client_of(&server, "alice");
    let begun = send(&alice, "POST /photos/parts?uploads=", &[], "").await;
    let upload = begun.element("UploadId").unwrap();
    for source in [
        "/other/k",
        "other/k",
        "//other/k",
        "/other/%6b",
        "/other%2Fk",
        "%2Fother%2Fk",
        "/photos/../other/k",
        "/photos/%2e%2e/other/k",
        "/photos/%252e%252e/other/k",
        "/other/k?versionId=null",
        "/other/k%3FversionId=null",
        "/other/k?versionId=",
        "/other/+k",
        "arn:aws:s3:::other/k",
        "arn:aws:s3:us-east-1:000000000000:accesspoint/other/object/k",
    ] {
        for (line, what) in [
            ("PUT /photos/copy".to_owned(), "a copy"),
            (format!("PUT /photos/parts?partNumber=1&uploadId={upload}"), "a part"),
        ] {
            let answer = send(&alice, &line, &[("x-amz-copy-source", source)], "").await;
            assert!(
                answer.status.is_client_error() || answer.status == 501,
                "{source}: {what}: {}",
                answer.text()
            );
            assert!(!answer.text().contains("ETag"), "{source}: {what}");
        }
    }
    let good = [("x-amz-copy-source", "/photos/k")];
    assert_eq!(send(&alice, "PUT /photos/copy", &good, "").await.status, 200);
    let line = format!("PUT /photos/parts?partNumber=1&uploadId={upload}");
    assert_eq!(send(&alice, &line, &good, "").await.status, 200);
}

/// CVE-2021-21362, CVE-2015-5223: a URL never exceeds its signer. CVE-2015-7546, CVE-2022-41316: nor outlives the signer's rights.
#[tokio::test(flavor = "multi_thread")]
async fn a_presigned_url_is_worth_what_its_signer_is_worth_when_it_is_used() {
    let later = now() + jiff::SignedDuration::from_mins(16);
    let mut server = server_of(|draft| {
        user(draft, "reader", &allow(&["s3:GetObject"]))?;
        user(draft, "disabled", &allow(&["s3:*"]))?;
        draft.set_user_status(&Name::user("disabled")?, Status::Disabled, now())?;
        access_key(draft, "disabledkey", Parent::User(Name::user("reader")?), "")?;
        let change =
            AccessKeyChange { status: Some(Status::Disabled), ..AccessKeyChange::default() };
        draft.change_access_key(&Name::access_key("disabledkey")?, change, now())?;
        access_key(draft, "orphankey", Parent::User(Name::user("disabled")?), "")?;
        access_key(draft, "goodkey", Parent::User(Name::user("reader")?), "")?;
        let change = AccessKeyChange { expires: Some(Some(later)), ..AccessKeyChange::default() };
        draft.change_access_key(&Name::access_key("goodkey")?, change, now())
    })
    .await;
    restore(&server).await;
    let presigned = |client: &Client, method: &str| {
        let method: Method = method.parse().unwrap();
        let headers = client.headers(&[]);
        let signer = client.signer();
        signer.presign(&method, "/photos/k", "", &headers, Duration::from_mins(5), now()).unwrap()
    };
    let use_url = async |client: &Client, method: &str, query: &str| {
        let headers = client.headers(&[]);
        let answer = client.send_as_is(method, "/photos/k", query, headers, "").await.unwrap();
        (answer.status.as_u16(), answer.code())
    };
    let reader = client_of(&server, "reader");
    let (get, put) = (presigned(&reader, "GET"), presigned(&reader, "PUT"));
    assert_eq!(use_url(&reader, "GET", &get).await.0, 200);
    assert_eq!(use_url(&reader, "PUT", &put).await, (403, "AccessDenied".to_owned()));
    for who in ["disabled", "disabledkey", "orphankey"] {
        let client = client_of(&server, who);
        let headers = send(&client, "GET /photos/k", &[], "").await;
        let url = use_url(&client, "GET", &presigned(&client, "GET")).await;
        let expected = (403, "InvalidAccessKeyId".to_owned());
        assert_eq!((headers.status.as_u16(), headers.code()), expected, "{who}");
        assert_eq!(url, expected, "{who}");
    }
    let good = client_of(&server, "goodkey");
    assert_eq!(send(&good, "GET /photos/k", &[], "").await.status, 200);
    // Meanwhile the policy is detached: the URL that was signed before is worth nothing.
    server.kill();
    crate::people::change(&server, |draft| {
        draft.set_policies(&Holder::User(Name::user("reader")?), &[], now())
    })
    .await;
    server.launch().await;
    assert_eq!(use_url(&reader, "GET", &get).await, (403, "AccessDenied".to_owned()));
    assert_eq!(send(&good, "GET /photos/k", &[], "").await.code(), "AccessDenied");
    // What it was signed for doesn't change by another signature.
    let body = PayloadHash::of(b"");
    let headers = reader.signed("PUT", "/photos/k", "", &[], &body);
    let answer = reader.send_as_is("PUT", "/photos/k", "", headers, "").await.unwrap();
    assert_eq!(answer.code(), "AccessDenied");
}
