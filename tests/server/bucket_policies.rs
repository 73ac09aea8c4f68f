//! Bucket policies: what can be put, who is let in by them and who isn't, and that they end with their bucket.

use coffer_server::iam::entity::Parent;
use coffer_server::iam::name::Name;
use coffer_tests::client::{Answer, Client};
use coffer_tests::server::Server;
use http::StatusCode;

use crate::claim::{assert_all, mismatch, parts, send};
use crate::people::{access_key, allow, client_of, document, server_of, user};

/// A server with users, the buckets `photos` and `other`, and an object `k` in each.
async fn server() -> Server {
    let server = server_of(|draft| {
        user(draft, "nobody", "")?;
        user(draft, "everything", &allow(&["s3:*"]))?;
        let alice = Parent::User(Name::user("nobody")?);
        access_key(draft, "narrowkey", alice, &allow(&["s3:GetObject"]))?;
        access_key(draft, "rootkey", Parent::Root, &allow(&["s3:*"]))
    })
    .await;
    for (line, body) in [
        ("PUT /photos", ""),
        ("PUT /other", ""),
        ("PUT /photos/k", "hello"),
        ("PUT /other/k", "hello"),
    ] {
        assert_eq!(send(server.client(), line, &[], body).await.status, 200, "{line}");
    }
    server
}

fn statement(effect: &str, principal: &str, actions: &[&str], resource: &str) -> String {
    let actions = actions.join("\",\"");
    format!(
        r#"{{"Effect":"{effect}","Principal":{principal},"Action":["{actions}"],"Resource":"arn:aws:s3:::{resource}"}}"#
    )
}

