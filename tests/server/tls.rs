//! TLS: its versions, and certificates and credentials that change under a running server.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use coffer_signature::{AccessKeyId, Credentials, SecretKey};
use coffer_tests::identity;
use coffer_tests::server::{ACCESS_KEY, SECRET_KEY, Server};

use crate::claim::{send, server, server_with};

/// What `openssl s_client` says of a connection; whether it came about.
fn openssl(server: &Server, arguments: &[&str]) -> (bool, String) {
    let output = Command::new("openssl")
        .args([
            "s_client",
            "-connect",
            &server.address().to_string(),
            "-servername",
            "localhost",
            "-CAfile",
        ])
        .arg(server.ca())
        .args(["-verify_return_error", "-brief"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// CVE-2024-23656.
#[tokio::test]
async fn section_9_old_versions_of_tls_are_refused() {
    let (server, newer) = (server().await, server_with(&[("COFFER_TLS_MIN_VERSION", "1.3")]).await);
    // `seclevel=0`, or openssl itself would refuse to speak them.
    for version in ["-tls1", "-tls1_1"] {
        let (up, said) = openssl(&server, &[version, "-cipher", "ALL:@SECLEVEL=0"]);
        assert!(!up && !said.contains("CONNECTION ESTABLISHED"), "{version}: {said}");
    }
    for (server, version, expected) in [
        (&server, "-tls1_2", true),
        (&server, "-tls1_3", true),
        (&newer, "-tls1_2", false),
        (&newer, "-tls1_3", true),
    ] {
        let (up, said) = openssl(server, &[version]);
        assert_eq!(up && said.contains("CONNECTION ESTABLISHED"), expected, "{version}: {said}");
    }
    // Nor is there a cipher that nobody should use.
    for cipher in ["AES128-SHA", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "NULL", "RC4"] {
        let (up, said) =
            openssl(&server, &["-tls1_2", "-cipher", &format!("{cipher}:@SECLEVEL=0")]);
        assert!(!(up && said.contains("CONNECTION ESTABLISHED")), "{cipher}: {said}");
    }
}

fn served_serial(server: &Server) -> String {
    let shell = format!(
        "openssl s_client -connect {} -servername localhost </dev/null 2>/dev/null | openssl x509 -noout -serial",
        server.address()
    );
    let output = Command::new("sh").args(["-c", &shell]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_certificate_is_served_within_a_second_and_no_request_fails() {
    let server = server().await;
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|n| {
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            // Half of them keep their connection, half make one for each request.
            let kept = server.client().clone();
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let client = if n % 2 == 0 { kept.clone() } else { kept.reconnecting() };
                    let answer = client
                        .try_send("GET", "/photos/k", "", &[], "")
                        .await
                        .expect("no connection fails");
                    assert_eq!(answer.text(), "hello world");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for serial in [0x11_u64, 0x22, 0x33] {
        // The server looks every 250 ms; between the two files it may see one of each, and keeps the old.
        identity::issue(server.folder(), serial);
        let began = Instant::now();
        while served_serial(&server) != format!("serial={serial:X}") {
            assert!(
                began.elapsed() < Duration::from_secs(1),
                "{} is served still",
                served_serial(&server)
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    // What can't be used leaves the old one in place.
    std::fs::write(server.folder().join("tls/tls.crt"), "no certificate").unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(served_serial(&server), "serial=33");
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    assert!(done.load(Ordering::Relaxed) > 50, "{done:?} requests");
}

#[tokio::test]
async fn root_credentials_are_swapped_while_it_runs() {
    let server = server().await;
    let client = server.client();
    let mut new = client.clone();
    new.credentials = Credentials {
        access_key_id: "anotheraccess".parse::<AccessKeyId>().unwrap(),
        secret_key: SecretKey::new("another-root-secret".to_owned()),
        session_token: None,
    };
    assert_eq!(send(&new, "GET /photos/k", &[], "").await.code(), "InvalidAccessKeyId");
    identity::set_root(server.folder(), "anotheraccess", "another-root-secret");
    let began = Instant::now();
    while send(&new, "GET /photos/k", &[], "").await.status != 200 {
        assert!(began.elapsed() < Duration::from_secs(2), "the new key isn't taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(send(client, "GET /photos/k", &[], "").await.code(), "InvalidAccessKeyId");
    // A secret that is too short is no secret: the one before stays.
    identity::set_root(server.folder(), ACCESS_KEY, "short");
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(send(&new, "GET /photos/k", &[], "").await.text(), "hello world");
    identity::set_root(server.folder(), ACCESS_KEY, SECRET_KEY);
    let began = Instant::now();
    while send(client, "GET /photos/k", &[], "").await.status != 200 {
        assert!(began.elapsed() < Duration::from_secs(2), "the first key isn't taken again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!server.read_log().contains("another-root-secret"));
    server.assert_discreet();
}
