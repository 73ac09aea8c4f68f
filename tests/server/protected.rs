//! Encryption by resources: a bucket's default and what it refuses, rotations of keys, and what the server tells of both.

use std::time::{Duration, Instant};

use coffer_tests::client::Client;
use coffer_tests::server::Server;
use coffer_tests::{identity, static_kms};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::claim::send;
use crate::control::{Authority, NAME, ask, control, owner, put};
use crate::encryption::{Form, content};
use crate::multipart::document;
use crate::people;

/// A server that knows a control identity, with a KMS or without.
async fn server_with(kms: bool, settings: &[(&str, &str)]) -> (Server, Client) {
    let folder = TempDir::new().unwrap();
    identity::write(folder.path());
    let authority = Authority::new("control of team/photos");
    authority.write(folder.path());
    people::change_in(folder.path(), |draft| people::user(draft, "carol", "")).await;
    let mut all = if kms { static_kms::write(folder.path()) } else { Vec::new() };
    let ca = folder.path().join("control").display().to_string();
    all.extend([("COFFER_CONTROL_CA", &*ca), ("COFFER_CONTROL_NAME", NAME)].map(pair));
    all.extend(settings.iter().copied().map(pair));
    let all: Vec<(&str, &str)> =
        all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let server = Server::start_in(folder, &all).await;
    let control = control(&server, &authority);
    (server, control)
}

