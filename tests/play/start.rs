//! What a start says, and what the next one finds.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use coffer_tests::clients;
use coffer_tests::mc::Mc;
use http::StatusCode;

use crate::stage::{Stage, tenant};

#[tokio::test]
async fn who_reads_the_environment_reaches_the_tenant() {
    let stage = Stage::played(&[("photos.yaml", &tenant("photos", "  region: eu-central-1\n"))]);
    let environment = stage.environment("env").await;
    let endpoint = format!("https://127.0.0.1:{}", stage.port());
    let names: Vec<&str> = environment.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "AWS_ACCESS_KEY_ID",
            "AWS_CA_BUNDLE",
            "AWS_ENDPOINT_URL",
            "AWS_REGION",
            "AWS_SECRET_ACCESS_KEY"
        ]
    );
    assert_eq!(environment["AWS_ENDPOINT_URL"], endpoint);
    assert_eq!(environment["AWS_REGION"], "eu-central-1");
    let mode = std::fs::metadata(stage.path("env")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds a secret");
    // The same stands on the screen.
    stage.until("the endpoint is printed", || stage.out().contains(&endpoint)).await;
    let out = stage.out();
    for value in environment.values() {
        assert!(out.contains(value.as_str()), "{value} isn't in\n{out}");
    }
    assert!(out.contains("a signed request over TLS was answered"), "{out}");
    assert_eq!(stage.err(), "");
}

