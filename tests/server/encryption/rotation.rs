//! Rotation of an external key: in the background, resumed after a kill, without touching anything but what seals the objects' keys.

use std::time::{Duration, Instant};

use coffer_tests::server::Server;
use serde_json::Value;

use super::{Form, ask, content, done, server_with};
use crate::claim::send;
use crate::multipart::document;

const API: &str = "/minio/admin/v3/key-rotation";

async fn status(server: &Server) -> Value {
    let answer = send(server.client(), &format!("GET {API}"), &[], "").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

async fn finished(server: &Server) -> Value {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let told = status(server).await;
        if !told["finished"].is_null() {
            return told;
        }
        assert!(Instant::now() < deadline, "{told}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn all_is_sealed_by_the_new_key_and_the_old_one_may_go() {
    let mut server = server_with(&[]).await;
    assert_eq!(send(server.client(), &format!("GET {API}"), &[], "").await.status, 404);
    for line in ["PUT /albums", "PUT /empty"] {
        done(&server, line, &[], "").await;
    }
    let forms =
        [("plain", Form::Plain), ("s3", Form::S3), ("kms", Form::Kms), ("own", Form::Customer(1))];
    let mut before = Vec::new();
    for bucket in ["photos", "albums"] {
        for (name, form) in forms {
            for size in [0, 5, 100_000] {
                let line = format!("/{bucket}/{name}-{size}");
                done(&server, &format!("PUT {line}"), &[&form.write()], content(size)).await;
                let head = done(&server, &format!("HEAD {line}"), &[&form.read()], "").await;
                before.push((line, form, size, head.header("etag"), head.header("last-modified")));
            }
        }
    }
    // More than a page, and an upload that goes on over the rotation.
    for number in 0..600 {
        done(&server, &format!("PUT /photos/many/{number:04}"), &[&Form::S3.write()], "x").await;
    }
    let begun = done(&server, "POST /photos/parts?uploads", &[&Form::Kms.write()], "").await;
    let id = begun.element("UploadId").unwrap();
    let part = |number: u32| format!("PUT /photos/parts?partNumber={number}&uploadId={id}");
    let first = done(&server, &part(1), &[], content(5 << 20)).await.header("etag");

    for (query, status) in [("to=nobody", 404), ("to=../a", 400), ("to=archive&to=photos", 400)] {
        let answer = send(server.client(), &format!("POST {API}?{query}"), &[], "").await;
        assert_eq!(answer.status.as_u16(), status, "{query}: {}", answer.text());
    }
    let begun = send(server.client(), &format!("POST {API}?from=photos&to=archive"), &[], "").await;
    assert_eq!(begun.status, 200, "{}", begun.text());
    // Killed in its midst, it goes on.
    for life in [5, 40, 100] {
        tokio::time::sleep(Duration::from_millis(life)).await;
        server.kill();
        server.launch().await;
    }
    let told = finished(&server).await;
    assert_eq!((&told["remaining"], &told["customers"]), (&0.into(), &6.into()), "{told}");
    // What a kill took with it isn't counted.
    assert!(told["resealed"].as_u64().unwrap() > 0, "{told}");
    // New objects still come under the old key.
    assert_eq!(told["defaultOf"], serde_json::json!(["tenant"]), "{told}");
    assert_eq!(told["oldKeyProtectsNothing"], false, "{told}");

    server.kill();
    server.set("COFFER_KMS_DEFAULT_KEY", "archive");
    std::fs::remove_file(server.folder().join("kms/photos")).unwrap();
    server.launch().await;
    assert_eq!(status(&server).await["oldKeyProtectsNothing"], true);
    for (line, form, size, etag, modified) in before {
        let got = done(&server, &format!("GET {line}"), &[&form.read()], "").await;
        assert!(got.body == content(size), "{line}");
        assert_eq!((got.header("etag"), got.header("last-modified")), (etag, modified), "{line}");
        let now = if form == Form::Kms { Form::KmsOther } else { form };
        now.assert_told(&got, &line);
    }
    assert_eq!(done(&server, "GET /photos/many/0599", &[], "").await.body, "x");
    let second = done(&server, &part(2), &[], content(10)).await.header("etag");
    let parts = document(&[(1, &first), (2, &second)]);
    done(&server, &format!("POST /photos/parts?uploadId={id}"), &[], parts).await;
    let whole = [content(5 << 20), content(10)].concat();
    assert!(done(&server, "GET /photos/parts", &[], "").await.body == whole);
}

#[tokio::test]
async fn what_doesnt_open_is_counted_and_a_kms_that_is_away_is_waited_for() {
    let server = server_with(&[("COFFER_KMS_DATA_KEYS", "EveryRequest")]).await;
    done(&server, "PUT /photos/old", &[&Form::Kms.write()], "old").await;
    done(&server, "PUT /photos/lost", &[&Form::KmsOther.write()], "lost").await;
    std::fs::rename(server.folder().join("kms/archive"), server.folder().join("archive")).unwrap();
    let begun = send(server.client(), &format!("POST {API}?to=photos"), &[], "").await;
    assert_eq!(begun.status, 200, "{}", begun.text());
    let told = finished(&server).await;
    assert_eq!((&told["remaining"], &told["resealed"]), (&1.into(), &0.into()), "{told}");
    assert!(told["error"].as_str().unwrap().contains("archive"), "{told}");
    assert_eq!(told["oldKeyProtectsNothing"], false);
    std::fs::rename(server.folder().join("archive"), server.folder().join("kms/archive")).unwrap();
    let begun = send(server.client(), &format!("POST {API}?to=photos"), &[], "").await;
    assert_eq!(begun.status, 200, "{}", begun.text());
    let told = finished(&server).await;
    assert_eq!((&told["remaining"], &told["resealed"]), (&0.into(), &1.into()), "{told}");
    assert_eq!(ask(&server, "GET /photos/lost", &[], "").await.body, "lost");
}
