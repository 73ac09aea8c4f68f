//! `mc admin`: users, groups, policies, access keys, quotas and archives, step by step, and what comes of them for S3.

use std::fs;
use std::process::{Command, Output};

use coffer_tests::server::{ACCESS_KEY, SECRET_KEY, Server};
use coffer_tests::{clients, identity, static_kms};
use tempfile::TempDir;

/// What a step has to come to.
#[derive(Clone, Copy)]
enum Ends {
    /// Well, with all of this in the output.
    Well(&'static [&'static str]),
    /// Well, with the first in the output and without the second.
    Without(&'static str, &'static str),
    /// Badly, with this in the output.
    Badly(&'static str),
}

use Ends::{Badly, Well, Without};

struct Mc {
    server: Server,
    folder: TempDir,
}

impl Mc {
    async fn start() -> Self {
        Self::on(Server::start().await)
    }

    fn on(server: Server) -> Self {
        let mc = Self { server, folder: TempDir::new().expect("a folder") };
        let trusted = mc.folder.path().join("config/certs/CAs");
        fs::create_dir_all(&trusted).expect("a folder");
        fs::copy(mc.server.ca(), trusted.join("coffer.crt")).expect("a file");
        mc.alias("root", ACCESS_KEY, SECRET_KEY);
        mc
    }

    fn alias(&self, name: &str, access_key: &str, secret_key: &str) {
        let endpoint = self.server.endpoint();
        let output = self.run(&["alias", "set", name, &endpoint, access_key, secret_key]);
        assert!(output.status.success(), "{output:?}");
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).expect("a file");
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(clients::go("mc"))
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .arg("--config-dir")
            .arg(self.folder.path().join("config"))
            .args(["--json", "--no-color"])
            .args(arguments)
            .output()
            .expect("mc")
    }

    /// Runs steps, each a command line and its end.
    fn steps(&self, steps: &[(&str, Ends)]) {
        for (number, (line, ends)) in steps.iter().enumerate() {
            let output = self.run(&line.split(' ').collect::<Vec<_>>());
            let said = String::from_utf8_lossy(&output.stdout);
            let failed = format!("step {number}, `mc {line}`: {}\n{said}", output.status);
            // Some commands of `mc` end well after an error that they print.
            let well = output.status.success() && !said.contains("\"status\":\"error\"");
            match ends {
                Well(parts) => {
                    assert!(well, "{failed}");
                    for part in *parts {
                        assert!(said.contains(part), "no `{part}` in {failed}");
                    }
                }
                Without(part, absent) => {
                    assert!(well && said.contains(part) && !said.contains(absent), "{failed}");
                }
                Badly(part) => assert!(!well && said.contains(part), "no `{part}` in {failed}"),
            }
        }
    }
}

