//! What is in Tenants, without a cluster: the example as a team keeps it in Git, its changes, and `--check` with its PolicyTests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use coffer_signature::SecretKey;
use coffer_tests::client::Client;
use coffer_tests::server::program;
use tempfile::TempDir;

use crate::check::check;
use crate::stage::Stage;

const FILES: [&str; 5] =
    ["tenant.yaml", "policies.yaml", "users.yaml", "access-key.yaml", "bucket.yaml"];

fn example(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/gitops/photos");
    let text = fs::read_to_string(folder.join(name)).expect("an example");
    // The least that the schema takes, so that the test sees it.
    text.replace("interval: 24h, overlap: 1h", "interval: 10s, overlap: 4s")
        .replace("resyncInterval: 1m", "resyncInterval: 1s")
}

/// The example, in files of the stage.
fn stage() -> Stage {
    let texts = FILES.map(|name| (name, example(name)));
    let manifests: Vec<(&str, &str)> =
        texts.iter().map(|(name, text)| (*name, text.as_str())).collect();
    Stage::played(&manifests)
}

fn secret(stage: &Stage, name: &str, key: &str) -> Option<String> {
    let path: PathBuf = stage.path("data/photos/secrets").join(name).join(key);
    fs::read_to_string(path).ok()
}

/// A client that signs by the keys in a Secret's folder.
fn client_of(stage: &Stage, root: &Client, name: &str) -> Client {
    let mut client = root.clone();
    let value = |key: &str| secret(stage, name, key).expect("a key");
    client.credentials.access_key_id = value("accessKey").parse().expect("a key");
    client.credentials.secret_key = SecretKey::new(value("secretKey"));
    client
}

async fn ready(stage: &Stage) {
    for of in [
        "Policy/photos/look",
        "Policy/photos/upload",
        "User/photos/alice",
        "User/photos/guest",
        "AccessKey/photos/importer",
        "Bucket/photos/album",
        "PolicyTest/photos/authors",
        "PolicyBinding/photos/authors",
    ] {
        stage
            .until(&format!("{of} is ready"), || stage.out().contains(&format!("{of}: ready")))
            .await;
    }
}

