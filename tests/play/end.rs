//! However `play` ends, no server is left; however a server ends, another one serves.

use std::process::Command;

use coffer_tests::server::program;
use http::StatusCode;

use crate::stage::{Stage, runs, send, tenant};

#[tokio::test]
async fn sigterm_ends_it_well_and_leaves_no_server() {
    for signal in ["TERM", "INT"] {
        let mut stage =
            Stage::played(&[("a.yaml", &tenant("a", "")), ("b.yaml", &tenant("b", ""))]);
        stage.environment("env.a").await;
        stage.environment("env.b").await;
        let servers = stage.servers();
        assert_eq!(servers.len(), 2);
        let status = stage.end(signal);
        assert_eq!(status.code(), Some(0), "{signal}: {}\n{}", stage.out(), stage.err());
        assert!(servers.iter().all(|server| !runs(*server)), "{signal}");
    }
}

#[tokio::test]
async fn a_server_ends_by_itself_when_play_is_killed() {
    let mut stage = Stage::played(&[("photos.yaml", &tenant("photos", ""))]);
    let client = stage.client("env").await;
    assert_eq!(client.send("PUT", "/pictures", "", &[], "").await.status, StatusCode::OK);
    let servers = stage.servers();
    assert_eq!(servers.len(), 1);
    stage.end("KILL");
    stage.until("the server has ended", || !runs(servers[0])).await;
    // The folder is free and whole.
    std::fs::remove_file(stage.path("env")).expect("it was there");
    stage.start();
    stage.environment("env").await;
    assert_eq!(client.send("HEAD", "/pictures", "", &[], "").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_killed_server_is_started_again() {
    let stage = Stage::played(&[("photos.yaml", &tenant("photos", ""))]);
    let client = stage.client("env").await;
    assert_eq!(client.send("PUT", "/pictures", "", &[], "").await.status, StatusCode::OK);
    let server = stage.servers()[0];
    send("KILL", server);
    stage.until("it is ready again", || stage.out().matches(": ready:").count() == 2).await;
    assert!(stage.err().contains("the server ended (signal: 9"), "{}", stage.err());
    assert_ne!(stage.servers(), [server]);
    assert_eq!(client.send("HEAD", "/pictures", "", &[], "").await.status, StatusCode::OK);
}

#[tokio::test]
async fn one_folder_has_one_play() {
    let stage = Stage::played(&[("photos.yaml", &tenant("photos", ""))]);
    stage.environment("env").await;
    let second = Command::new(program("coffer-operator"))
        .arg("play")
        .arg("--data")
        .arg(stage.path("data"))
        .arg(stage.path("manifests"))
        .env("COFFER_SERVER", program("coffer-server"))
        .output()
        .expect("a command");
    assert_eq!(second.status.code(), Some(1));
    let message = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(message.contains("another `play` uses it; stop that one"), "{message}");
}

#[tokio::test]
async fn a_taken_port_is_told_with_a_remedy() {
    let mut stage = Stage::new(&[("photos.yaml", &tenant("photos", ""))]);
    let taken = std::net::TcpListener::bind(("127.0.0.1", stage.port())).expect("free");
    stage.start();
    stage.until("it is told", || stage.err().contains("is taken by another program")).await;
    assert!(stage.err().contains("use --listen"), "{}", stage.err());
    drop(taken);
    let client = stage.client("env").await;
    assert_eq!(client.send("GET", "/", "", &[], "").await.status, StatusCode::OK);
}