const READ_PHOTOS: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:ListBucket"],"Resource":["arn:aws:s3:::photos","arn:aws:s3:::photos/*"]}]}"#;
const UNKNOWN_ACTION: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:Fly"],"Resource":["arn:aws:s3:::*"]}]}"#;

/// 82 steps.
const SCRIPT: &[(&str, Ends)] = &[
    ("mb root/photos", Well(&[])),
    ("cp file root/photos/file", Well(&[])),
    // Users.
    ("admin user add root alice alice-secret", Well(&["\"accessKey\":\"alice\""])),
    ("admin user add root bob bob-secret-1", Well(&[])),
    ("admin user add root al long-enough", Badly("XMinioAdminInvalidAccessKey")),
    ("admin user add root carol short", Badly("XMinioAdminInvalidSecretKey")),
    ("admin user add root testrootaccess other-secret", Badly("XMinioInvalidIAMCredentials")),
    ("admin user add root TestRootAccess other-secret", Badly("XMinioInvalidIAMCredentials")),
    ("admin user list root", Well(&["\"accessKey\":\"alice\"", "\"accessKey\":\"bob\""])),
    ("admin user info root alice", Well(&["\"userStatus\":\"enabled\""])),
    ("admin user info root nobody", Badly("XMinioAdminNoSuchUser")),
    ("admin user disable root alice", Well(&[])),
    ("admin user info root alice", Well(&["\"userStatus\":\"disabled\""])),
    ("admin user enable root alice", Well(&[])),
    ("admin user disable root nobody", Badly("XMinioAdminNoSuchUser")),
    ("admin user remove root nobody", Badly("XMinioAdminNoSuchUser")),
    // Policies.
    ("admin policy create root photos photos.json", Well(&[])),
    ("admin policy create root broken broken.json", Badly("XMinioMalformedIAMPolicy")),
    (
        "admin policy list root",
        Well(&["photos", "readonly", "readwrite", "writeonly", "diagnostics", "consoleAdmin"]),
    ),
    (
        "admin policy info root photos",
        Well(&["\"PolicyName\":\"photos\"", "s3:GetObject", "CreateDate"]),
    ),
    ("admin policy info root broken", Badly("XMinioAdminNoSuchPolicy")),
    ("admin policy attach root photos --user alice", Well(&["\"policiesAttached\":[\"photos\"]"])),
    ("admin policy attach root broken --user alice", Badly("XMinioAdminNoSuchPolicy")),
    ("admin policy attach root photos --user nobody", Badly("XMinioAdminNoSuchUser")),
    ("admin policy attach root photos --group nobody", Badly("XMinioAdminNoSuchGroup")),
    ("admin user info root alice", Well(&["\"policyName\":\"photos\""])),
    (
        "admin policy entities root --user alice",
        Well(&["\"user\":\"alice\",\"policies\":[\"photos\"]"]),
    ),
    (
        "admin policy entities root --policy photos",
        Well(&["\"policy\":\"photos\",\"users\":[\"alice\"]"]),
    ),
    ("admin policy remove root photos", Badly("XMinioIAMPolicyInUse")),
    ("admin policy remove root readonly", Badly("XMinioIAMActionNotAllowed")),
    // Groups.
    ("admin group add root staff alice bob", Well(&["\"groupName\":\"staff\""])),
    ("admin group add root staff nobody", Badly("XMinioAdminNoSuchUser")),
    ("admin group list root", Well(&["\"groups\":[\"staff\"]"])),
    (
        "admin group info root staff",
        Well(&["\"members\":[\"alice\",\"bob\"]", "\"groupStatus\":\"enabled\""]),
    ),
    (
        "admin policy attach root writeonly --group staff",
        Well(&["\"policiesAttached\":[\"writeonly\"]"]),
    ),
    (
        "admin policy entities root --group staff",
        Well(&["\"group\":\"staff\",\"policies\":[\"writeonly\"]"]),
    ),
    ("admin group disable root staff", Well(&[])),
    ("admin group info root staff", Well(&["\"groupStatus\":\"disabled\""])),
    ("admin group enable root staff", Well(&[])),
    ("admin group remove root staff", Badly("XMinioAdminGroupNotEmpty")),
    ("admin group remove root staff bob", Well(&[])),
    ("admin group info root staff", Without("alice", "bob")),
    ("admin group info root nobody", Badly("XMinioAdminNoSuchGroup")),
    // Access keys, by the earlier commands.
    (
        "admin user svcacct add root alice --access-key alicekey --secret-key alicekey-secret --name one --description words --expiry 2027-06-01",
        Well(&["\"accessKey\":\"alicekey\"", "\"secretKey\":\"alicekey-secret\""]),
    ),
    (
        "admin user svcacct add root alice --access-key alicekey --secret-key alicekey-secret",
        Badly("XMinioIAMServiceAccountNotAllowed"),
    ),
    ("admin user svcacct add root nobody", Badly("XMinioAdminNoSuchUser")),
    ("admin user svcacct list root alice", Well(&["\"accessKey\":\"alicekey\""])),
    (
        "admin user svcacct info root alicekey",
        Well(&[
            "\"parentUser\":\"alice\"",
            "\"name\":\"one\"",
            "\"impliedPolicy\":true",
            "2027-06-01",
        ]),
    ),
    ("admin user svcacct edit root alicekey --policy photos.json", Well(&[])),
    // An update without a policy leaves it as it is.
    ("admin user svcacct edit root alicekey --description more", Well(&[])),
    ("admin user svcacct info root alicekey", Without("s3:ListBucket", "\"impliedPolicy\":true")),
    ("admin user svcacct disable root alicekey", Well(&[])),
    ("admin user svcacct info root alicekey", Well(&["\"accountStatus\":\"off\""])),
    ("admin user svcacct enable root alicekey", Well(&[])),
    ("admin user svcacct info root nokey", Badly("XMinioInvalidIAMCredentials")),
    ("admin user svcacct remove root nokey", Badly("XMinioInvalidIAMCredentials")),
    // And by the later ones.
    (
        "admin accesskey create root alice --access-key alicekey2 --secret-key alicekey2-secret",
        Well(&["alicekey2-secret"]),
    ),
    ("admin accesskey list root alice", Well(&["alicekey", "alicekey2"])),
    ("admin accesskey list root --all", Well(&["\"user\":\"alice\"", "\"user\":\"bob\""])),
    (
        "admin accesskey info root alicekey2",
        Well(&["\"parentUser\":\"alice\"", "\"accountStatus\":\"on\""]),
    ),
    ("admin accesskey edit root alicekey2 --description words", Well(&[])),
    ("admin accesskey disable root alicekey2", Well(&[])),
    ("admin accesskey enable root alicekey2", Well(&[])),
    ("admin accesskey remove root alicekey2", Well(&[])),
    ("admin accesskey info root alicekey2", Badly("")),
    // Quotas.
    ("quota set root/photos --size 1KiB", Well(&["1024"])),
    ("quota info root/photos", Well(&["1024"])),
    ("cp large root/photos/large", Badly("quota exceeded")),
    ("cp file root/photos/file2", Well(&[])),
    ("rm root/photos/file2", Well(&[])),
    ("quota clear root/photos", Well(&[])),
    ("cp large root/photos/large", Well(&[])),
    ("quota info root/nobucket", Badly("NoSuchBucket")),
    // The server, and archives.
    ("admin info root", Well(&["\"mode\":\"online\"", "\"buckets\":{\"count\":1", "totalspace"])),
    ("admin cluster iam export root", Well(&["root-iam-info.zip"])),
    ("admin policy detach root photos --user alice", Well(&["\"policiesDetached\":[\"photos\"]"])),
    ("admin policy remove root photos", Well(&[])),
    ("admin user remove root alice", Well(&[])),
    ("admin user svcacct info root alicekey", Badly("XMinioInvalidIAMCredentials")),
    ("admin cluster iam import root root-iam-info.zip", Well(&[])),
    ("admin user info root alice", Well(&["\"policyName\":\"photos\""])),
    ("admin user svcacct info root alicekey", Well(&["s3:ListBucket"])),
];

#[tokio::test]
async fn a_tenant_is_managed_by_mc_admin() {
    assert!(SCRIPT.len() >= 60);
    let mc = Mc::start().await;
    mc.write("photos.json", READ_PHOTOS);
    mc.write("broken.json", UNKNOWN_ACTION);
    mc.write("file", "hello");
    mc.write("large", &"a".repeat(2000));
    mc.steps(SCRIPT);
    // An archive holds no secret in clear.
    let archive = fs::read(mc.folder.path().join("root-iam-info.zip")).expect("an archive");
    for secret in ["alice-secret", "alicekey-secret"] {
        assert!(!archive.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret}");
    }
    mc.server.assert_discreet();
}

#[tokio::test]
async fn keys_of_the_kms_are_told_by_mc_admin() {
    let folder = TempDir::new().expect("a folder");
    identity::write(folder.path());
    let kms = static_kms::write(folder.path());
    let settings: Vec<(&str, &str)> =
        kms.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mc = Mc::on(Server::start_in(folder, &settings).await);
    mc.write("file", "hello");
    mc.write("one.json", READ_PHOTOS);
    mc.steps(&[
        ("admin kms key list root", Well(&["photos", "archive"])),
        ("admin kms key status root", Well(&["photos", "success"])),
        ("admin kms key status root archive", Well(&["archive", "success"])),
        ("admin kms key status root none", Well(&["the KMS has no key `none`"])),
        ("admin kms key create root photos", Badly("already")),
        // Keys of this provider come by its Secret.
        ("admin kms key create root new", Badly("can't create keys")),
        ("mb root/photos", Well(&[])),
        ("encrypt set sse-kms archive root/photos", Well(&[])),
        ("encrypt info root/photos", Well(&["archive"])),
        ("cp file root/photos/file", Well(&[])),
        ("stat root/photos/file", Well(&["archive"])),
        ("encrypt set sse-s3 root/photos", Well(&[])),
        ("encrypt clear root/photos", Well(&[])),
        ("cat root/photos/file", Well(&["hello"])),
        ("admin user add root alice alice-secret", Well(&[])),
        ("admin policy create root photos one.json", Well(&[])),
        ("admin policy attach root photos --user alice", Well(&[])),
    ]);
    mc.alias("alice", "alice", "alice-secret");
    mc.steps(&[
        ("admin kms key list alice", Badly("Access Denied")),
        ("admin kms key status alice", Badly("Access Denied")),
        ("admin kms key create alice other", Badly("Access Denied")),
    ]);
}

#[tokio::test]
async fn what_is_set_by_mc_admin_decides_requests() {
    let mc = Mc::start().await;
    mc.write("photos.json", READ_PHOTOS);
    mc.write("file", "hello");
    mc.steps(&[
        ("mb root/photos", Well(&[])),
        ("mb root/other", Well(&[])),
        ("cp file root/photos/file", Well(&[])),
        ("cp file root/other/file", Well(&[])),
        ("admin user add root alice alice-secret", Well(&[])),
        ("admin user add root bob bob-secret-1", Well(&[])),
        ("admin policy create root photos photos.json", Well(&[])),
        ("admin policy attach root readonly --user bob", Well(&[])),
    ]);
    mc.alias("alice", "alice", "alice-secret");
    mc.alias("bob", "bob", "bob-secret-1");
    mc.steps(&[
        // Without a policy nothing is allowed, neither here nor there.
        ("cat alice/photos/file", Badly("")),
        ("admin user list alice", Badly("AccessDenied")),
        ("admin user svcacct add alice alice", Badly("AccessDenied")),
        ("cat bob/photos/file", Well(&["hello"])),
        ("cp file bob/photos/new", Badly("")),
        ("admin user list bob", Badly("AccessDenied")),
        ("admin user add bob alice stolen-secret", Badly("AccessDenied")),
        ("admin policy attach bob consoleAdmin --user bob", Badly("AccessDenied")),
        ("admin user svcacct add bob alice", Badly("AccessDenied")),
        ("admin user svcacct add bob testrootaccess", Badly("AccessDenied")),
        // By a group; a disabled one takes away only what it gave.
        ("admin group add root staff bob", Well(&[])),
        ("admin policy attach root writeonly --group staff", Well(&[])),
        ("cp file bob/photos/new", Well(&[])),
        ("admin group disable root staff", Well(&[])),
        ("cp file bob/photos/new", Badly("")),
        ("cat bob/photos/new", Well(&["hello"])),
        // An access key of his own, limited.
        ("admin user svcacct add bob bob --access-key bobkey --secret-key bobkey-secret --policy photos.json", Well(&[])),
    ]);
    mc.alias("key", "bobkey", "bobkey-secret");
    mc.steps(&[
        ("cat key/photos/file", Well(&["hello"])),
        ("cat key/other/file", Badly("")),
        // N4: what is limited makes nothing freer, neither for itself nor for its user nor for root.
        ("admin user svcacct add key bob", Badly("AccessDenied")),
        ("admin user svcacct add key bobkey", Badly("AccessDenied")),
        ("admin user svcacct add key testrootaccess", Badly("AccessDenied")),
        ("admin user svcacct edit key bobkey --secret-key other-secret", Badly("AccessDenied")),
        ("admin user add key bob other-secret", Badly("AccessDenied")),
        ("admin user disable root bob", Well(&[])),
        ("cat key/photos/file", Badly("")),
        ("cat bob/photos/file", Badly("")),
        ("admin user enable root bob", Well(&[])),
        ("cat key/photos/file", Well(&["hello"])),
        ("admin user svcacct remove bob bobkey", Well(&[])),
        ("cat key/photos/file", Badly("")),
        // CVE-2024-43784: made again, a user has nothing of what it had.
        (
            "admin user svcacct add bob bob --access-key bobkey --secret-key bobkey-secret",
            Well(&[]),
        ),
        ("admin user remove root bob", Well(&[])),
        ("admin user add root bob bob-secret-1", Well(&[])),
        ("cat bob/photos/file", Badly("")),
        ("cat key/photos/file", Badly("")),
    ]);
}
