//! What lies on the disk: no plaintext, and nothing that was changed there is ever served.

use std::path::{Path, PathBuf};

use coffer_tests::server::Server;

use super::{Form, SSE, ask, content, done, pair, server_with};
use crate::multipart::document;

/// 32 bytes that are searched for.
fn canary(number: usize) -> Vec<u8> {
    format!("canary-{number:03}-Zq7wX2kLmN9pRtVb3sD5f").into_bytes()
}

/// Content of this size, which holds the canary at its beginning, its end, and every 1,000 bytes.
fn bearing(canary: &[u8], size: usize) -> Vec<u8> {
    let mut content = content(size);
    let last = size.saturating_sub(canary.len());
    for at in (0..last).step_by(1000).chain([last]) {
        content[at..at + canary.len()].copy_from_slice(canary);
    }
    content
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// All files of a server: data, index and its journal, log, audit records.
fn holds(server: &Server, bytes: &[u8]) -> Vec<PathBuf> {
    let finder = |file: &PathBuf| {
        let held = std::fs::read(file).unwrap_or_default();
        held.windows(bytes.len()).any(|window| window == bytes)
    };
    files(server.folder()).into_iter().filter(finder).collect()
}

async fn upload(server: &Server, form: Form, canary: &[u8]) {
    let begun = done(server, "POST /photos/parts?uploads", &[&form.write()], "").await;
    let id = begun.element("UploadId").unwrap();
    let part = format!("PUT /photos/parts?partNumber=1&uploadId={id}");
    let tag = done(server, &part, &[&form.read()], bearing(canary, 5 << 20)).await.header("etag");
    let second = format!("PUT /photos/parts?partNumber=2&uploadId={id}");
    let headers = [&form.read()[..], &form.source(), &[pair("x-amz-copy-source", "/photos/large")]];
    let copied = done(server, &second, &headers, "").await.element("ETag").unwrap();
    let document = document(&[(1, &tag), (2, &copied.replace("&quot;", "\""))]);
    done(server, &format!("POST /photos/parts?uploadId={id}"), &[&form.read()], document).await;
    // One that is never completed lies there as well.
    let begun = done(server, "POST /photos/parts?uploads", &[&form.write()], "").await;
    let id = begun.element("UploadId").unwrap();
    let part = format!("PUT /photos/parts?partNumber=1&uploadId={id}");
    done(server, &part, &[&form.read()], bearing(canary, 100_000)).await;
}

/// N9: by every way there is.
#[tokio::test]
async fn nothing_of_what_is_encrypted_is_found_on_the_disk_or_in_a_log() {
    let audit = [("COFFER_LOG", "trace"), ("COFFER_AUDIT", "stdout")];
    let automatic = [("COFFER_AUTO_ENCRYPT", "true")];
    let server = server_with(&[&audit[..], &automatic].concat()).await;
    let mut canaries = Vec::new();
    // Automatic SSE-S3 comes as the form that asks for nothing.
    for (number, form) in Form::ALL.into_iter().enumerate() {
        let canary = canary(number);
        for (key, size) in
            [("inline", 32), ("small", 32 * 1024), ("blob", 70_000), ("large", 1_000_000)]
        {
            let line = format!("PUT /photos/{key}");
            done(&server, &line, &[&form.write()], bearing(&canary, size)).await;
        }
        upload(&server, form, &canary).await;
        for (from, to) in [("inline", "copy-1"), ("large", "copy-2"), ("parts", "copy-3")] {
            let source = pair("x-amz-copy-source", &format!("/photos/{from}"));
            let headers = [&form.write()[..], &form.source(), &[source]];
            done(&server, &format!("PUT /photos/{to}"), &headers, "").await;
        }
        if form != Form::Customer(1) {
            for size in [32, 100_000] {
                let mut upload =
                    crate::form::Form::new(crate::form::Version::V4, "photos").field("key", "form");
                for (name, value) in form.write() {
                    upload = upload.field(&name, &value);
                }
                let answer = upload.send(server.client(), "/photos", &bearing(&canary, size)).await;
                assert_eq!(answer.status, 204, "{}", answer.text());
            }
        }
        // Read again, so that what a read logs is looked through too.
        done(&server, "GET /photos/large", &[&form.read()], "").await;
        done(&server, "GET /photos/inline", &[&form.read()], "").await;
        canaries.push((form, canary));
    }
    for (form, canary) in canaries {
        assert_eq!(holds(&server, &canary), Vec::<PathBuf>::new(), "{form:?}");
    }
    // A customer's key isn't found either, in no way of writing it.
    for byte in [1, 2] {
        let key = super::key(byte);
        assert!(holds(&server, &key).is_empty());
        for (name, value) in Form::Customer(byte).read() {
            if name.ends_with("-key") || name.ends_with("-key-md5") {
                assert!(holds(&server, value.as_bytes()).is_empty(), "{name}");
            }
        }
    }
    server.assert_discreet();
    // The search finds what is there.
    done(&server, "DELETE /photos?encryption", &[], "").await;
    let plain = crate::claim::server().await;
    done(&plain, "PUT /photos/plain", &[], bearing(&canary(99), 70_000)).await;
    assert!(!holds(&plain, &canary(99)).is_empty());
}

/// N8: what only the server writes is set by no client.
#[tokio::test]
async fn no_client_sets_what_the_server_keeps() {
    let server = server_with(&[]).await;
    let internal = [
        "x-minio-internal-server-side-encryption-iv",
        "x-minio-internal-server-side-encryption-sealed-key",
        "x-minio-internal-server-side-encryption-s3-sealed-key",
        "x-minio-internal-server-side-encryption-s3-kms-sealed-key",
        "x-minio-internal-encrypted-multipart",
        "x-coffer-encryption",
        "encryption",
    ];
    for name in internal {
        let meta = format!("x-amz-meta-{name}");
        for name in [name, &meta] {
            let header = [pair(name, "AAAA")];
            done(&server, "PUT /photos/k", &[&header], content(70_000)).await;
            let copy = [
                pair("x-amz-copy-source", "/photos/k"),
                pair("x-amz-metadata-directive", "REPLACE"),
            ];
            done(&server, "PUT /photos/copy", &[&header, &copy], "").await;
            for key in ["k", "copy"] {
                let got = done(&server, &format!("GET /photos/{key}"), &[], "").await;
                Form::Plain.assert_told(&got, name);
                assert!(got.body == content(70_000), "{name}");
            }
            done(&server, "PUT /photos/s", &[&header, &Form::S3.write()], content(70_000)).await;
            let got = done(&server, "GET /photos/s", &[], "").await;
            Form::S3.assert_told(&got, name);
            assert!(got.body == content(70_000), "{name}");
        }
    }
    for name in internal {
        let form = crate::form::Form::new(crate::form::Version::V4, "photos")
            .field("key", "form")
            .field(name, "AAAA");
        let answer = form.send(server.client(), "/photos", b"of a form").await;
        if answer.status.is_success() {
            let got = done(&server, "GET /photos/form", &[], "").await;
            Form::Plain.assert_told(&got, name);
        }
    }
}

fn blobs(server: &Server) -> Vec<PathBuf> {
    files(&server.folder().join("data/blobs"))
        .into_iter()
        .filter(|file| std::fs::metadata(file).is_ok_and(|file| file.len() > 0))
        .collect()
}

/// The blob of what is written next.
async fn blob_of(server: &Server, key: &str, form: Form, body: Vec<u8>) -> PathBuf {
    let before = blobs(server);
    done(server, &format!("PUT /photos/{key}"), &[&form.write()], body).await;
    let new: Vec<PathBuf> =
        blobs(server).into_iter().filter(|file| !before.contains(file)).collect();
    assert_eq!(new.len(), 1, "{new:?}");
    new[0].clone()
}

/// No byte of what was changed on the disk is served: what is sent before is what was written, and the rest doesn't come.
#[tokio::test]
async fn what_was_changed_on_the_disk_is_never_served() {
    const FRAME: usize = 65_552;
    let mut server = server_with(&[]).await;
    let (mine, theirs) = (content(300_000), content(300_001)[..300_000].to_vec());
    for form in Form::ENCRYPTED {
        let file =
            blob_of(&server, &format!("mine-{form:?}").replace(['(', ')'], ""), form, mine.clone())
                .await;
        let key = format!("/photos/mine-{form:?}").replace(['(', ')'], "");
        let other = blob_of(
            &server,
            &format!("theirs-{form:?}").replace(['(', ')'], ""),
            form,
            theirs.clone(),
        )
        .await;
        let (good, foreign) = (std::fs::read(&file).unwrap(), std::fs::read(&other).unwrap());
        assert_eq!(good.len(), 300_000 + 5 * 16);
        let flip = |at: usize| {
            let mut bent = good.clone();
            bent[at] ^= 1;
            bent
        };
        let swapped = |a: usize, b: usize| {
            let mut bent = good.clone();
            let (first, second) = (
                good[a * FRAME..(a + 1) * FRAME].to_vec(),
                good[b * FRAME..(b + 1) * FRAME].to_vec(),
            );
            bent[a * FRAME..(a + 1) * FRAME].copy_from_slice(&second);
            bent[b * FRAME..(b + 1) * FRAME].copy_from_slice(&first);
            bent
        };
        let mut spliced = good.clone();
        spliced[FRAME..2 * FRAME].copy_from_slice(&foreign[FRAME..2 * FRAME]);
        let mut rows = vec![
            ("cut in a frame".to_owned(), good[..2 * FRAME + 100].to_vec()),
            ("cut after a frame".to_owned(), good[..2 * FRAME].to_vec()),
            ("the last frame gone".to_owned(), good[..4 * FRAME].to_vec()),
            ("one byte gone".to_owned(), good[..good.len() - 1].to_vec()),
            ("frames exchanged".to_owned(), swapped(1, 2)),
            ("the first frames exchanged".to_owned(), swapped(0, 1)),
            ("another's content".to_owned(), foreign.clone()),
            ("another's frame".to_owned(), spliced),
            ("zeros".to_owned(), vec![0; good.len()]),
            ("the plaintext".to_owned(), mine.clone()),
        ];
        for at in [
            0,
            1,
            65_535,
            65_536,
            65_551,
            65_552,
            131_104,
            200_000,
            good.len() - 17,
            good.len() - 1,
        ] {
            rows.push((format!("a bit of byte {at}"), flip(at)));
        }
        for (claim, bytes) in rows {
            server.kill();
            std::fs::write(&file, &bytes).unwrap();
            server.launch().await;
            let got = ask(&server, &format!("GET {key}"), &[&form.read()], "").await;
            let why = format!("{form:?}, {claim}");
            if got.status == 200 {
                // The connection broke: all that had come would be the truth.
                assert!(
                    got.body.is_empty()
                        || (got.body.len() < mine.len() && mine.starts_with(&got.body)),
                    "{why}"
                );
            } else {
                assert_eq!(got.status, 500, "{why}: {}", got.text());
                assert_eq!(got.code(), "InternalError", "{why}");
            }
            let copy = pair("x-amz-copy-source", &key);
            let copied = ask(
                &server,
                "PUT /photos/copied",
                &[&Form::S3.write(), &form.source(), &[copy]],
                "",
            )
            .await;
            assert!(
                copied.status == 500 || copied.code() == "InternalError",
                "{why}: {}",
                copied.text()
            );
            assert_eq!(ask(&server, "HEAD /photos/copied", &[], "").await.status, 404, "{why}");
        }
        // Put right, it is served again; and each frame that is whole is served while another isn't.
        server.kill();
        std::fs::write(&file, flip(3 * FRAME + 5)).unwrap();
        server.launch().await;
        for (range, whole) in [
            ("bytes=0-196607", true),
            ("bytes=262144-299999", true),
            ("bytes=196608-196608", false),
        ] {
            let got =
                ask(&server, &format!("GET {key}"), &[&form.read(), &[pair("range", range)]], "")
                    .await;
            assert_eq!(got.status == 206, whole, "{form:?} {range}");
        }
        server.kill();
        std::fs::write(&file, &good).unwrap();
        server.launch().await;
        let got = done(&server, &format!("GET {key}"), &[&form.read()], "").await;
        assert!(got.body == mine, "{form:?}");
    }
    assert!(server.read_log().contains("stored data is damaged"));
}

/// The same content and the same key give other bytes each time: no key and nonce come twice.
#[tokio::test]
async fn the_same_written_twice_is_stored_differently() {
    let server = server_with(&[]).await;
    for form in Form::ENCRYPTED {
        let mut seen = std::collections::HashSet::new();
        for _write in 0..5 {
            let name = format!("k-{form:?}").replace(['(', ')'], "");
            let before = blobs(&server);
            done(&server, &format!("PUT /photos/{name}"), &[&form.write()], content(70_000)).await;
            let new: Vec<PathBuf> =
                blobs(&server).into_iter().filter(|file| !before.contains(file)).collect();
            assert_eq!(new.len(), 1);
            let bytes = std::fs::read(&new[0]).unwrap();
            for block in bytes.chunks(16).filter(|block| block.len() == 16) {
                assert!(seen.insert(block.to_vec()), "{form:?}: a block came again");
            }
        }
        // A part that is sent again has another key.
        let begun = done(&server, "POST /photos/parts?uploads", &[&form.write()], "").await;
        let id = begun.element("UploadId").unwrap();
        for _sending in 0..3 {
            let before = blobs(&server);
            let line = format!("PUT /photos/parts?partNumber=1&uploadId={id}");
            done(&server, &line, &[&form.read()], content(70_000)).await;
            let new: Vec<PathBuf> =
                blobs(&server).into_iter().filter(|file| !before.contains(file)).collect();
            let bytes = std::fs::read(&new[0]).unwrap();
            for block in bytes.chunks(16).filter(|block| block.len() == 16) {
                assert!(seen.insert(block.to_vec()), "{form:?}: a block of a part came again");
            }
        }
    }
    let automatic = pair(SSE, "AES256");
    done(&server, "PUT /photos/k", &[&[automatic]], "x").await;
}
