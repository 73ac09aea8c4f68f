//! A Tenant with a KMS: what is said of it, that it encrypts, and that its files are followed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;

use crate::stage::{Stage, tenant};

fn secret(keys: &[(&str, u8)]) -> String {
    let lines: Vec<String> = keys
        .iter()
        .map(|(name, byte)| format!("  {name}: {}\n", STANDARD.encode([*byte; 32])))
        .collect();
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: keys\nstringData:\n{}",
        lines.concat()
    )
}

const KMS: &str =
    "  kms:\n    static:\n      secretRef:\n        name: keys\n    defaultKey: photos\n";

/// A path, the headers of its write, and the form and key that the answer tells.
type Form<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, &'a str);

#[tokio::test]
async fn the_quickstart_has_all_forms_of_encryption() {
    let repository = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = std::fs::read_to_string(repository.join("examples/quickstart/tenant.yaml")).unwrap();
    let stage = Stage::played(&[("tenant.yaml", &text)]);
    let client = stage.client("env").await;
    assert_eq!(client.send("PUT", "/photos", "", &[], "").await.status, StatusCode::OK);
    let sse = "x-amz-server-side-encryption";
    let key_id = "x-amz-server-side-encryption-aws-kms-key-id";
    let customer = "x-amz-server-side-encryption-customer";
    let (algorithm, key, sum) =
        (format!("{customer}-algorithm"), format!("{customer}-key"), format!("{customer}-key-md5"));
    let (own, md5) = (STANDARD.encode([7; 32]), STANDARD.encode(md5_of(&[7; 32])));
    let forms: [Form<'_>; 4] = [
        ("/photos/s3", &[(sse, "AES256")], "AES256", ""),
        ("/photos/kms", &[(sse, "aws:kms")], "aws:kms", "arn:aws:kms:::photos"),
        (
            "/photos/archive",
            &[(sse, "aws:kms"), (key_id, "archive")],
            "aws:kms",
            "arn:aws:kms:::archive",
        ),
        ("/photos/own", &[(&algorithm, "AES256"), (&key, &own), (&sum, &md5)], "", ""),
    ];
    for (path, headers, form, key) in forms {
        let put = client.send("PUT", path, "", headers, "a cat").await;
        assert_eq!(put.status, StatusCode::OK, "{path}: {}", put.text());
        assert_eq!((&*put.header(sse), &*put.header(key_id)), (form, key), "{path}");
        let read = if form.is_empty() { headers } else { &[] };
        assert_eq!(client.send("GET", path, "", read, "").await.text(), "a cat", "{path}");
    }
    let said = "KMS: a data key was made and opened under `photos`; for trying out";
    stage.until("the KMS is told", || stage.out().contains(said)).await;
    assert_eq!(stage.err(), "");
}

fn md5_of(bytes: &[u8]) -> Vec<u8> {
    use md5::Digest as _;
    md5::Md5::digest(bytes).to_vec()
}

#[tokio::test]
async fn a_missing_key_is_told_and_taken_up_once_it_is_there() {
    let stage = Stage::played(&[("photos.yaml", &tenant("photos", KMS))]);
    let missing =
        "spec.kms.static.secretRef: Secret `keys` doesn't exist; create it with a key `photos`";
    stage.until("the Secret is missed", || stage.err().contains(missing)).await;
    stage.write("keys.yaml", &secret(&[("archive", 1)]));
    let lacking = "spec.kms.static.secretRef: Secret `keys` has no value under `photos`";
    stage.until("the key is missed", || stage.err().contains(lacking)).await;
    stage.write("keys.yaml", &secret(&[("archive", 1), ("photos", 2)]));
    let client = stage.client("env").await;
    let servers = stage.servers();
    assert_eq!(client.send("PUT", "/photos", "", &[], "").await.status, StatusCode::OK);
    let headers = [
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "third"),
    ];
    let refused = client.send("PUT", "/photos/a", "", &headers, "x").await;
    assert_eq!(refused.code(), "KMS.NotFoundException");
    // Another key in the Secret needs no other server.
    stage.write("keys.yaml", &secret(&[("archive", 1), ("photos", 2), ("third", 3)]));
    let begin = std::time::Instant::now();
    while client.send("PUT", "/photos/a", "", &headers, "x").await.status != StatusCode::OK {
        assert!(begin.elapsed().as_secs() < 30, "{}", stage.err());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(stage.servers(), servers);
}