fn pair((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn bucket(name: &str, encryption: &Value, requires: bool) -> Value {
    json!({
        "owner": owner("Bucket", name), "name": name, "policy": null, "quota": 0,
        "encryption": encryption, "requireEncryption": requires,
    })
}

fn rotation(name: &str, from: Option<&str>, to: Option<&str>, begin: bool) -> Value {
    json!({ "owner": owner("KeyRotation", name), "from": from, "to": to, "begin": begin })
}

async fn root(
    server: &Server,
    line: &str,
    form: Form,
    body: impl Into<bytes::Bytes>,
) -> coffer_tests::client::Answer {
    crate::encryption::ask(server, line, &[&form.write()], body).await
}

async fn status(server: &Server, line: &str, form: Form) -> (u16, String) {
    let answer = root(server, line, form, "x").await;
    (answer.status.as_u16(), answer.code())
}

/// Asks until something holds.
async fn until<T>(what: &str, mut holds: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        if let Some(found) = holds().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not so: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buckets_default_is_what_its_resource_says_and_is_put_back() {
    let (server, control) = server_with(true, &[]).await;
    let kms = json!({"type": "SSE-KMS", "key": "archive"});
    let answer = put(&control, "bucket", bucket("album", &kms, false), "").await;
    assert_eq!(answer["protected"], true, "{answer}");
    let put_plain = async || root(&server, "PUT /album/a", Form::Plain, "x").await;
    Form::KmsOther.assert_told(&put_plain().await, "by the default");
    // By another hand, in both ways.
    let line = "DELETE /album?encryption";
    assert_eq!(send(server.client(), line, &[], "").await.status, 204);
    Form::Plain.assert_told(&put_plain().await, "without it");
    put(&control, "bucket", bucket("album", &kms, false), "").await;
    Form::KmsOther.assert_told(&put_plain().await, "put back");
    let other = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>\
                 </ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";
    let set = send(server.client(), "PUT /album?encryption", &[], other).await;
    assert_eq!(set.status, 200, "{}", set.text());
    Form::S3.assert_told(&put_plain().await, "another");
    put(&control, "bucket", bucket("album", &kms, false), "").await;
    Form::KmsOther.assert_told(&put_plain().await, "put back");
    // Without a word about it, it stays.
    put(&control, "bucket", bucket("album", &Value::Null, false), "").await;
    Form::KmsOther.assert_told(&put_plain().await, "as it was");
    put(&control, "bucket", bucket("album", &json!({"type": "SSE-S3"}), false), "").await;
    Form::S3.assert_told(&put_plain().await, "another one");
    // What can't work changes nothing.
    for (encryption, code) in [
        (json!({"type": "SSE-KMS", "key": "nobody"}), "CofferKeyUnusable"),
        (json!({"type": "SSE-KMS", "key": "../a"}), "InvalidArgument"),
        (json!({"type": "SSE-C"}), "InvalidRequest"),
    ] {
        put(&control, "bucket", bucket("album", &encryption, true), code).await;
        put(&control, "bucket", bucket("fresh", &encryption, true), code).await;
    }
    Form::S3.assert_told(&put_plain().await, "nothing changed");
    assert_eq!(send(server.client(), "HEAD /fresh", &[], "").await.status, 404);
    // And what is another hand's isn't touched.
    assert_eq!(send(server.client(), "PUT /theirs", &[], "").await.status, 200);
    put(&control, "bucket", bucket("theirs", &kms, true), "CofferNotOwned").await;
    Form::Plain.assert_told(&root(&server, "PUT /theirs/a", Form::Plain, "x").await, "theirs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_requires_encryption_stores_nothing_plain_by_any_way() {
    let (mut server, control) = server_with(true, &[]).await;
    let require = async |requires| {
        put(&control, "bucket", bucket("album", &Value::Null, requires), "").await;
    };
    require(false).await;
    assert_eq!(send(server.client(), "PUT /open", &[], "").await.status, 200);
    for (line, form) in [("PUT /open/source", Form::Plain), ("PUT /album/before", Form::Plain)] {
        assert_eq!(root(&server, line, form, "x").await.status, 200, "{line}");
    }
    // Uploads that begin before.
    let mut begun = Vec::new();
    for form in [Form::Plain, Form::S3] {
        let upload = root(&server, "POST /album/parts?uploads", form, "").await;
        let id = upload.element("UploadId").unwrap();
        let line = format!("PUT /album/parts?partNumber=1&uploadId={id}");
        let tag = root(&server, &line, Form::Plain, "x").await.header("etag");
        begun.push((id, tag));
    }
    require(true).await;
    // It outlives the process, and a default of another hand.
    server.kill();
    server.launch().await;
    let refused = (403, "AccessDenied".to_owned());
    let copy = [("x-amz-copy-source", "/open/source")];
    let plain = async |line: &str, headers: &[(&str, &str)], body: &'static str| {
        let answer = send(server.client(), line, headers, body).await;
        (answer.status.as_u16(), answer.code())
    };
    assert_eq!(status(&server, "PUT /album/a", Form::Plain).await, refused);
    assert_eq!(plain("PUT /album/a", &copy, "").await, refused);
    assert_eq!(plain("POST /album/a?uploads", &[], "").await, refused);
    let [(id, tag), (sealed, sealed_tag)] = &begun[..] else { panic!("{begun:?}") };
    let part = |id: &str| format!("PUT /album/parts?partNumber=2&uploadId={id}");
    assert_eq!(plain(&part(id), &[], "x").await, refused);
    assert_eq!(plain(&part(id), &copy, "").await, refused);
    let complete = async |id: &str, tag: &str| {
        let line = format!("POST /album/parts?uploadId={id}");
        let answer = send(server.client(), &line, &[], document(&[(1, tag)])).await;
        (answer.status.as_u16(), answer.code())
    };
    assert_eq!(complete(id, tag).await, refused);
    assert_eq!(send(server.client(), "HEAD /album/parts", &[], "").await.status, 404);
    assert_eq!(send(server.client(), "HEAD /album/a", &[], "").await.status, 404);
    // What is encrypted goes on, what was there stays, and no other bucket is asked for anything.
    assert_eq!(complete(sealed, sealed_tag).await.0, 200);
    for form in Form::ENCRYPTED {
        assert_eq!(status(&server, "PUT /album/a", form).await.0, 200, "{form:?}");
    }
    assert_eq!(send(server.client(), "GET /album/before", &[], "").await.body, "x");
    assert_eq!(status(&server, "PUT /open/a", Form::Plain).await.0, 200);
    require(false).await;
    assert_eq!(status(&server, "PUT /album/a", Form::Plain).await.0, 200);
    assert_eq!(complete(id, tag).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_kms_a_default_and_a_rotation_are_refused_and_a_bucket_may_require_customers_keys()
 {
    let (server, control) = server_with(false, &[]).await;
    for encryption in [json!({"type": "SSE-S3"}), json!({"type": "SSE-KMS", "key": "archive"})] {
        put(&control, "bucket", bucket("album", &encryption, true), "CofferNoKms").await;
        assert_eq!(send(server.client(), "HEAD /album", &[], "").await.status, 404);
    }
    for to in [None, Some("archive")] {
        put(&control, "key-rotation", rotation("one", None, to, true), "CofferNoKms").await;
    }
    put(&control, "bucket", bucket("album", &Value::Null, true), "").await;
    assert_eq!(status(&server, "PUT /album/a", Form::Plain).await.0, 403);
    assert_eq!(status(&server, "PUT /album/a", Form::Customer(1)).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn rotations_of_resources_wait_for_each_other_resume_and_are_told_apart() {
    let (mut server, control) = server_with(true, &[]).await;
    assert_eq!(send(server.client(), "PUT /photos", &[], "").await.status, 200);
    for number in 0..1500 {
        let line = format!("PUT /photos/{number:04}");
        assert_eq!(root(&server, &line, Form::S3, "x").await.status, 200);
    }
    assert_eq!(root(&server, "PUT /photos/own", Form::Customer(1), "x").await.status, 200);
    let unknown = put(&control, "key-rotation", rotation("one", None, None, false), "").await;
    assert_eq!(unknown, Value::Null);
    for (to, code) in [("nobody", "CofferKeyUnusable"), ("../a", "InvalidArgument")] {
        put(&control, "key-rotation", rotation("one", None, Some(to), true), code).await;
    }
    // From now on objects come under the new key; the rotation's default is that.
    server.kill();
    server.set("COFFER_KMS_DEFAULT_KEY", "archive");
    server.launch().await;
    let one = rotation("one", Some("photos"), None, true);
    let two = rotation("two", Some("archive"), Some("photos"), true);
    let begun = put(&control, "key-rotation", one.clone(), "").await;
    assert_eq!((&begun["to"], &begun["total"]), (&json!("archive"), &json!(1501)), "{begun}");
    assert_eq!(begun["oldKeyUnused"], Value::Null, "{begun}");
    let refused = put(&control, "key-rotation", two.clone(), "CofferRotationRunning").await;
    assert!(refused["Message"].as_str().unwrap().contains("KeyRotation/team/one"), "{refused}");
    // Another life of the server, the same rotation.
    server.kill();
    server.launch().await;
    let told = until("the first is done", async || {
        let told = put(&control, "key-rotation", one.clone(), "").await;
        told["finished"].is_string().then_some(told)
    })
    .await;
    assert_eq!(told["started"], begun["started"]);
    assert_eq!((&told["remaining"], &told["customers"]), (&json!(0), &json!(1)), "{told}");
    assert_eq!(told["owner"], owner("KeyRotation", "one"));
    let unused = async |body: &Value| {
        until("the server has looked", async || {
            let told = put(&control, "key-rotation", body.clone(), "").await;
            told["oldKeyUnused"].as_bool()
        })
        .await
    };
    assert!(unused(&one).await);
    // It isn't begun a second time, neither by asking again nor where another one of its name is asked about.
    let again = put(&control, "key-rotation", one.clone(), "").await;
    assert_eq!(again["finished"], told["finished"]);
    let mut another = rotation("one", Some("photos"), None, false);
    another["owner"]["uid"] = json!("2");
    assert_eq!(put(&control, "key-rotation", another, "").await, Value::Null);

    // The way back; the first is still known, and no longer says that its key is unused.
    put(&control, "key-rotation", two.clone(), "").await;
    until("the second is done", async || {
        let told = put(&control, "key-rotation", two.clone(), "").await;
        told["finished"].is_string().then_some(told)
    })
    .await;
    let told = put(&control, "key-rotation", one.clone(), "").await;
    assert!(told["finished"].is_string(), "{told}");
    until("it is seen that the key is used again", async || {
        let told = put(&control, "key-rotation", one.clone(), "").await;
        (told["oldKeyUnused"] == false).then_some(())
    })
    .await;
    // The second's old key is the default.
    let told = put(&control, "key-rotation", two.clone(), "").await;
    assert_eq!((&told["defaultOf"], &told["oldKeyUnused"]), (&json!(["tenant"]), &json!(false)));

    // Deleted in its midst it stops, and everything opens.
    let three = rotation("three", Some("photos"), Some("archive"), true);
    put(&control, "key-rotation", three.clone(), "").await;
    let release = |name: &str| json!({ "owner": owner("KeyRotation", name), "bucket": null });
    let released = put(&control, "release", release("three"), "").await;
    assert_eq!(released, json!({ "remaining": false }));
    let line = "GET /minio/admin/v3/key-rotation";
    let left: Value =
        serde_json::from_slice(&send(server.client(), line, &[], "").await.body).unwrap();
    assert!(left["stopped"].is_string() && left["finished"].is_null(), "{left}");
    let seen = left["resealed"].clone();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let later: Value =
        serde_json::from_slice(&send(server.client(), line, &[], "").await.body).unwrap();
    assert_eq!(later["resealed"], seen);
    for number in [0, 700, 1499] {
        let line = format!("GET /photos/{number:04}");
        assert_eq!(send(server.client(), &line, &[], "").await.body, "x");
    }
    // What was let go of is forgotten; the others aren't.
    for (name, known) in [("three", false), ("two", true), ("one", true)] {
        let told = put(&control, "key-rotation", rotation(name, None, None, false), "").await;
        assert_eq!(told.is_object(), known, "{name}: {told}");
    }
    put(&control, "release", release("one"), "").await;
    let told = put(&control, "key-rotation", rotation("one", None, None, false), "").await;
    assert_eq!(told, Value::Null);
    // Another one may begin.
    put(&control, "key-rotation", rotation("four", None, None, true), "").await;
    until("the fourth is done", async || {
        let told = put(&control, "key-rotation", rotation("four", None, None, true), "").await;
        told["finished"].is_string().then_some(())
    })
    .await;
    let (_, _told) = ask(&control, "PUT", "release", &release("four")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_tells_what_protects_what() {
    let (server, control) = server_with(true, &[("COFFER_COVERAGE_SECONDS", "1")]).await;
    put(&control, "bucket", bucket("album", &Value::Null, false), "").await;
    let forms = [
        (Form::Plain, 4),
        (Form::S3, 3),
        (Form::Kms, 2),
        (Form::KmsOther, 600),
        (Form::Customer(1), 1),
    ];
    for (form, many) in forms {
        for number in 0..many {
            let line = format!("PUT /album/{form:?}/{number}");
            assert_eq!(root(&server, &line, form, content(number)).await.status, 200);
        }
    }
    let told = until("the look has come by", async || {
        let told = put(&control, "bucket", bucket("album", &Value::Null, false), "").await;
        (told["coverage"]["customers"] == 1).then_some(told)
    })
    .await;
    let coverage = &told["coverage"];
    assert_eq!((&coverage["plain"], &coverage["damaged"]), (&json!(4), &json!(0)), "{told}");
    let keys: Vec<(&str, u64)> = coverage["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| (key["name"].as_str().unwrap(), key["objects"].as_u64().unwrap()))
        .collect();
    assert_eq!(keys, [("archive", 600), ("photos", 5)]);
    let oldest = coverage["keys"][0]["oldest"].as_str().unwrap();
    assert!(oldest <= coverage["keys"][0]["newest"].as_str().unwrap(), "{told}");
    let metrics = send(server.client(), "GET /minio/v2/metrics/cluster", &[], "").await.text();
    for line in [
        r#"coffer_encrypted_objects{bucket="album",protection="none",key=""} 4"#,
        r#"coffer_encrypted_objects{bucket="album",protection="customer",key=""} 1"#,
        r#"coffer_encrypted_objects{bucket="album",protection="external",key="archive"} 600"#,
        r#"coffer_encrypted_objects{bucket="album",protection="external",key="photos"} 5"#,
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line} isn't in\n{metrics}");
    }
}
