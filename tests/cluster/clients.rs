//! Clients that people bring, over the Service's name, with what is in the Tenant's namespace.

use coffer_tests::clients;
use coffer_tests::cluster::{self, get, namespace, secret, tenant, wait_ready};
use coffer_tests::mc::Mc;
use tempfile::TempDir;

/// A Tenant of its own, and what leads to it: the endpoint that its status tells, roots in a file, keys.
struct Reached {
    folder: TempDir,
    endpoint: String,
    access_key: String,
    secret_key: String,
}

impl Reached {
    fn at(name: &str) -> Self {
        cluster::install();
        namespace(name);
        cluster::apply(&tenant(name, "photos", ""));
        wait_ready(name, "photos");
        let folder = TempDir::new().unwrap();
        let roots = get("configmap", name, "photos-ca")["data"]["ca.crt"].clone();
        std::fs::write(folder.path().join("ca.crt"), roots.as_str().unwrap()).unwrap();
        let status = &get("tenant", name, "photos")["status"];
        Self {
            folder,
            endpoint: status["endpoint"].as_str().unwrap().to_owned(),
            access_key: secret(name, "photos-root", "accessKey"),
            secret_key: secret(name, "photos-root", "secretKey"),
        }
    }

    fn environment(&self) -> [(String, String); 5] {
        let ca = self.folder.path().join("ca.crt").display().to_string();
        [
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_CA_BUNDLE", &ca),
            ("AWS_ACCESS_KEY_ID", &self.access_key),
            ("AWS_SECRET_ACCESS_KEY", &self.secret_key),
            ("AWS_REGION", "us-east-1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    }
}

/// Lists, copies, uploads in parts: all that `tests/conformance` asserts of boto3.
#[tokio::test]
async fn i1_boto3_does_its_whole_work() {
    let reached = Reached::at("boto3");
    // It needs a domain that leads to the server.
    let python = clients::led_by(&clients::python("python"), reached.environment());
    let passed = clients::boto3_suite(python, &["virtual_host_addressing"]);
    assert!(passed > 40, "only {passed} cases");
    println!("{passed} cases of boto3 over the Service's name");
}

#[tokio::test]
async fn i2_mc_lists_copies_and_uploads_in_parts() {
    let reached = Reached::at("mc");
    let ca = reached.folder.path().join("ca.crt");
    Mc::of(&reached.endpoint, &ca, &reached.access_key, &reached.secret_key).does_its_work();
}

#[tokio::test]
async fn i3_the_aws_cli_lists_copies_and_uploads_in_parts() {
    let reached = Reached::at("aws-cli");
    let folder = reached.folder.path();
    let aws = |line: &str| {
        let mut command = clients::led_by(&clients::python("aws"), reached.environment());
        command.current_dir(folder).args(line.split(' '));
        String::from_utf8(clients::run(&mut command).stdout).unwrap()
    };
    // Above 8 MiB it uploads in parts.
    let large: Vec<u8> = (0_u32..5_000_000).flat_map(u32::to_le_bytes).collect();
    std::fs::write(folder.join("large"), &large).unwrap();
    aws("s3 mb s3://album");
    aws("s3 cp --quiet large s3://album/in/large");
    let head = aws("s3api head-object --bucket album --key in/large --query ETag --output text");
    assert!(head.trim().ends_with("-3\""), "20 MB were not sent in three parts: {head}");
    aws("s3 cp --quiet s3://album/in/large s3://album/in/copy");
    aws("s3 cp --quiet s3://album/in/copy back");
    assert_eq!(std::fs::read(folder.join("back")).unwrap(), large);
    let listed = aws("s3 ls --recursive s3://album");
    let keys: Vec<&str> = listed.lines().filter_map(|line| line.rsplit(' ').next()).collect();
    assert_eq!(keys, ["in/copy", "in/large"]);
    aws("s3 rm --quiet --recursive s3://album");
    aws("s3 rb s3://album");
}