#[tokio::test]
async fn a_vault_that_isnt_there_holds_up_no_start_and_is_told() {
    let folder = tempfile::TempDir::new().unwrap();
    coffer_tests::identity::write(folder.path());
    let ca = std::fs::read_to_string(folder.path().join("ca.crt")).unwrap();
    let ca: Vec<String> = ca.lines().map(|line| format!("    {line}\n")).collect();
    let port = coffer_tests::server::free_address().port();
    let vault = |auth: &str| {
        format!(
            "  kms:\n    vault:\n      address: https://localhost:{port}\n      caConfigMapRef: {{name: ca}}\n      auth: {auth}\n    \
             defaultKey: photos\n"
        )
    };
    let more = format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ca\ndata:\n  ca.crt: |\n{}---\napiVersion: v1\nkind: Secret\n\
         metadata:\n  name: token\nstringData:\n  token: s.none\n",
        ca.concat()
    );
    let by = |auth: &str| format!("{}{more}", tenant("photos", &vault(auth)));
    let stage = Stage::played(&[("photos.yaml", &by("{kubernetes: {role: photos}}"))]);
    let none = "there is no ServiceAccount outside a cluster";
    stage.until("it is told", || stage.err().contains(none)).await;
    stage.write("photos.yaml", &by("{token: {secretRef: {name: token}}}"));
    let client = stage.client("env").await;
    let told = "KMS: the KMS can't be reached";
    stage.until("it is told", || stage.err().contains(told)).await;
    assert_eq!(client.send("PUT", "/photos", "", &[], "").await.status, StatusCode::OK);
    assert_eq!(client.send("PUT", "/photos/plain", "", &[], "x").await.status, StatusCode::OK);
    let headers = [("x-amz-server-side-encryption", "AES256")];
    let refused = client.send("PUT", "/photos/a", "", &headers, "x").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.text());
}

#[tokio::test]
async fn a_clients_certificate_is_looked_through_before_a_server_gets_it() {
    let folder = tempfile::TempDir::new().unwrap();
    coffer_tests::identity::write(folder.path());
    for name in ["client", "other"] {
        coffer_tests::identity::client(folder.path(), name, "photos");
    }
    let indented = |file: &str| -> String {
        let text = std::fs::read_to_string(folder.path().join(file)).unwrap();
        text.lines().flat_map(|line| ["    ", line, "\n"]).collect()
    };
    let port = coffer_tests::server::free_address().port();
    let kms = format!(
        "  kms:\n    kmip:\n      address: localhost:{port}\n      caConfigMapRef: {{name: ca}}\n      \
         clientCertificateSecretRef: {{name: client}}\n    defaultKey: photos\n"
    );
    let with = |key: &str| {
        format!(
            "{}---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ca\ndata:\n  ca.crt: |\n{}---\napiVersion: v1\nkind: Secret\n\
             metadata:\n  name: client\nstringData:\n  tls.crt: |\n{}  tls.key: |\n{}",
            tenant("photos", &kms),
            indented("ca.crt"),
            indented("client/tls.crt"),
            indented(key)
        )
    };
    let stage = Stage::played(&[("photos.yaml", &with("other/tls.key"))]);
    let wrong = "spec.kms.kmip.clientCertificateSecretRef: in Secret `client`, `tls.crt` isn't a certificate";
    stage.until("another's key is told", || stage.err().contains(wrong)).await;
    stage.write("photos.yaml", &with("client/tls.key"));
    let client = stage.client("env").await;
    let told = "KMS: the KMS can't be reached";
    stage.until("the server tries it", || stage.err().contains(told)).await;
    assert_eq!(client.send("PUT", "/photos", "", &[], "").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_role_of_aws_needs_a_cluster() {
    let kms = "  kms:\n    awsKms:\n      region: eu-west-1\n      webIdentity: {roleArn: \"arn:aws:iam::123456789012:role/photos\"}\n";
    let stage = Stage::played(&[("photos.yaml", &tenant("photos", kms))]);
    let told = "spec.kms.awsKms.webIdentity: there is no ServiceAccount outside a cluster; for `play`, log in by credentialsSecretRef";
    stage.until("it is told", || stage.err().contains(told)).await;
}

fn in_tenant(kind: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: coffer.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{tenantRef: {{name: photos}}, {spec}}}\n"
    )
}