async fn put(server: &Server, bucket: &str, statements: &str) {
    let line = format!("PUT /{bucket}?policy=");
    let answer = send(server.client(), &line, &[], document(statements)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{statements}: {}", answer.text());
}

async fn anonymous(client: &Client, line: &str, body: &str) -> Answer {
    let (method, path, query) = parts(line);
    // GetObjectAttributes needs it, and nothing else minds.
    let headers = client.headers(&[("x-amz-object-attributes", "ETag")]);
    client.send_as_is(method, path, query, headers, body.to_owned()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_put_read_judged_and_deleted() {
    let server = server().await;
    let root = server.client();
    let read = statement("Allow", "\"*\"", &["s3:GetObject"], "photos/*");
    let mine = statement("Allow", r#"{"AWS":"nobody"}"#, &["s3:GetObject"], "photos/*");
    for line in ["GET /photos?policy=", "GET /photos?policyStatus="] {
        assert_eq!(send(root, line, &[], "").await.code(), "NoSuchBucketPolicy", "{line}");
    }
    for (statements, public) in [(&read, "true"), (&mine, "false")] {
        put(&server, "photos", statements).await;
        let got = send(root, "GET /photos?policy=", &[], "").await;
        assert_eq!(got.header("content-type"), "application/json");
        let as_json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(as_json(&got.text())["Statement"][0]["Effect"], "Allow");
        let status = send(root, "GET /photos?policyStatus=", &[], "").await;
        assert_eq!(status.element("IsPublic").as_deref(), Some(public), "{}", status.text());
    }
    for _ in 0..2 {
        let deleted = send(root, "DELETE /photos?policy=", &[], "").await;
        assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    }
    assert_eq!(send(root, "GET /photos?policy=", &[], "").await.code(), "NoSuchBucketPolicy");
    for method in ["GET", "PUT", "DELETE"] {
        let answer = send(root, &format!("{method} /absent?policy="), &[], document(&read)).await;
        assert_eq!(answer.code(), "NoSuchBucket", "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_policy_is_refused_and_the_one_in_force_stays() {
    let server = server().await;
    put(&server, "photos", &statement("Allow", "\"*\"", &["s3:GetObject"], "photos/*")).await;
    let read = |resource: &str| document(&statement("Allow", "\"*\"", &["s3:GetObject"], resource));
    let long = format!("{}{}", " ".repeat(20 * 1024), read("photos/*"));
    let mut wrong = Vec::new();
    for (name, body, code, words) in [
        ("nothing", String::new(), "MalformedPolicy", "line 1"),
        ("no JSON", "<Policy/>".to_owned(), "MalformedPolicy", "line 1, column 1"),
        ("another bucket", read("other/*"), "MalformedPolicy", "Statement"),
        (
            "another action",
            read("photos/*").replace("GetObject", "GetObjekt"),
            "MalformedPolicy",
            "did you mean `s3:GetObject`?",
        ),
        (
            "no principal",
            read("photos/*").replace(r#""Principal":"*","#, ""),
            "MalformedPolicy",
            "Principal",
        ),
        ("too long", long, "PolicyTooLarge", "20480"),
    ] {
        let answer = send(server.client(), "PUT /photos?policy=", &[], body).await;
        wrong.extend(mismatch(name, &answer, 400, code));
        if !answer.text().contains(words) {
            wrong.push(format!("{name}: no `{words}` in {}", answer.text()));
        }
    }
    assert_all(wrong);
    let md5 = [("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")];
    let answer = send(server.client(), "PUT /photos?policy=", &md5, read("photos/k")).await;
    assert_eq!(answer.code(), "BadDigest");
    assert_eq!(anonymous(server.client(), "GET /photos/k", "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_may_do_what_the_policy_says_and_nothing_else() {
    let server = server().await;
    let denied = |answer: &Answer| {
        (answer.status.as_u16(), answer.code()) == (403, "AccessDenied".to_owned())
    };
    let lines = [
        ("GET /photos/k", ""),
        ("PUT /photos/new", "x"),
        ("DELETE /photos/new", ""),
        ("GET /photos?list-type=2", ""),
        ("GET /photos?versions=", ""),
        ("GET /photos?uploads=", ""),
        ("GET /photos?policy=", ""),
        ("PUT /photos?policy=", "{}"),
        ("POST /photos?delete=", "<Delete/>"),
        ("GET /", ""),
        ("DELETE /photos", ""),
    ];
    for (line, body) in lines {
        assert!(denied(&anonymous(server.client(), line, body).await), "{line} without a policy");
    }
    let all = [
        statement("Allow", "\"*\"", &["s3:GetObject", "s3:PutObject"], "photos/*"),
        statement("Allow", "\"*\"", &["s3:ListBucket"], "photos"),
    ];
    put(&server, "photos", &all.join(",")).await;
    for (line, body) in lines {
        let answer = anonymous(server.client(), line, body).await;
        // The keys of a multi-delete are decided one by one; this one has none.
        let passes = matches!(
            line,
            "GET /photos/k"
                | "PUT /photos/new"
                | "GET /photos?list-type=2"
                | "POST /photos?delete="
        );
        assert_eq!(denied(&answer), !passes, "{line}: {}", answer.text());
    }
    for line in ["GET /other/k", "GET /other?list-type=2"] {
        assert!(denied(&anonymous(server.client(), line, "").await), "{line}");
    }
    // A key of a multi-delete.
    let body = "<Delete><Object><Key>k</Key></Object></Delete>";
    let digest = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body.as_bytes()),
    );
    let headers = server.client().headers(&[("x-amz-checksum-sha256", &digest)]);
    let answer =
        server.client().send_as_is("POST", "/photos", "delete=", headers, body).await.unwrap();
    assert!(answer.text().contains("<Code>AccessDenied</Code>"), "{}", answer.text());
    assert_eq!(send(server.client(), "GET /photos/k", &[], "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_with_a_signature_are_denied_and_let_in_by_it_too() {
    let server = server().await;
    let (nobody, everything) = (client_of(&server, "nobody"), client_of(&server, "everything"));
    let (narrow, root_key) = (client_of(&server, "narrowkey"), client_of(&server, "rootkey"));
    let get = async |client: &Client| send(client, "GET /photos/k", &[], "").await.status.as_u16();
    let put_key =
        async |client: &Client| send(client, "PUT /photos/k", &[], "x").await.status.as_u16();
    assert_eq!((get(&nobody).await, get(&everything).await, get(&narrow).await), (403, 200, 403));
    let grant =
        statement("Allow", r#"{"AWS":["nobody"]}"#, &["s3:GetObject", "s3:PutObject"], "photos/*");
    put(&server, "photos", &grant).await;
    // Its allow joins the user's own; an access key is held by its own policy still.
    assert_eq!((get(&nobody).await, put_key(&nobody).await), (200, 200));
    assert_eq!((get(&narrow).await, put_key(&narrow).await), (200, 403));
    assert_eq!(anonymous(server.client(), "GET /photos/k", "").await.status, 403);
    // Its deny counts for everyone but root, who can mend it.
    put(&server, "photos", &statement("Deny", "\"*\"", &["s3:*"], "photos/*")).await;
    assert_eq!((get(&nobody).await, get(&everything).await), (403, 403));
    assert_eq!((get(&root_key).await, get(server.client()).await), (403, 200));
    // The policy of a copy's source counts as well.
    let source = [("x-amz-copy-source", "/photos/k")];
    assert_eq!(send(&everything, "PUT /other/copy", &source, "").await.status, 403);
    put(&server, "photos", &statement("Allow", "\"*\"", &["s3:GetObject"], "photos/*")).await;
    assert_eq!(send(&everything, "PUT /other/copy", &source, "").await.status, 200);
}

/// GHSA-x298-9x87-fvjq, CVE-2024-36107: what a stranger may not read looks the same whether it is there or not.
#[tokio::test(flavor = "multi_thread")]
async fn absence_is_told_only_to_those_who_may_list() {
    let server = server().await;
    let read = statement(
        "Allow",
        "\"*\"",
        &["s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectAttributes"],
        "photos/*",
    );
    let list = statement("Allow", "\"*\"", &["s3:ListBucket"], "photos");
    let lines = [
        "GET /photos/absent",
        "HEAD /photos/absent",
        "GET /photos/absent?versionId=null",
        "GET /photos/absent?attributes=",
        "GET /photos/absent?tagging=",
        "GET /photos/absent?acl=",
    ];
    put(&server, "photos", &read).await;
    for line in lines {
        assert_eq!(anonymous(server.client(), line, "").await.status, 403, "{line}");
    }
    put(&server, "photos", &format!("{read},{list}")).await;
    for line in lines {
        let status = anonymous(server.client(), line, "").await.status.as_u16();
        // Reading an ACL or tags is another action than reading the object.
        let expected = if line.contains("acl") || line.contains("tagging") { 403 } else { 404 };
        assert_eq!(status, expected, "{line}");
    }
    for conditional in [
        ("if-match", "\"x\""),
        ("if-none-match", "*"),
        ("if-modified-since", "Sat, 01 Jan 2000 00:00:00 GMT"),
    ] {
        let mut answers = Vec::new();
        for path in ["/other/k", "/other/absent", "/absent/k"] {
            let headers = server.client().headers(&[conditional]);
            let answer = server.client().send_as_is("GET", path, "", headers, "").await.unwrap();
            answers.push((answer.status, answer.code(), answer.element("Message")));
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{conditional:?}: {answers:?}");
        assert_eq!(answers[0].0, 403);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_made_again_inherits_nothing() {
    let mut server = server().await;
    let open = statement("Allow", "\"*\"", &["s3:*"], "fresh/*");
    let set_up = ["PUT /fresh", "PUT /fresh/k"];
    for line in set_up {
        assert_eq!(send(server.client(), line, &[], "").await.status, 200, "{line}");
    }
    put(&server, "fresh", &open).await;
    assert_eq!(anonymous(server.client(), "GET /fresh/k", "").await.status, 200);
    for line in ["DELETE /fresh/k", "DELETE /fresh"] {
        assert_eq!(send(server.client(), line, &[], "").await.status, 204, "{line}");
    }
    for line in set_up {
        assert_eq!(send(server.client(), line, &[], "").await.status, 200, "{line}");
    }
    assert_eq!(anonymous(server.client(), "GET /fresh/k", "").await.status, 403);
    put(&server, "fresh", &open).await;
    // After a kill it is in force again, and only for the bucket that it was put on.
    server.kill();
    server.launch().await;
    assert_eq!(anonymous(server.client(), "GET /fresh/k", "").await.status, 200);
}

/// The admin API asks the same policies as a request: what it explains, and what it says of an account, is what would happen.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_admin_api_tells_counts_the_buckets_policy() {
    let server = server().await;
    let statements = [
        statement("Deny", r#"{"AWS":"everything"}"#, &["s3:GetObject"], "photos/*"),
        statement("Allow", r#"{"AWS":"nobody"}"#, &["s3:ListBucket"], "photos"),
    ];
    put(&server, "photos", &statements.join(",")).await;
    for (bucket, decision, layer, status) in
        [("photos", "Deny", "bucket policy", 403), ("other", "Allow", "identity policy", 200)]
    {
        let query = format!(
            "user=everything&action=s3%3AGetObject&resource=arn%3Aaws%3As3%3A%3A%3A{bucket}%2Fk"
        );
        let told = server.client().send("GET", "/minio/admin/v3/explain", &query, &[], "").await;
        assert_eq!(told.status, 200, "{}", told.text());
        let told: serde_json::Value = serde_json::from_slice(&told.body).unwrap();
        assert_eq!(told["decision"], decision, "{told}");
        assert_eq!(told["by"]["layer"], layer, "{told}");
        let everything = client_of(&server, "everything");
        let asked = send(&everything, &format!("GET /{bucket}/k"), &[], "").await;
        assert_eq!(asked.status, status, "{bucket}");
    }
    let nobody = client_of(&server, "nobody");
    let account = nobody.send("GET", "/minio/admin/v3/accountinfo", "", &[], "").await;
    let account: serde_json::Value = serde_json::from_slice(&account.body).unwrap();
    let buckets = account["Buckets"].as_array().unwrap();
    assert_eq!(buckets.len(), 1, "{account}");
    assert_eq!(buckets[0]["name"], "photos");
    assert_eq!(buckets[0]["access"], serde_json::json!({"read": true, "write": false}));
    let explained =
        nobody.send("GET", "/minio/admin/v3/explain", "user=nobody&action=s3%3AGetObject", &[], "");
    assert_eq!(explained.await.status, 403, "whoever asks needs the action");
}
