//! The AWS CLI: its high-level commands and the API's own.

use std::fs;
use std::path::PathBuf;

use coffer_tests::clients;
use coffer_tests::server::Server;
use serde_json::Value;
use tempfile::TempDir;

struct Aws {
    server: Server,
    folder: TempDir,
}

impl Aws {
    async fn start() -> Self {
        let server = Server::start().await;
        Self { server, folder: TempDir::new().expect("a folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, content).expect("a file");
    }

    /// Runs `aws ARGUMENTS` in the folder and gives what it printed.
    fn run(&self, arguments: &[&str]) -> String {
        let mut command = clients::command(&clients::python("aws"), &self.server);
        command.current_dir(self.folder.path()).args(arguments);
        let output = clients::run(&mut command);
        String::from_utf8(output.stdout).expect("text")
    }

    /// The same for what answers JSON.
    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.run(arguments)).expect("JSON")
    }

    /// The same for what has to fail; gives the message.
    fn refused(&self, arguments: &[&str]) -> String {
        let mut command = clients::command(&clients::python("aws"), &self.server);
        let output = command.current_dir(self.folder.path()).args(arguments).output();
        let output = output.expect("aws");
        assert!(!output.status.success(), "{arguments:?} was done");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

/// Bytes that are not the same everywhere.
fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|number| u8::try_from(number * 31 / 7 % 251).expect("small")).collect()
}

#[tokio::test]
async fn files_go_there_and_back() {
    let aws = Aws::start().await;
    // Above 8 MiB it uploads in parts, and downloads in ranges.
    let (small, large) = (bytes(1_000), bytes(20 * 1024 * 1024 + 5));
    aws.write("small", &small);
    aws.write("large", &large);
    assert_eq!(aws.run(&["s3", "mb", "s3://files"]).trim(), "make_bucket: files");
    assert!(aws.run(&["s3", "ls"]).trim().ends_with(" files"));
    for name in ["small", "large"] {
        aws.run(&["s3", "cp", "--quiet", name, &format!("s3://files/in/{name}")]);
        aws.run(&["s3", "cp", "--quiet", &format!("s3://files/in/{name}"), "back"]);
        assert_eq!(
            fs::read(aws.path("back")).expect("a file"),
            fs::read(aws.path(name)).expect("a file")
        );
    }
    // Between keys, in the server.
    aws.run(&["s3", "cp", "--quiet", "s3://files/in/large", "s3://files/in/copy of large"]);
    aws.run(&["s3", "cp", "--quiet", "s3://files/in/copy of large", "back"]);
    assert_eq!(fs::read(aws.path("back")).expect("a file"), large);
    aws.run(&["s3", "mv", "--quiet", "s3://files/in/small", "s3://files/out/small"]);
    let listed = aws.run(&["s3", "ls", "--recursive", "--summarize", "s3://files"]);
    let keys: Vec<&str> = listed
        .lines()
        .filter(|line| line.starts_with("20"))
        .filter_map(|line| line.get(31..))
        .collect();
    assert_eq!(keys, ["in/copy of large", "in/large", "out/small"], "{listed}");
    assert!(listed.contains("Total Objects: 3"), "{listed}");
    assert!(listed.contains(&format!("Total Size: {}", 2 * large.len() + small.len())), "{listed}");
    let folders = aws.run(&["s3", "ls", "s3://files"]);
    let folders: Vec<&str> = folders.lines().map(str::trim).collect();
    assert_eq!(folders, ["PRE in/", "PRE out/"]);
    assert!(aws.refused(&["s3", "rb", "s3://files"]).contains("BucketNotEmpty"));
    aws.run(&["s3", "rm", "--quiet", "--recursive", "s3://files"]);
    aws.run(&["s3", "rb", "s3://files"]);
    assert_eq!(aws.run(&["s3", "ls"]), "");
}

#[tokio::test]
async fn a_stream_goes_there_and_back() {
    let aws = Aws::start().await;
    aws.run(&["s3", "mb", "s3://files"]);
    let mut put = clients::command(&clients::python("aws"), &aws.server);
    aws.write("input", &bytes(9 * 1024 * 1024));
    let input = fs::File::open(aws.path("input")).expect("a file");
    clients::run(put.args(["s3", "cp", "-", "s3://files/stream"]).stdin(input));
    let mut get = clients::command(&clients::python("aws"), &aws.server);
    let output = clients::run(get.args(["s3", "cp", "s3://files/stream", "-"]));
    assert_eq!(output.stdout, bytes(9 * 1024 * 1024));
}