#[tokio::test]
async fn a_key_is_replaced_by_manifests_alone() {
    let stage = Stage::played(&[
        ("photos.yaml", &tenant("photos", KMS)),
        ("keys.yaml", &secret(&[("archive", 1), ("photos", 2)])),
        (
            "bucket.yaml",
            &in_tenant("Bucket", "album", "encryption: {type: SSE-S3}, requireEncryption: true"),
        ),
    ]);
    let client = stage.client("env").await;
    let ready = "Bucket/default/album: ready: the server has it with this policy, quota, tags and encryption";
    stage.until("the bucket is there", || stage.out().contains(ready)).await;
    for number in 0..20 {
        let put = client.send("PUT", &format!("/album/{number}"), "", &[], "x").await;
        assert_eq!(put.header("x-amz-server-side-encryption"), "AES256", "{}", put.text());
    }
    stage.write("rotation.yaml", &in_tenant("KeyRotation", "away", "from: photos, to: archive"));
    let still = "KeyRotation/default/away: ready: it is done, but the old key is still the default of `tenant`";
    stage.until("the rotation is done", || stage.out().contains(still)).await;
    // The Tenant's default follows, and the old key is gone.
    stage.write(
        "photos.yaml",
        &tenant("photos", &KMS.replace("defaultKey: photos", "defaultKey: archive")),
    );
    let unused =
        "KeyRotation/default/away: ready: it is done, and the old key protects nothing any more";
    stage.until("the old key is unused", || stage.out().contains(unused)).await;
    stage.write("keys.yaml", &secret(&[("archive", 1)]));
    for number in 0..20 {
        let mut got = client.send("GET", &format!("/album/{number}"), "", &[], "").await;
        let begin = std::time::Instant::now();
        while got.status != StatusCode::OK {
            assert!(begin.elapsed().as_secs() < 30, "{} {}", got.text(), stage.err());
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            got = client.reconnecting().send("GET", &format!("/album/{number}"), "", &[], "").await;
        }
        assert_eq!(got.text(), "x");
    }
    // It was done once; an edit of it is refused.
    stage.write("rotation.yaml", &in_tenant("KeyRotation", "away", "from: photos, to: photos"));
    let refused = "spec.to: can't be changed; make a new resource for another rotation";
    stage.until("the edit is refused", || stage.err().contains(refused)).await;
    std::fs::remove_file(stage.path("manifests/rotation.yaml")).unwrap();
    stage
        .until("it is let go of", || stage.out().contains("KeyRotation/default/away: removed"))
        .await;
}

#[tokio::test]
async fn what_needs_a_kms_says_so() {
    let bucket = in_tenant("Bucket", "album", "encryption: {type: SSE-KMS, key: archive}");
    let stage = Stage::played(&[
        ("photos.yaml", &tenant("photos", "")),
        ("bucket.yaml", &bucket),
        ("rotation.yaml", &in_tenant("KeyRotation", "away", "to: archive")),
    ]);
    for of in ["Bucket/default/album", "KeyRotation/default/away"] {
        let told = format!("{of}: The Tenant has no KMS: set its spec.kms");
        stage.until(&told, || stage.err().contains(&told)).await;
    }
    let report = crate::check::check(&[stage.path("manifests").as_path()]);
    for line in [
        "Bucket default/album: spec.encryption: the Tenant `default/photos` has no spec.kms",
        "KeyRotation default/away: spec.tenantRef: the Tenant `default/photos` has no spec.kms",
    ] {
        let said = String::from_utf8_lossy(&report.stderr);
        assert!(said.contains(line), "{line} isn't in {report:?}");
    }
}
