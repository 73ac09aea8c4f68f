//! `mc`: what its users do with an S3 server.

use std::fs;
use std::ops::Deref;
use std::process::Command;

use coffer_tests::clients;
use coffer_tests::mc::Mc;
use coffer_tests::server::{ACCESS_KEY, SECRET_KEY, Server};

/// `mc`, and the server that it speaks to.
struct Served {
    server: Server,
    mc: Mc,
}

impl Served {
    async fn start() -> Self {
        let server = Server::start().await;
        let mc = Mc::of(&server.endpoint(), &server.ca(), ACCESS_KEY, SECRET_KEY);
        Self { server, mc }
    }
}

impl Deref for Served {
    type Target = Mc;

    fn deref(&self) -> &Mc {
        &self.mc
    }
}

#[tokio::test]
async fn the_server_is_ready() {
    let mc = Served::start().await;
    let answer = mc.run(&["ready", "coffer"]);
    assert_eq!(answer[0]["healthy"], true, "{answer:?}");
}

#[tokio::test]
async fn buckets_are_made_and_removed() {
    let mc = Served::start().await;
    mc.run(&["mb", "coffer/files"]);
    mc.run(&["mb", "--ignore-existing", "coffer/files"]);
    assert_eq!(mc.run(&["ls", "coffer"])[0]["key"], "files/");
    mc.write("a", b"1");
    mc.run(&["cp", "a", "coffer/files/a"]);
    assert!(mc.refused(&["rb", "coffer/files"]).contains("not empty"));
    mc.run(&["rb", "--force", "coffer/files"]);
    assert!(mc.run(&["ls", "coffer"]).is_empty());
}

#[tokio::test]
async fn files_go_there_and_back() {
    let mc = Served::start().await;
    mc.run(&["mb", "coffer/files"]);
    let large: Vec<u8> = (0_u32..10_000_000).flat_map(u32::to_le_bytes).collect();
    for (name, content) in [("small", &b"hello"[..]), ("empty", b""), ("large ü", &large)] {
        mc.write(name, content);
        let key = format!("coffer/files/in/{name}");
        mc.run(&["cp", name, &key]);
        assert_eq!(mc.bytes(&["cat", &key]), content, "{name}");
        let stat = mc.run(&["stat", &key]);
        assert_eq!(stat[0]["size"], content.len(), "{name}");
    }
    assert_eq!(mc.bytes(&["cat", "--offset", "1", "coffer/files/in/small"]), b"ello");
    assert_eq!(mc.bytes(&["head", "--lines", "1", "coffer/files/in/small"]), b"hello\n");
    // Copies within the server, of one and of several parts.
    mc.run(&["cp", "coffer/files/in/large ü", "coffer/files/copy"]);
    assert_eq!(mc.bytes(&["cat", "coffer/files/copy"]), large);
    mc.run(&["cp", "--attr", "Cache-Control=max-age=9;colour=blue", "small", "coffer/files/attr"]);
    let stat = mc.run(&["stat", "coffer/files/attr"]);
    assert_eq!(stat[0]["metadata"]["X-Amz-Meta-Colour"], "blue", "{stat:?}");
    assert_eq!(stat[0]["metadata"]["Cache-Control"], "max-age=9", "{stat:?}");
    mc.run(&["mv", "coffer/files/in/small", "coffer/files/moved"]);
    assert_eq!(mc.keys("coffer/files"), ["attr", "copy", "in/empty", "in/large ü", "moved"]);
    mc.run(&["rm", "coffer/files/moved"]);
    assert!(mc.refused(&["stat", "coffer/files/moved"]).contains("does not exist"));
    mc.run(&["rm", "--recursive", "--force", "coffer/files/in/"]);
    assert_eq!(mc.keys("coffer/files"), ["attr", "copy"]);
}

#[tokio::test]
async fn a_pipe_becomes_an_object() {
    let mc = Served::start().await;
    mc.run(&["mb", "coffer/files"]);
    let content = vec![7; 6 * 1024 * 1024];
    mc.write("input", &content);
    let input = fs::File::open(mc.path("input")).expect("a file");
    clients::run(mc.command(&["pipe", "coffer/files/piped"]).stdin(input));
    assert_eq!(mc.bytes(&["cat", "coffer/files/piped"]), content);
}