#[tokio::test]
async fn folders_are_kept_in_sync() {
    let aws = Aws::start().await;
    aws.run(&["s3", "mb", "s3://files"]);
    for name in ["tree/a", "tree/b/c", "tree/b/ü & + %.txt"] {
        aws.write(name, name.as_bytes());
    }
    let lines = |text: &str| text.lines().filter(|line| !line.is_empty()).count();
    let sync = ["s3", "sync", "--no-progress", "tree", "s3://files/tree"];
    assert_eq!(lines(&aws.run(&sync)), 3);
    assert_eq!(aws.run(&sync), "", "nothing has changed");
    aws.write("tree/a", b"another length");
    fs::remove_file(aws.path("tree/b/c")).expect("a file");
    let changed = aws.run(&["s3", "sync", "--no-progress", "--delete", "tree", "s3://files/tree"]);
    assert_eq!(lines(&changed), 2, "{changed}");
    aws.run(&["s3", "sync", "--quiet", "s3://files/tree", "copy"]);
    assert_eq!(fs::read(aws.path("copy/a")).expect("a file"), b"another length");
    assert_eq!(
        fs::read_to_string(aws.path("copy/b/ü & + %.txt")).expect("a file"),
        "tree/b/ü & + %.txt"
    );
    assert!(!aws.path("copy/b/c").exists());
}

#[tokio::test]
async fn the_api_answers_as_documented() {
    let aws = Aws::start().await;
    aws.write("body", b"hello");
    aws.write("empty", b"");
    aws.run(&["s3api", "create-bucket", "--bucket", "files"]);
    let put = aws.json(&[
        "s3api",
        "put-object",
        "--bucket",
        "files",
        "--key",
        "a",
        "--body",
        "body",
        "--metadata",
        "colour=blue",
        "--checksum-algorithm",
        "SHA256",
    ]);
    assert_eq!(put["ETag"], "\"5d41402abc4b2a76b9719d911017c592\"");
    assert_eq!(put["ChecksumSHA256"], "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=");
    let head = aws.json(&["s3api", "head-object", "--bucket", "files", "--key", "a"]);
    assert_eq!((&head["Metadata"]["colour"], &head["ContentLength"]), (&"blue".into(), &5.into()));
    aws.run(&[
        "s3api",
        "get-object",
        "--bucket",
        "files",
        "--key",
        "a",
        "--range",
        "bytes=1-2",
        "out",
    ]);
    assert_eq!(fs::read(aws.path("out")).expect("a file"), b"el");
    let attributes = aws.json(&[
        "s3api",
        "get-object-attributes",
        "--bucket",
        "files",
        "--key",
        "a",
        "--object-attributes",
        "ObjectSize",
        "ETag",
    ]);
    assert_eq!(attributes["ObjectSize"], 5);
    let listed = aws.json(&["s3api", "list-objects-v2", "--bucket", "files"]);
    assert_eq!(listed["Contents"][0]["Key"], "a");
    let message = aws.refused(&[
        "s3api",
        "put-object",
        "--bucket",
        "files",
        "--key",
        "a",
        "--body",
        "body",
        "--if-none-match",
        "*",
    ]);
    assert!(message.contains("PreconditionFailed"), "{message}");
    let message = aws.refused(&[
        "s3api",
        "put-object",
        "--bucket",
        "files",
        "--key",
        "b",
        "--body",
        "body",
        "--server-side-encryption",
        "AES256",
    ]);
    assert!(
        message.contains("NotImplemented") && message.contains("KMS is not configured"),
        "{message}"
    );
    let deleted = aws.json(&[
        "s3api",
        "delete-objects",
        "--bucket",
        "files",
        "--delete",
        "Objects=[{Key=a},{Key=none}]",
    ]);
    assert_eq!(deleted["Deleted"].as_array().map(Vec::len), Some(2), "{deleted}");
    assert!(
        aws.refused(&["s3api", "head-object", "--bucket", "files", "--key", "a"]).contains("404")
    );
}

#[tokio::test]
async fn a_url_that_it_signed_works_without_it() {
    let aws = Aws::start().await;
    aws.write("body", b"hello");
    aws.run(&["s3", "mb", "s3://files"]);
    aws.run(&["s3", "cp", "--quiet", "body", "s3://files/a b"]);
    // For an endpoint of its own, the CLI presigns by the old signature unless it is told.
    aws.write("config", b"[default]\ns3 =\n  signature_version = s3v4\n");
    let mut presign = clients::command(&clients::python("aws"), &aws.server);
    presign.env("AWS_CONFIG_FILE", aws.path("config")).args(["s3", "presign", "s3://files/a b"]);
    let url = String::from_utf8(clients::run(&mut presign).stdout).expect("text");
    let fetch = "import ssl, sys, urllib.request as u\n\
        c = ssl.create_default_context(cafile=sys.argv[2])\n\
        o = u.build_opener(u.ProxyHandler({}), u.HTTPSHandler(context=c))\n\
        sys.stdout.buffer.write(o.open(sys.argv[1]).read())";
    let mut command = std::process::Command::new(clients::python("python"));
    command.args(["-c", fetch, url.trim()]).arg(aws.server.ca());
    assert_eq!(clients::run(&mut command).stdout, b"hello");
}