#[tokio::test]
async fn the_file_of_the_environment_is_never_seen_in_part() {
    let mut stage = Stage::new(&[("photos.yaml", &tenant("photos", ""))]);
    // Left by someone else: a start takes it away until the Tenant is ready again.
    std::fs::write(stage.path("env"), "AWS_REGION=old\n").expect("a file");
    stage.start();
    let file = stage.path("env");
    let mut seen = String::new();
    stage
        .until("it is written", || {
            seen = std::fs::read_to_string(&file).unwrap_or_default();
            !seen.is_empty() && seen != "AWS_REGION=old\n"
        })
        .await;
    assert_eq!(seen.lines().count(), 6, "{seen}");
    assert!(seen.ends_with('\n'), "{seen}");
    // Whoever waited for it is answered at once.
    let client = stage.client("env").await;
    assert_eq!(client.send("GET", "/", "", &[], "").await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_aws_cli_puts_and_gets_with_that_environment() {
    let stage = Stage::played(&[("photos.yaml", &tenant("photos", ""))]);
    let environment = stage.environment("env").await;
    let aws = |arguments: &[&str]| {
        let mut command = std::process::Command::new(clients::python("aws"));
        command.env_clear().env("PATH", "/usr/bin:/bin").envs(&environment).args(arguments);
        clients::run(&mut command).stdout
    };
    let file = stage.path("cat.txt");
    std::fs::write(&file, "a cat").expect("a file");
    aws(&["s3", "mb", "s3://pictures"]);
    aws(&["s3", "cp", &file.display().to_string(), "s3://pictures/cat.txt"]);
    assert_eq!(aws(&["s3", "cp", "s3://pictures/cat.txt", "-"]), b"a cat");
}

/// Lists, copies and uploads in parts, by the endpoint, the CA and the keys that `play` has printed.
#[tokio::test]
async fn boto3_does_its_whole_work_with_what_is_printed() {
    let stage = Stage::played(&[("photos.yaml", &tenant("photos", ""))]);
    let environment = printed(&stage).await;
    // It needs a domain that leads to this machine, and an endpoint below it.
    let python = clients::led_by(&clients::python("python"), environment);
    let passed = clients::boto3_suite(python, &["virtual_host_addressing"]);
    assert!(passed > 40, "only {passed} cases");
}

#[tokio::test]
async fn mc_lists_copies_and_uploads_in_parts_with_what_is_printed() {
    let stage = Stage::played(&[("photos.yaml", &tenant("photos", ""))]);
    let environment = printed(&stage).await;
    let mc = Mc::of(
        &environment["AWS_ENDPOINT_URL"],
        Path::new(&environment["AWS_CA_BUNDLE"]),
        &environment["AWS_ACCESS_KEY_ID"],
        &environment["AWS_SECRET_ACCESS_KEY"],
    );
    mc.does_its_work();
}

/// The lines `NAME=VALUE` that stand on the screen once the Tenant is ready.
async fn printed(stage: &Stage) -> BTreeMap<String, String> {
    stage.until("all is printed", || stage.out().contains("export AWS_ENDPOINT_URL ")).await;
    let out = stage.out();
    let lines = out.lines().filter_map(|line| line.trim().split_once('='));
    lines
        .filter(|(name, _)| name.starts_with("AWS_"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[tokio::test]
async fn several_tenants_have_a_file_and_a_port_each() {
    let both = format!("{}---\n{}", tenant("photos", ""), tenant("videos", ""));
    let stage = Stage::played(&[("tenants.yaml", &both)]);
    for (name, port) in [("photos", stage.port()), ("videos", stage.port() + 1)] {
        let file = format!("env.{name}");
        let environment = stage.environment(&file).await;
        assert_eq!(environment["AWS_ENDPOINT_URL"], format!("https://127.0.0.1:{port}"));
        let client = stage.client(&file).await;
        assert_eq!(client.send("PUT", "/own", "", &[], "").await.status, StatusCode::OK, "{name}");
    }
    assert!(!stage.path("env").exists());
    // One's key is nobody at the other's.
    let mut stranger = stage.client("env.photos").await;
    stranger.credentials = stage.client("env.videos").await.credentials;
    let answer = stranger.send("GET", "/own", "", &[], "").await;
    assert_eq!(answer.code(), "InvalidAccessKeyId");
}

#[tokio::test]
async fn a_second_start_finds_everything_as_it_was() {
    let mut stage = Stage::played(&[("photos.yaml", &tenant("photos", ""))]);
    let first = stage.environment("env").await;
    let ca = std::fs::read(&first["AWS_CA_BUNDLE"]).expect("the CA");
    let client = stage.client("env").await;
    assert_eq!(client.send("PUT", "/pictures", "", &[], "").await.status, StatusCode::OK);
    let large = vec![7_u8; 200_000];
    for (key, body) in [("/pictures/small", &b"a cat"[..]), ("/pictures/large", &large)] {
        let answer = client.send("PUT", key, "", &[], body.to_vec()).await;
        assert_eq!(answer.status, StatusCode::OK, "{key}");
    }
    assert!(stage.end("TERM").success());

    std::fs::remove_file(stage.path("env")).expect("it was there");
    stage.start();
    assert_eq!(stage.environment("env").await, first);
    assert_eq!(std::fs::read(&first["AWS_CA_BUNDLE"]).expect("the CA"), ca);
    // The first start's client, with the first start's CA and key.
    assert_eq!(client.send("GET", "/pictures/small", "", &[], "").await.body, "a cat");
    assert_eq!(client.send("GET", "/pictures/large", "", &[], "").await.body, large);
}

#[tokio::test]
async fn root_credentials_may_come_from_a_manifest() {
    let secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: admin}\nstringData: {accessKey: chosen-key, secretKey: first-secret}\n";
    let manifest = tenant("photos", "  rootCredentials: {secretRef: {name: admin}}\n") + secret;
    let stage = Stage::played(&[("photos.yaml", &manifest)]);
    let first = stage.environment("env").await;
    assert_eq!(first["AWS_ACCESS_KEY_ID"], "chosen-key");
    assert_eq!(first["AWS_SECRET_ACCESS_KEY"], "first-secret");
    let server = stage.servers();
    // An edit takes effect without a restart.
    stage.write("photos.yaml", &manifest.replace("first-secret", "second-secret"));
    let file = stage.path("env");
    stage
        .until("the new secret is told", || {
            std::fs::read_to_string(&file).is_ok_and(|text| text.contains("second-secret"))
        })
        .await;
    let client = stage.client("env").await;
    assert_eq!(client.send("GET", "/", "", &[], "").await.status, StatusCode::OK);
    assert_eq!(stage.servers(), server);
}