#[tokio::test]
async fn folders_are_mirrored_compared_and_searched() {
    let mc = Served::start().await;
    mc.run(&["mb", "coffer/files"]);
    for (name, size) in [("tree/a.txt", 10), ("tree/b/c.txt", 20), ("tree/b/d.bin", 30)] {
        mc.write(name, &vec![1; size]);
    }
    mc.run(&["mirror", "tree", "coffer/files/tree"]);
    assert_eq!(mc.keys("coffer/files/tree"), ["a.txt", "b/c.txt", "b/d.bin"]);
    assert!(mc.run(&["diff", "tree", "coffer/files/tree"]).is_empty());
    let usage = mc.run(&["du", "coffer/files"]);
    assert_eq!((&usage[0]["size"], &usage[0]["objects"]), (&60.into(), &3.into()), "{usage:?}");
    let found = mc.run(&["find", "coffer/files", "--name", "*.txt", "--larger", "15B"]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["key"], "coffer/files/tree/b/c.txt");
    // Changes go over, what is gone goes there too.
    mc.write("tree/a.txt", b"other");
    fs::remove_file(mc.path("tree/b/d.bin")).expect("a file");
    assert_eq!(mc.run(&["diff", "tree", "coffer/files/tree"]).len(), 2);
    mc.run(&["mirror", "--overwrite", "--remove", "tree", "coffer/files/tree"]);
    assert_eq!(mc.keys("coffer/files/tree"), ["a.txt", "b/c.txt"]);
    assert_eq!(mc.bytes(&["cat", "coffer/files/tree/a.txt"]), b"other");
    // And back.
    mc.run(&["mirror", "coffer/files/tree", "back"]);
    assert_eq!(fs::read(mc.path("back/a.txt")).expect("a file"), b"other");
}

#[tokio::test]
async fn shared_urls_work_without_it() {
    let mc = Served::start().await;
    mc.run(&["mb", "coffer/files"]);
    mc.write("a", b"hello");
    mc.run(&["cp", "a", "coffer/files/a b"]);
    let shared = mc.run(&["share", "download", "--expire", "5m", "coffer/files/a b"]);
    let url = shared[0]["share"].as_str().expect("a URL");
    let output = clients::run(
        Command::new("curl")
            .args(["-sS", "--fail", "--noproxy", "*", "--cacert"])
            .arg(mc.server.ca())
            .arg(url),
    );
    assert_eq!(output.stdout, b"hello");
}

#[tokio::test]
async fn shared_forms_take_files_without_it() {
    let mc = Served::start().await;
    mc.run(&["mb", "coffer/files"]);
    mc.write("a-b", b"hello");
    let shared = mc.run(&["share", "upload", "--recursive", "--expire", "5m", "coffer/files/in/"]);
    // A command line for curl, with places for the file and the rest of its key.
    let line = shared[0]["share"].as_str().expect("a command");
    let line = line.replace("<NAME>", "a-b").replace("<FILE>", "a-b");
    let line = line.replacen("curl ", "curl -sS --fail --noproxy '*' --cacert \"$CA\" ", 1);
    let mut shell = Command::new("sh");
    shell.current_dir(mc.path("")).env("CA", mc.server.ca()).args(["-c", &line]);
    clients::run(&mut shell);
    assert_eq!(mc.keys("coffer/files"), ["in/a-b"], "{line}");
    assert_eq!(mc.bytes(&["cat", "coffer/files/in/a-b"]), b"hello");
}

#[tokio::test]
async fn unfinished_uploads_are_listed_and_removed() {
    let mc = Served::start().await;
    mc.run(&["mb", "coffer/files"]);
    let client = mc.server.client();
    let begun = client.send("POST", "/files/big", "uploads=", &[], "").await;
    let upload = begun.element("UploadId").expect("an upload");
    let query = format!("partNumber=1&uploadId={upload}");
    client.send("PUT", "/files/big", &query, &[], "a part").await;
    let listed = mc.run(&["ls", "--incomplete", "coffer/files"]);
    assert_eq!(listed[0]["key"], "big", "{listed:?}");
    mc.run(&["rm", "--incomplete", "--recursive", "--force", "coffer/files"]);
    assert!(mc.run(&["ls", "--incomplete", "coffer/files"]).is_empty());
}

/// The scraper's token is `mc`'s own, and good for nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn prometheus_reads_what_is_counted() {
    let mc = Served::start().await;
    let generated = mc.run(&["admin", "prometheus", "generate", "coffer"]);
    let token = generated[0]["bearerToken"].as_str().expect("a token").to_owned();
    assert_eq!(mc.server.client().send("GET", "/", "", &[], "").await.status, 200);
    let ask = async |path: &str, token: &str| {
        let authorization = format!("Bearer {token}");
        let headers = mc.server.client().headers(&[("authorization", &authorization)]);
        mc.server.client().send_as_is("GET", path, "", headers, "").await.expect("an answer")
    };
    let metrics = ask("/minio/v2/metrics/cluster", &token).await;
    assert_eq!(metrics.status, 200, "{}", metrics.text());
    let text = metrics.text();
    assert!(text.contains("coffer_signatures_total{signature=\"V4Header\"}"), "{text}");
    assert!(text.contains("coffer_requests_total{operation=\"ListBuckets\""), "{text}");
    let mut bent = token.clone();
    bent.replace_range(
        token.len() - 2..token.len() - 1,
        if token.ends_with('A') { "B" } else { "A" },
    );
    for (path, token) in [("/minio/v2/metrics/cluster", bent.as_str()), ("/", token.as_str())] {
        assert_ne!(ask(path, token).await.status, 200, "{path}");
    }
    let headers = mc.server.client().headers(&[]);
    let nobody = mc.server.client().send_as_is("GET", "/minio/v2/metrics/node", "", headers, "");
    assert_eq!(nobody.await.expect("an answer").status, 403);
}
