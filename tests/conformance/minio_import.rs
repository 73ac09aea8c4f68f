//! Identities of a real `minio`, made by `mc`, exported there and imported here: users, groups, policies and access keys do what they did.

use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::Path;
use std::process::{Command, Output};

use coffer_signature::{AccessKeyId, Credentials, SecretKey};
use coffer_tests::client::Client;
use coffer_tests::minio::Minio;
use coffer_tests::server::{ACCESS_KEY, SECRET_KEY, Server};
use coffer_tests::{clients, identity};
use tempfile::TempDir;

const PHOTOS: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:ListBucket"],"Resource":["arn:aws:s3:::photos","arn:aws:s3:::photos/*"]}]}"#;
/// As people write them for MinIO: what is said of the admin API has no Resource, or one of a bucket.
const OWN: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::own-${aws:username}","arn:aws:s3:::own-${aws:username}/*"],"Condition":{"IpAddress":{"aws:SourceIp":["127.0.0.0/8","::1/128"]}}},{"Effect":"Allow","Action":["admin:ServerInfo"]}]}"#;
const LISTS: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"","Effect":"Allow","Action":["s3:ListAllMyBuckets"],"Resource":["arn:aws:s3:::*"]},{"Effect":"Allow","Action":["admin:ListUsers"],"Resource":["arn:aws:s3:::*"]}]}"#;

/// `mc`, with an alias for each server.
struct Mc(TempDir);

impl Mc {
    fn new(trusted: &Path) -> Self {
        let mc = Self(TempDir::new().expect("a folder"));
        let folder = mc.0.path().join("config/certs/CAs");
        fs::create_dir_all(&folder).expect("a folder");
        fs::copy(trusted, folder.join("ca.crt")).expect("a file");
        for (name, text) in [("photos", PHOTOS), ("own", OWN), ("lists", LISTS)] {
            fs::write(mc.0.path().join(format!("{name}.json")), text).expect("a file");
        }
        mc
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(clients::go("mc"))
            .current_dir(self.0.path())
            .env_clear()
            .env("HOME", self.0.path())
            .arg("--config-dir")
            .arg(self.0.path().join("config"))
            .args(["--json", "--no-color"])
            .args(arguments)
            .output()
            .expect("mc")
    }

    /// Runs a command line that has to end well.
    fn must(&self, line: &str) -> String {
        let output = self.run(&line.split(' ').collect::<Vec<_>>());
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let well = output.status.success() && !said.contains("\"status\":\"error\"");
        assert!(well, "mc {line}: {}\n{said}", output.status);
        said
    }

    fn alias(&self, name: &str, host: &str, access_key: &str, secret_key: &str) {
        self.must(&format!("alias set {name} https://{host} {access_key} {secret_key}"));
    }
}

/// Makes what a team has in its `minio`, and exports it.
fn exported(mc: &Mc) -> Vec<u8> {
    for line in [
        "admin user add minio alice alice-secret",
        "admin user add minio bob bob-secret-1",
        "admin user add minio carol carol-secret",
        "admin user disable minio carol",
        "admin policy create minio photos photos.json",
        "admin policy create minio own own.json",
        "admin policy create minio lists lists.json",
        "admin group add minio staff alice bob",
        "admin group add minio away alice",
        "admin policy attach minio photos --group staff",
        "admin policy attach minio readwrite --group away",
        "admin group disable minio away",
        "admin policy attach minio own --user bob",
        "admin policy attach minio lists --user alice",
        "admin accesskey create minio alice --access-key ALICEKEY --secret-key alice-key-secret",
        "admin accesskey create minio bob --access-key BOBKEY --secret-key bob-key-secret --policy photos.json --name limited --expiry-duration 720h",
        "admin accesskey create minio --access-key ROOTKEY --secret-key root-key-secret",
        "admin accesskey create minio --access-key ROOTLIMITED --secret-key root-lim-secret --policy photos.json",
        "admin cluster iam export minio -o team.zip",
    ] {
        mc.must(line);
    }
    fs::read(mc.0.path().join("team.zip")).expect("an archive")
}

fn signing(root: &Client, access_key: &str, secret_key: &str) -> Client {
    let mut client = root.clone();
    client.credentials = Credentials {
        access_key_id: access_key.parse::<AccessKeyId>().expect("a key"),
        secret_key: SecretKey::new(secret_key.to_owned()),
        session_token: None,
    };
    client
}

const KEYS: [(&str, &str); 7] = [
    ("alice", "alice-secret"),
    ("bob", "bob-secret-1"),
    ("carol", "carol-secret"),
    ("ALICEKEY", "alice-key-secret"),
    ("BOBKEY", "bob-key-secret"),
    ("ROOTKEY", "root-key-secret"),
    ("ROOTLIMITED", "root-lim-secret"),
];

/// What each may do of: list buckets, read a photo, write a photo, write into bob's bucket, see the server's state, list users.
const REQUESTS: [(&str, &str); 6] = [
    ("GET", "/"),
    ("GET", "/photos/k"),
    ("PUT", "/photos/k"),
    ("PUT", "/own-bob/k"),
    ("GET", "/minio/admin/v3/info"),
    ("GET", "/minio/admin/v3/list-users"),
];

/// Whether each of the requests is done, for one of [`KEYS`].
async fn may(root: &Client, name: &str) -> String {
    let (_, secret) = KEYS.iter().find(|(key, _)| *key == name).expect("a key");
    let client = signing(root, name, secret);
    let mut done = String::new();
    for (method, path) in REQUESTS {
        let body = if method == "PUT" { "x" } else { "" };
        let answer = client.send(method, path, "", &[], body).await;
        // The admin API says it in JSON.
        let json: serde_json::Value = serde_json::from_str(&answer.text()).unwrap_or_default();
        let code = json["Code"].as_str().map_or_else(|| answer.code(), str::to_owned);
        let status = answer.status.as_u16();
        let said = answer.text();
        assert!(matches!(status, 200 | 403), "{name}: {method} {path}: {status} {said}");
        done.push(match (status, code.as_str()) {
            (200, _) => '+',
            (_, "AccessDenied") => '-',
            // Unknown, or disabled.
            (_, _) => '?',
        });
    }
    done
}

async fn with_buckets(root: &Client) {
    for path in ["/photos", "/own-bob"] {
        assert_eq!(root.send("PUT", path, "", &[], "").await.status, 200, "{path}");
    }
    assert_eq!(root.send("PUT", "/photos/k", "", &[], "x").await.status, 200);
}

/// The archive with one text of one file in another's place.
fn bent(archive: &[u8], file: &str, from: &str, to: &str) -> Vec<u8> {
    let mut zip = zip::ZipArchive::new(Cursor::new(archive)).expect("an archive");
    let mut out = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let mut is_bent = false;
    for at in 0..zip.len() {
        let mut entry = zip.by_index(at).expect("a file");
        let name = entry.name().to_owned();
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("text");
        if name.ends_with(file) {
            assert!(text.contains(from), "{text}");
            text = text.replacen(from, to, 1);
            is_bent = true;
        }
        out.start_file(name, zip::write::SimpleFileOptions::default()).expect("a file");
        out.write_all(text.as_bytes()).expect("a file");
    }
    assert!(is_bent, "no {file}");
    out.finish().expect("an archive").into_inner()
}

#[tokio::test]
async fn an_archive_of_minio_is_imported_and_its_people_work_on() {
    let server = Server::start().await;
    let minio = Minio::start(&server);
    let mc = Mc::new(&server.ca());
    mc.alias("minio", minio.host(), ACCESS_KEY, SECRET_KEY);
    mc.alias("coffer", server.client().host().as_str(), ACCESS_KEY, SECRET_KEY);
    let archive = exported(&mc);
    let root = server.client();
    with_buckets(root).await;

    // Refused whole, whatever is wrong with it.
    for (file, from, to) in [
        ("policies.json", "s3:ListBucket", "s3:FlyBucket"),
        ("users.json", "\"enabled\"", "\"perhaps\""),
        (
            "svcaccts.json",
            "\"accessKey\":\"BOBKEY\",\"secretKey\"",
            "\"accessKey\":\"ALICEKEY\",\"secretKey\"",
        ),
        ("group_mappings.json", "\"photos\"", "\"none-such\""),
    ] {
        fs::write(mc.0.path().join("bent.zip"), bent(&archive, file, from, to)).expect("a file");
        let output = mc.run(&["admin", "cluster", "iam", "import", "coffer", "bent.zip"]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = format!("{said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(told.contains("refused whole"), "{file}: {told}");
        let users = root.send("GET", "/minio/admin/v3/groups", "", &[], "").await;
        assert_eq!(users.text().trim(), "[]", "{file}");
        assert_eq!(may(root, "alice").await, "??????", "{file}");
    }

    // Twice: the second finds everything as it is.
    for _ in 0..2 {
        mc.must("admin cluster iam import coffer team.zip");
        for (name, done) in [
            ("alice", "++---+"),
            ("bob", "-+-++-"),
            ("carol", "??????"),
            ("ALICEKEY", "++---+"),
            ("BOBKEY", "-+----"),
            ("ROOTKEY", "++++++"),
            ("ROOTLIMITED", "-+----"),
        ] {
            assert_eq!(may(root, name).await, done, "{name}");
        }
    }
    let group = mc.must("admin group info coffer away");
    assert!(group.contains("\"groupStatus\":\"disabled\""), "{group}");
    let key = mc.must("admin accesskey info coffer BOBKEY");
    assert!(key.contains("limited"), "{key}");
    // What MinIO has of its own is ours.
    let policy = mc.must("admin policy info coffer readonly");
    assert!(policy.contains("s3:GetObjectVersion"), "{policy}");
    server.assert_discreet();
}

#[tokio::test]
async fn keys_of_another_root_are_left_out() {
    let folder = TempDir::new().expect("a folder");
    identity::write(folder.path());
    let minio_side = Server::start().await;
    let minio = Minio::start(&minio_side);
    let there = Mc::new(&minio_side.ca());
    there.alias("minio", minio.host(), ACCESS_KEY, SECRET_KEY);
    let archive = exported(&there);
    // A tenant's root has a name of its own.
    identity::set_root(folder.path(), "another-root", "another-root-secret");
    let server = Server::start_in(folder, &[]).await;
    let root = signing(server.client(), "another-root", "another-root-secret");
    with_buckets(&root).await;
    let here = Mc::new(&server.ca());
    here.alias("coffer", root.host().as_str(), "another-root", "another-root-secret");
    fs::write(here.0.path().join("team.zip"), archive).expect("a file");
    here.must("admin cluster iam import coffer team.zip");
    for (name, done) in [
        ("alice", "++---+"),
        ("BOBKEY", "-+----"),
        ("ROOTKEY", "??????"),
        ("ROOTLIMITED", "??????"),
    ] {
        assert_eq!(may(&root, name).await, done, "{name}");
    }
}
