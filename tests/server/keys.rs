//! [N10] Keys that other systems took for paths: the key that comes in is the key that is stored, listed and deleted.
//!
//! CVE-2026-49991, CVE-2026-54917, CVE-2025-24961, CVE-2026-26187, CVE-2023-28433, CVE-2026-42882.

use std::collections::BTreeSet;

use coffer_tests::server::Server;
use coffer_tests::stored::Stored;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::claim::{assert_answer, send, server};
use crate::documents::delete;
use crate::listings::{keys_of, unescaped};

/// The keys of the advisories, as they are once decoded.
const HOSTILE: [&str; 30] = [
    "../other/k",
    "a/../../other/k",
    "a/../../../other/k",
    "a\\..\\b",
    "..\\other\\k",
    "..",
    ".",
    "a/.",
    "a/..",
    "./a",
    "a//b",
    "//a",
    "/a",
    "a.",
    "a/",
    "/",
    "//",
    " ",
    " a ",
    "a\0b",
    "a\nb",
    "a\r\nb",
    "a\tb",
    "%2e%2e%2fother%2fk",
    "..%2fk",
    "a+b",
    "a?b#c",
    "a;b=c&d",
    "\u{fffe}",
    "\u{202e}a\u{0}",
];

/// Every byte but the unreserved ones as `%XX`.
pub(crate) fn encoded(key: &str) -> String {
    let mut out = String::new();
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A key as XML character data.
fn escaped(key: &str) -> String {
    let mut out = String::new();
    for char in key.chars() {
        match char {
            // The others stand as they are, as the SDKs send them: XML has no reference for them.
            '<' | '>' | '&' | '"' | '\r' | '\n' | '\t' => {
                out.push_str(&format!("&#{};", u32::from(char)));
            }
            char => out.push(char),
        }
    }
    out
}

async fn assert_round_trip(server: &Server, key: &str) {
    let client = server.client();
    let path = format!("/photos/{}", encoded(key));
    let body = format!("content of {key:?}");
    let put = client.send("PUT", &path, "", &[], body.clone()).await;
    assert_answer(&format!("{key:?}"), &put, 200, "");
    assert_eq!(client.send("GET", &path, "", &[], "").await.text(), body, "{key:?}");
    // Exactly this key, and no other, is listed under it as a prefix.
    let listed = client
        .send(
            "GET",
            "/photos",
            &format!("list-type=2&encoding-type=url&prefix={}", encoded(key).replace('/', "%2F")),
            &[],
            "",
        )
        .await;
    assert_eq!(unescaped(&keys_of(&listed.text())[0]), key, "{}", listed.text());
}

#[tokio::test]
async fn n10_a_key_by_url_is_exact() {
    let server = server().await;
    let other = send(server.client(), "GET /other?versions", &[], "").await.text();
    for key in HOSTILE {
        assert_round_trip(&server, key).await;
    }
    let all =
        server.client().send("GET", "/photos", "list-type=2&encoding-type=url", &[], "").await;
    let listed: BTreeSet<String> = keys_of(&all.text()).iter().map(|key| unescaped(key)).collect();
    let expected: BTreeSet<String> =
        HOSTILE.iter().map(|key| (*key).to_owned()).chain(["k".to_owned()]).collect();
    assert_eq!(listed, expected);
    for key in HOSTILE {
        let line = format!("DELETE /photos/{}", encoded(key));
        assert_eq!(send(server.client(), &line, &[], "").await.status, 204, "{key:?}");
    }
    assert_eq!(keys_of(&send(server.client(), "GET /photos", &[], "").await.text()), ["k"]);
    assert_eq!(send(server.client(), "GET /other?versions", &[], "").await.text(), other);
    server.assert_discreet();
}

#[tokio::test]
async fn n10_a_key_in_delete_objects_is_exact() {
    let server = server().await;
    let other = send(server.client(), "GET /other?versions", &[], "").await.text();
    for key in HOSTILE {
        let line = format!("PUT /photos/{}", encoded(key));
        assert_eq!(send(server.client(), &line, &[], "x").await.status, 200, "{key:?}");
    }
    for (done, key) in HOSTILE.iter().enumerate() {
        let document = format!("<Delete><Object><Key>{}</Key></Object></Delete>", escaped(key));
        let answer = delete(&server, "photos", &document).await;
        let left =
            keys_of(&send(server.client(), "GET /photos?encoding-type=url", &[], "").await.text());
        assert_eq!(answer.status, 200, "{key:?}: {}", answer.text());
        assert!(!answer.text().contains("<Error>"), "{key:?}: {}", answer.text());
        assert!(!left.iter().any(|left| unescaped(left) == *key), "{key:?}");
        assert_eq!(left.len(), HOSTILE.len() - done, "{key:?}: {left:?}");
    }
    assert_eq!(send(server.client(), "GET /other?versions", &[], "").await.text(), other);
}

#[tokio::test]
async fn n10_a_key_in_a_copy_source_is_exact() {
    let server = server().await;
    for key in HOSTILE {
        let path = format!("PUT /photos/{}", encoded(key));
        let body = format!("content of {key:?}");
        assert_eq!(send(server.client(), &path, &[], body.clone()).await.status, 200, "{key:?}");
        for source in [
            format!("/photos/{}", encoded(key)),
            format!("photos/{}", encoded(key).replace('/', "%2F")),
        ] {
            let copied =
                send(server.client(), "PUT /other/copy", &[("x-amz-copy-source", &source)], "")
                    .await;
            assert_eq!(copied.status, 200, "{source}: {}", copied.text());
            assert_eq!(
                send(server.client(), "GET /other/copy", &[], "").await.text(),
                body,
                "{source}"
            );
        }
    }
    // Nothing was read from the other bucket under a key that climbs.
    let before = Stored::of(&server).await;
    for source in [
        "/photos/x/../../other/k",
        "/photos/../other/k2",
        "/../other/k",
        "/photos/..%2f..%2fother%2fk",
    ] {
        let answer =
            send(server.client(), "PUT /photos/stolen", &[("x-amz-copy-source", source)], "").await;
        assert!(answer.status.is_client_error(), "{source}: {}", answer.text());
    }
    before.assert_same(&server, "a copy climbed").await;
}

/// The key of any text, in many spellings of its URL, is one key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n10_property_each_spelling_of_a_url_is_one_key() {
    let server = crate::claim::server_with(&[("COFFER_AUDIT", "stdout")]).await;
    let other = send(server.client(), "GET /other?versions", &[], "").await.text();
    let piece = prop_oneof![
        Just(".."),
        Just("."),
        Just("/"),
        Just("//"),
        Just("\\"),
        Just("%2e"),
        Just("%"),
        Just("+"),
        Just(" "),
        Just("\0"),
        Just("é"),
        Just("\u{fffe}"),
        Just("a"),
        Just("?"),
        Just("#"),
        Just("&"),
        Just("<"),
        Just("\r\n"),
        Just("other"),
        Just("🦀"),
    ];
    let keys = prop::collection::vec(piece, 1..8).prop_map(|pieces| pieces.concat());
    let spelled = (keys, prop::collection::vec(any::<(bool, bool)>(), 64));
    let cases = 300;
    let mut runner =
        TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let runtime = tokio::runtime::Handle::current();
    let client = server.client().clone();
    let mut written: Vec<String> = Vec::new();
    let result = tokio::task::block_in_place(|| {
        let written = std::cell::RefCell::new(&mut written);
        runner.run(&spelled, |(key, choices)| {
            let mut path = String::from("/photos/");
            for (byte, (must, lower)) in key.bytes().zip(choices.iter().cycle()) {
                let plain = byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte);
                match (plain && !must, lower) {
                    (true, _) => path.push(char::from(byte)),
                    (false, true) => path.push_str(&format!("%{byte:02x}")),
                    (false, false) => path.push_str(&format!("%{byte:02X}")),
                }
            }
            runtime.block_on(async {
                let put = client.send("PUT", &path, "", &[], key.clone()).await;
                prop_assert_eq!(put.status.as_u16(), 200, "{} {}", path, put.text());
                let plain = format!("/photos/{}", encoded(&key));
                let got = client.send("GET", &plain, "", &[], "").await;
                prop_assert_eq!(&got.body[..], key.as_bytes(), "{}", path);
                let listed =
                    client.send("GET", "/photos", "encoding-type=url", &[], "").await.text();
                let listed: Vec<String> = keys_of(&listed)
                    .iter()
                    .map(|key| unescaped(key))
                    .filter(|key| key != "k")
                    .collect();
                prop_assert_eq!(listed, vec![key.clone()]);
                let gone = client.send("DELETE", &path, "", &[], "").await;
                prop_assert_eq!(gone.status.as_u16(), 204);
                written.borrow_mut().push(key.clone());
                Ok(())
            })
        })
    });
    result.unwrap();
    assert_eq!(
        keys_of(&send(server.client(), "GET /photos", &[], "").await.text()),
        ["k"],
        "after {:?}",
        written.last()
    );
    // What was authorized and stored under that key has it in its record too.
    let told = || -> Vec<String> {
        let output = server.read_output();
        let records =
            output.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        records
            .filter(|record| record["operation"] == "DeleteObject" && record["bucket"] == "photos")
            .filter_map(|record| record["key"].as_str().map(str::to_owned))
            .collect()
    };
    for _ in 0..100 {
        if told().len() >= written.len() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(told(), written);
    assert_eq!(send(server.client(), "GET /other?versions", &[], "").await.text(), other);
    server.assert_discreet();
}

#[tokio::test]
async fn a_key_is_at_most_1024_bytes() {
    let server = server().await;
    let (most, too_long) = ("k".repeat(1024), "k".repeat(1025));
    assert_eq!(send(server.client(), &format!("PUT /photos/{most}"), &[], "x").await.status, 200);
    let before = Stored::of(&server).await;
    let answer = send(server.client(), &format!("PUT /photos/{too_long}"), &[], "x").await;
    assert_answer("1025 bytes", &answer, 400, "KeyTooLongError");
    let wide = "%C3%A9".repeat(513);
    let answer = send(server.client(), &format!("PUT /photos/{wide}"), &[], "x").await;
    assert_answer("1026 bytes of 513 characters", &answer, 400, "KeyTooLongError");
    before.assert_same(&server, "a key that is too long was stored").await;
}