#[tokio::test]
async fn what_manifests_say_is_in_the_tenant_and_goes_with_them() {
    let stage = stage();
    let root = stage.client("env").await;
    ready(&stage).await;
    let alice = client_of(&stage, &root, "alice-keys");
    let guest = client_of(&stage, &root, "guest-keys");
    assert_eq!(alice.send("PUT", "/album/alice/a", "", &[], "x").await.status, 200);
    assert_eq!(alice.send("PUT", "/album/robert/a", "", &[], "x").await.status, 403);
    assert_eq!(guest.send("GET", "/album/alice/a", "", &[], "").await.status, 200);
    // A key in the shape that was asked for, replaced in time: the old one works on for the overlap.
    let first = client_of(&stage, &root, "importer-keys");
    let key = |name: &str| secret(&stage, "importer-keys", name);
    assert_eq!(key("AWS_ACCESS_KEY_ID"), key("accessKey"));
    stage.until("the key is another", || key("previous").is_some()).await;
    let next = client_of(&stage, &root, "importer-keys");
    assert_ne!(first.credentials.access_key_id, next.credentials.access_key_id);
    for client in [&first, &next] {
        assert_eq!(client.send("GET", "/album", "", &[], "").await.status, 200);
    }
    stage.until("the old key is gone", || key("previous").is_none()).await;
    let answer = first.send("GET", "/album", "", &[], "").await;
    assert_eq!(answer.code(), "InvalidAccessKeyId");

    // An edit that fails a test leaves what is in force, and says which case.
    let edited =
        example("policies.yaml").replace(r#""s3:GetObject", "s3:ListBucket""#, r#""s3:*""#);
    stage.write("policies.yaml", &edited);
    stage
        .until("the case is named", || {
            stage.err().contains("case `nobody fills another's`: Deny is expected")
        })
        .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(guest.send("PUT", "/album/guest/a", "", &[], "x").await.status, 403);
    stage.write("policies.yaml", &example("policies.yaml"));

    // Another hand's change is put back.
    let query = "userOrGroup=guest&isGroup=false&policyName=consoleAdmin";
    let changed =
        root.send("PUT", "/minio/admin/v3/set-user-or-group-policy", query, &[], "").await;
    assert_eq!(changed.status, 200, "{}", changed.text());
    let mut policies = String::new();
    for _ in 0..100 {
        policies =
            root.send("GET", "/minio/admin/v3/user-info", "accessKey=guest", &[], "").await.text();
        if policies.contains("\"look\"") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(policies.contains("\"look\""), "{policies}");

    // What has gone from the manifests goes from the tenant, users before what they have.
    fs::remove_file(stage.path("manifests/users.yaml")).expect("a file");
    fs::remove_file(stage.path("manifests/policies.yaml")).expect("a file");
    fs::remove_file(stage.path("manifests/access-key.yaml")).expect("a file");
    for of in [
        "User/photos/guest",
        "Policy/photos/look",
        "Policy/photos/upload",
        "AccessKey/photos/importer",
    ] {
        stage
            .until(&format!("{of} is removed"), || stage.out().contains(&format!("{of}: removed")))
            .await;
    }
    assert_eq!(guest.send("GET", "/", "", &[], "").await.code(), "InvalidAccessKeyId");
    assert_eq!(secret(&stage, "guest-keys", "accessKey"), None);
    let groups = root.send("GET", "/minio/admin/v3/groups", "", &[], "").await.text();
    assert_eq!(groups, "[]");
    assert_eq!(root.send("HEAD", "/album", "", &[], "").await.status, 200, "the bucket stays");
}

#[test]
fn check_runs_the_policy_tests() {
    let folder = TempDir::new().expect("a folder");
    for name in FILES {
        fs::write(folder.path().join(name), example(name)).expect("a file");
    }
    let output = check(&[folder.path()]);
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(out.contains("PolicyTest photos/authors: all cases pass"), "{out}");
    for (claim, file, from, to, expected) in [
        (
            "a case that fails",
            "policies.yaml",
            r#""s3:GetObject", "s3:ListBucket""#,
            r#""s3:*""#,
            "PolicyTest photos/everyone: PolicyTest `everyone`, case `guests change nothing`: Deny is expected, but statement 0 (`Look`) of the identity policy `look` allows it",
        ),
        (
            "nobody's case",
            "policies.yaml",
            "{user: guest}",
            "{user: nobody}",
            "there is no User of the name `nobody`",
        ),
        (
            "a document that can't be read",
            "policies.yaml",
            r#""s3:PutObject", "s3:DeleteObject""#,
            r#""s3:Putt""#,
            "Policy photos/upload: line 7, column 18",
        ),
        (
            "a bucket's policy",
            "bucket.yaml",
            "s3:GetObject",
            "s3:Gett",
            "Bucket photos/album: spec.policy: line 8, column 17",
        ),
        (
            "a policy that isn't there",
            "users.yaml",
            "policies: [look]",
            "policies: [looks]",
            "the policy `looks` is neither built in nor made by a resource",
        ),
    ] {
        fs::write(folder.path().join(file), example(file).replace(from, to)).expect("a file");
        let output = check(&[folder.path()]);
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{claim}: {err}");
        assert!(err.contains(expected), "{claim}: `{expected}` isn't in {err}");
        fs::write(folder.path().join(file), example(file)).expect("a file");
    }
}

#[test]
fn explain_answers_from_manifests_alone() {
    let folder = TempDir::new().expect("a folder");
    for name in FILES {
        fs::write(folder.path().join(name), example(name)).expect("a file");
    }
    let key = "arn:aws:s3:::album/alice/a";
    for (user, action, resource, code, expected) in [
        (
            "alice",
            "s3:PutObject",
            key,
            0,
            "Allow: in Tenant photos/photos, statement 0 (`OwnFolder`) of the group policy `upload` allows it",
        ),
        (
            "robert",
            "s3:PutObject",
            key,
            0,
            "Deny: in Tenant photos/photos, no identity policy allows it",
        ),
        ("nobody", "s3:PutObject", key, 1, "there is no User of the name `nobody`"),
        ("alice", "s3:Nothing", key, 1, "there is no action `s3:Nothing`"),
    ] {
        let output = Command::new(program("coffer-operator"))
            .args(["explain", user, action, resource, "-f"])
            .arg(folder.path())
            .output()
            .expect("a command");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert_eq!(output.status.code(), Some(code), "{user}: {said}");
        assert!(said.contains(expected), "`{expected}` isn't in {said}");
    }
}

#[tokio::test]
async fn explain_answers_of_a_running_server_as_from_manifests() {
    let stage = stage();
    let environment = stage.environment("env").await;
    ready(&stage).await;
    let explain = |question: &[&str], from: &[&str], environment: &[(&str, &str)]| {
        let mut command = Command::new(program("coffer-operator"));
        command.arg("explain").args(question).args(from).env_clear();
        command.envs(environment.iter().copied());
        let output = command.output().expect("a command");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).trim().to_owned())
    };
    let manifests = stage.path("manifests").display().to_string();
    let endpoint = environment["AWS_ENDPOINT_URL"].as_str();
    let running = ["--endpoint", endpoint, "--ca", environment["AWS_CA_BUNDLE"].as_str()];
    let key = environment["AWS_ACCESS_KEY_ID"].as_str();
    let root = [
        ("AWS_ACCESS_KEY_ID", key),
        ("AWS_SECRET_ACCESS_KEY", environment["AWS_SECRET_ACCESS_KEY"].as_str()),
    ];
    let mut decided = Vec::new();
    for question in [
        ["alice", "s3:PutObject", "arn:aws:s3:::album/alice/a b+c%.jpg"],
        ["alice", "s3:PutObject", "arn:aws:s3:::album/guest/a"],
        ["guest", "s3:GetObject", "arn:aws:s3:::album/alice/a"],
        ["guest", "s3:PutObject", "arn:aws:s3:::album/guest/a"],
        ["guest", "s3:GetObject", "arn:aws:s3:::album/covers/a"],
        ["guest", "admin:ListUsers", "*"],
    ] {
        for context in [
            &[][..],
            &["--context", "aws:SourceIp=192.0.2.1", "--context", "aws:SecureTransport=false"],
        ] {
            let from = [&["-f", manifests.as_str()][..], context].concat();
            let (code, expected) = explain(&question, &from, &[]);
            assert_eq!(code, Some(0), "{question:?}: {expected}");
            let expected = expected.replace("in Tenant photos/photos,", &format!("at {endpoint},"));
            let asked = explain(&question, &[&running[..], context].concat(), &root);
            assert_eq!(asked, (Some(0), expected.clone()), "{question:?} {context:?}");
            decided.push(expected.split(':').next().unwrap_or_default().to_owned());
        }
    }
    assert!(decided.contains(&"Allow".to_owned()) && decided.contains(&"Deny".to_owned()));

    let question = ["alice", "s3:GetObject", "arn:aws:s3:::album/a"];
    let wrong = [("AWS_ACCESS_KEY_ID", key), ("AWS_SECRET_ACCESS_KEY", "not-the-secret-of-it")];
    let guest =
        ["accessKey", "secretKey"].map(|key| secret(&stage, "guest-keys", key).expect("a key"));
    let guest =
        [("AWS_ACCESS_KEY_ID", guest[0].as_str()), ("AWS_SECRET_ACCESS_KEY", guest[1].as_str())];
    let nobody = ["nobody", "s3:GetObject", "*"];
    let nothing = ["alice", "s3:Nothing", "*"];
    let nowhere = ["alice", "s3:GetObject", "nowhere"];
    for (claim, question, environment, expected) in [
        ("nobody's user", &nobody, &root[..], "user does not exist (XMinioAdminNoSuchUser)"),
        ("no action", &nothing, &root[..], "there is no action `s3:Nothing`"),
        ("no resource", &nowhere, &root[..], "`nowhere` is neither `*` nor an ARN"),
        (
            "no credentials",
            &question,
            &[][..],
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY aren't set",
        ),
        ("another secret", &question, &wrong[..], "(SignatureDoesNotMatch)"),
        ("who may not ask", &question, &guest[..], "(AccessDenied)"),
    ] {
        let (code, said) = explain(question, &running, environment);
        assert_eq!(code, Some(1), "{claim}: {said}");
        assert!(said.contains(expected) && !said.contains("not-the-secret"), "{claim}: {said}");
    }
    // Trusted by these certificates alone.
    let other = stage.path("other");
    coffer_tests::identity::write(&other);
    let other = other.join("ca.crt").display().to_string();
    let (code, said) = explain(&question, &["--endpoint", endpoint, "--ca", &other], &root);
    assert!(code == Some(1) && said.contains("the TLS handshake failed"), "{said}");
}

/// A namespace is shut out: what it made stays until its manifests go, and then goes with them, and nothing else does.
#[tokio::test]
async fn what_a_namespace_made_before_it_was_shut_out_goes_with_its_manifests() {
    let lets_in = "  iam: {resyncInterval: 1s}\n  allowedNamespaces: {selector: {matchLabels: {kubernetes.io/metadata.name: guests}}}\n";
    let of = |namespace: &str, kind: &str, name: &str, spec: &str| {
        format!(
            "---\napiVersion: coffer.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  \
             tenantRef: {{name: photos, namespace: default}}\n{spec}"
        )
    };
    let statements = "  statements: [{effect: Allow, actions: ['s3:*'], resources: ['*']}]\n";
    let all = |namespace: &str, name: &str| {
        [
            of(namespace, "Policy", name, statements),
            of(namespace, "User", name, &format!("  policies: [{name}]\n")),
            of(namespace, "Bucket", name, "  deletionPolicy: Delete\n"),
        ]
        .concat()
    };
    let (guests, own) = (all("guests", "guest-things"), all("default", "own-things"));
    let stage = Stage::played(&[
        ("photos.yaml", &crate::stage::tenant("photos", lets_in)),
        ("guests.yaml", &guests),
        ("own.yaml", &own),
    ]);
    let root = stage.client("env").await;
    for kind in ["Policy", "User", "Bucket"] {
        for name in ["guests/guest-things", "default/own-things"] {
            let ready = format!("{kind}/{name}: ready");
            stage.until(&ready, || stage.out().contains(&ready)).await;
        }
    }
    let client_of = |namespace: &str, name: &str| {
        let folder = stage.path(&format!("data/{namespace}/secrets/{name}-keys"));
        let value = |key: &str| fs::read_to_string(folder.join(key)).expect("a key");
        let mut client = root.clone();
        client.credentials.access_key_id = value("accessKey").parse().expect("a key");
        client.credentials.secret_key = SecretKey::new(value("secretKey"));
        client
    };
    let (guest, owner) = (client_of("guests", "guest-things"), client_of("default", "own-things"));
    let put = async |client: &Client, path: &str| client.send("PUT", path, "", &[], "x").await;
    assert_eq!(put(&guest, "/guest-things/a").await.status, 200);

    stage.write("photos.yaml", &crate::stage::tenant("photos", "  iam: {resyncInterval: 1s}\n"));
    let refused = "no Tenant `default/photos` lets in the namespace `guests`";
    for kind in ["Policy", "User", "Bucket"] {
        let told = format!("{kind}/guests/guest-things: spec.tenantRef: {refused}");
        stage.until(&told, || stage.err().contains(&told)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(put(&guest, "/guest-things/b").await.status, 200, "what it made stays");
    // An edit counts no more.
    stage.write("guests.yaml", &guests.replace("guest-things, namespace: guests}\nspec:\n  tenantRef: {name: photos, namespace: default}\n  policies", "guest-things, namespace: guests}\nspec:\n  enabled: false\n  tenantRef: {name: photos, namespace: default}\n  policies"));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(put(&guest, "/guest-things/b").await.status, 200, "it isn't disabled");

    fs::remove_file(stage.path("manifests/guests.yaml")).expect("a file");
    for kind in ["Policy", "User", "Bucket"] {
        let removed = format!("{kind}/guests/guest-things: removed");
        stage.until(&removed, || stage.out().contains(&removed)).await;
    }
    assert_eq!(put(&guest, "/guest-things/a").await.code(), "InvalidAccessKeyId");
    assert_eq!(root.send("HEAD", "/guest-things", "", &[], "").await.status, 404);
    let policies = root.send("GET", "/minio/admin/v3/list-canned-policies", "", &[], "").await;
    assert!(!policies.text().contains("guest-things"), "{}", policies.text());
    assert!(policies.text().contains("own-things"), "{}", policies.text());
    assert_eq!(put(&owner, "/own-things/a").await.status, 200);
}
