//! The control identity: a client certificate, on the calls that are made for it, and what resources make by them.

use std::path::Path;
use std::time::Duration;

use coffer_server::route::admin::{Permission, ROWS};
use coffer_tests::client::{Answer, Client};
use coffer_tests::identity;
use coffer_tests::server::Server;
use http::HeaderMap;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::people;

pub(crate) const NAME: &str = "coffer://control/team/photos";

/// An authority for client certificates.
pub(crate) struct Authority {
    certificate: String,
    key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { certificate, key: key.serialize_pem() }
    }

    /// A certificate of these names, with its key.
    fn issue(&self, edit: impl Fn(&mut CertificateParams)) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "control");
        params.subject_alt_names = vec![uri(NAME)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        edit(&mut params);
        let own = KeyPair::from_pem(&self.key).unwrap();
        let issuer = Issuer::from_ca_cert_pem(&self.certificate, own).unwrap();
        (params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
    }

    /// A certificate with its key, at the end of so many authorities below this one, which take turns at so many names.
    pub(crate) fn chain(&self, length: usize, names: usize) -> (String, String) {
        let mut chain = String::new();
        let mut last = Self { certificate: self.certificate.clone(), key: self.key.clone() };
        for number in 0..length {
            let (certificate, key) = last.issue(|params| {
                params.distinguished_name = rcgen::DistinguishedName::new();
                let name = format!("authority {}", number % names);
                params.distinguished_name.push(DnType::CommonName, name);
                params.subject_alt_names.clear();
                params.extended_key_usages.clear();
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            });
            chain.insert_str(0, &certificate);
            last = Self { certificate, key };
        }
        let (certificate, key) = last.issue(|_| {});
        (certificate + &chain, key)
    }

    pub(crate) fn write(&self, folder: &Path) {
        let folder = folder.join("control");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("new"), &self.certificate).unwrap();
        std::fs::rename(folder.join("new"), folder.join("ca.crt")).unwrap();
    }
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

/// A server that knows a control identity, with a user `alice` of another hand.
pub(crate) async fn server() -> (Server, Authority) {
    let folder = TempDir::new().unwrap();
    identity::write(folder.path());
    let authority = Authority::new("control of team/photos");
    authority.write(folder.path());
    people::change_in(folder.path(), |draft| {
        people::user(draft, "carol", "")?;
        people::user(draft, "alice", &people::allow(&["s3:*"]))
    })
    .await;
    let ca = folder.path().join("control").display().to_string();
    let settings = [("COFFER_CONTROL_CA", ca.as_str()), ("COFFER_CONTROL_NAME", NAME)];
    (Server::start_in(folder, &settings).await, authority)
}

pub(crate) fn control(server: &Server, authority: &Authority) -> Client {
    let (certificate, key) = authority.issue(|_| {});
    server.client().with_certificate(&certificate, &key)
}

/// Asks without a signature; the status of a connection that doesn't come about is 0.
pub(crate) async fn ask(client: &Client, method: &str, call: &str, body: &Value) -> (u16, Value) {
    let path = format!("/minio/admin/v3/coffer/{call}");
    let body = if method == "GET" { String::new() } else { body.to_string() };
    match client.send_as_is(method, &path, "", HeaderMap::new(), body).await {
        Ok(answer) => (answer.status.as_u16(), read(&answer)),
        Err(_no_connection) => (0, Value::Null),
    }
}

fn read(answer: &Answer) -> Value {
    serde_json::from_str(&answer.text()).unwrap_or(Value::Null)
}

pub(crate) fn owner(kind: &str, name: &str) -> Value {
    json!({"resource": format!("{kind}/team/{name}"), "uid": "1"})
}

/// Asks and is content with this code alone; nothing is 200.
pub(crate) async fn put(client: &Client, call: &str, body: Value, code: &str) -> Value {
    let (status, answer) = ask(client, "PUT", call, &body).await;
    let said = answer["Code"].as_str().unwrap_or_default();
    assert_eq!(said, code, "{call} {body}: {status} {answer}");
    assert!(!code.is_empty() || status == 200, "{call} {body}: {status} {answer}");
    answer
}

fn document(actions: &str) -> String {
    people::document(&people::allow(&[actions]))
}

/// CVE-2026-27134, CVE-2025-6037, CVE-2026-53622.
#[tokio::test(flavor = "multi_thread")]
async fn section_4_only_the_right_certificate_is_the_control_identity() {
    let (server, authority) = server().await;
    let plain = server.client();
    let sibling = Authority::new("control of team/photos");
    let with = |(certificate, key): (String, String)| plain.with_certificate(&certificate, &key);
    let names = |names: Vec<SanType>| {
        with(authority.issue(move |params| params.subject_alt_names.clone_from(&names)))
    };
    let past = with(authority.issue(|params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    }));
    let for_servers = with(authority.issue(|params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    }));
    for (claim, client, status) in [
        ("the right one", control(&server, &authority), 200),
        ("none", plain.clone(), 403),
        ("one of another authority of the same name", with(sibling.issue(|_| {})), 0),
        ("an expired one", past, 0),
        ("one for servers", for_servers, 0),
        ("a common name alone", names(Vec::new()), 403),
        ("another tenant's", names(vec![uri("coffer://control/team/videos")]), 403),
        ("in another case", names(vec![uri("coffer://control/team/Photos")]), 403),
        ("a name beside it", names(vec![uri(NAME), uri("coffer://control/team/videos")]), 403),
        ("a DNS name", names(vec![SanType::DnsName("control".try_into().unwrap())]), 403),
    ] {
        let (answered, said) = ask(&client, "GET", "policies", &Value::Null).await;
        assert_eq!(answered, status, "{claim}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_counts_only_without_a_signature_and_only_on_its_own_calls() {
    let (server, authority) = server().await;
    let client = control(&server, &authority);
    // On its own calls a signature is refused, root's too.
    for row in ROWS.iter().filter(|row| row.permission == Permission::Control) {
        let path = format!("/minio/admin/v3/{}", row.path);
        for client in [&client, server.client()] {
            let answer = client.send(row.method.as_str(), &path, "", &[], "{}").await;
            assert_eq!(answer.status, 403, "{}: {}", row.path, answer.text());
        }
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Bearer x".parse().unwrap());
        let answer = client.send_as_is(row.method.as_str(), &path, "", headers, "{}").await;
        assert_eq!(answer.unwrap().status, 400, "{}", row.path);
    }
    // Everywhere else the certificate is nobody's.
    for row in ROWS.iter().filter(|row| row.permission != Permission::Control) {
        let path = format!("/minio/admin/v3/{}", row.path);
        let query: Vec<String> = row.query.iter().map(|name| format!("{name}=x")).collect();
        let method = row.method.as_str();
        let answer = client.send_as_is(method, &path, &query.join("&"), HeaderMap::new(), "").await;
        assert_eq!(answer.unwrap().status, 403, "{}", row.path);
    }
    for (method, path) in [("GET", "/"), ("PUT", "/photos"), ("GET", "/photos/k")] {
        let answer = client.send_as_is(method, path, "", HeaderMap::new(), "").await.unwrap();
        assert_eq!(answer.status, 403, "{method} {path}");
    }
    // And a signature beside it is what it is without.
    assert_eq!(client.send("PUT", "/photos", "", &[], "").await.status, 200);
    let alice = people::client_of(&server, "alice");
    assert_eq!(alice.send("GET", "/minio/admin/v3/list-users", "", &[], "").await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_authority_is_followed_without_a_restart() {
    let (server, authority) = server().await;
    let old = control(&server, &authority);
    assert_eq!(ask(&old, "GET", "policies", &Value::Null).await.0, 200);
    let authority = Authority::new("another");
    authority.write(server.folder());
    for turn in 0.. {
        let new = control(&server, &authority);
        if ask(&new, "GET", "policies", &Value::Null).await.0 == 200 {
            break;
        }
        assert!(turn < 50, "it isn't followed");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(ask(&old.reconnecting(), "GET", "policies", &Value::Null).await.0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_resource_makes_is_its_own_and_goes_with_it() {
    let (server, authority) = server().await;
    let client = control(&server, &authority);
    let all = |owner: &Value| json!({"owner": owner});
    let policy = |name: &str, actions: &str| json!({"owner": owner("Policy", name), "name": name, "document": document(actions)});
    let user = |name: &str, adopt: bool| {
        json!({
            "owner": owner("User", name), "adopt": adopt, "name": name, "enabled": true,
            "secretKey": format!("secret-of-{name}"), "policies": ["reads"], "groups": ["staff"],
        })
    };
    put(&client, "user", user("bob", false), "XMinioAdminNoSuchPolicy").await;
    put(&client, "policy", policy("reads", "s3:ListAllMyBuckets"), "").await;
    put(&client, "policy", policy("of-alice", "s3:*"), "CofferNotOwned").await;
    put(&client, "user", user("bob", false), "").await;
    put(&client, "user", user("alice", false), "CofferNotOwned").await;
    let mut foreign = user("bob", false);
    foreign["owner"] = owner("User", "robert");
    put(&client, "user", foreign, "CofferNotOwned").await;
    let keys = json!({
        "owner": owner("AccessKey", "uploads"), "parent": "bob", "description": "uploads",
        "keys": [{"accessKey": "FIRSTKEY", "secretKey": "secret-of-FIRSTKEY"}],
    });
    put(&client, "access-keys", keys.clone(), "").await;
    let binding = json!({
        "owner": owner("PolicyBinding", "lists"), "policies": ["readonly"], "users": ["bob"],
        "groups": ["staff"],
    });
    put(&client, "binding", binding.clone(), "").await;
    for name in ["bob", "FIRSTKEY"] {
        let answer = people::client_of(&server, name).send("GET", "/", "", &[], "").await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    }
    // Where it is so already, nothing is written.
    let revision = async || {
        let answer =
            server.client().send("GET", "/minio/admin/v3/user-info", "accessKey=bob", &[], "");
        read(&answer.await)
    };
    let before = revision().await;
    put(&client, "user", user("bob", false), "").await;
    assert_eq!(revision().await, before);
    assert_eq!(before["policyName"], "readonly,reads");
    assert_eq!(before["memberOf"], json!(["staff"]));
    // Another hand's change is put back.
    let detached = "userOrGroup=bob&isGroup=false&policyName=consoleAdmin";
    server
        .client()
        .send("PUT", "/minio/admin/v3/set-user-or-group-policy", detached, &[], "")
        .await;
    assert_eq!(revision().await["policyName"], "consoleAdmin");
    put(&client, "user", user("bob", false), "").await;
    assert_eq!(revision().await["policyName"], "readonly,reads");
    // Rotation: both work, then one.
    let mut both = keys.clone();
    both["keys"] = json!([
        {"accessKey": "FIRSTKEY"}, {"accessKey": "NEXTKEY", "secretKey": "secret-of-NEXTKEY"},
    ]);
    put(&client, "access-keys", both.clone(), "").await;
    let works = async |name: &str| {
        people::client_of(&server, name).send("GET", "/", "", &[], "").await.status == 200
    };
    assert!(works("FIRSTKEY").await && works("NEXTKEY").await);
    both["keys"] = json!([{"accessKey": "NEXTKEY"}]);
    put(&client, "access-keys", both, "").await;
    assert!(!works("FIRSTKEY").await && works("NEXTKEY").await);
    // What is in use stays, and the answer says by whom.
    let said =
        put(&client, "release", all(&owner("Policy", "reads")), "XMinioIAMPolicyInUse").await;
    assert!(said["Message"].as_str().unwrap().contains("user `bob`"), "{said}");
    for (kind, name) in
        [("PolicyBinding", "lists"), ("User", "bob"), ("AccessKey", "uploads"), ("Policy", "reads")]
    {
        put(&client, "release", all(&owner(kind, name)), "").await;
    }
    assert!(!works("bob").await && !works("NEXTKEY").await);
    let (_, policies) = ask(&client, "GET", "policies", &Value::Null).await;
    assert_eq!(policies["reads"], Value::Null);
    let groups = server.client().send("GET", "/minio/admin/v3/groups", "", &[], "").await;
    assert_eq!(read(&groups), json!([]));
    // Adopted, a user of another hand is the resource's, with what that says and nothing else.
    put(&client, "policy", policy("reads", "s3:ListAllMyBuckets"), "").await;
    put(&client, "user", user("alice", true), "").await;
    let alice = people::client_of(&server, "alice");
    assert_eq!(alice.send("PUT", "/photos", "", &[], "").await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_resources_make_goes_beyond_the_boundary() {
    let (server, authority) = server().await;
    let client = control(&server, &authority);
    let bounded = |owner: Value, mut body: Value| {
        body["owner"] = owner;
        body["boundary"] = json!("ceiling");
        body
    };
    let ceiling = json!({"owner": owner("Policy", "ceiling"), "name": "ceiling", "document": document("s3:List*")});
    put(&client, "policy", ceiling, "").await;
    let bob = json!({
        "name": "bob", "enabled": true, "secretKey": "secret-of-bob", "policies": ["consoleAdmin"], "groups": [],
    });
    put(&client, "user", bounded(owner("User", "bob"), bob), "").await;
    let binding = json!({"policies": ["consoleAdmin"], "users": ["alice"], "groups": []});
    put(&client, "binding", bounded(owner("PolicyBinding", "b"), binding), "CofferUnbounded").await;
    let keys = json!({"parent": "alice", "keys": [{"accessKey": "SOMEKEY", "secretKey": "secret-of-SOMEKEY"}]});
    put(&client, "access-keys", bounded(owner("AccessKey", "k"), keys), "CofferUnbounded").await;
    let open = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::photos","arn:aws:s3:::photos/*"]}]}"#;
    let bucket = json!({"name": "photos", "policy": open});
    put(&client, "bucket", bounded(owner("Bucket", "photos"), bucket), "").await;
    let stranger = async |method: &str, path: &str| {
        let answer = server.client().send_as_is(method, path, "", HeaderMap::new(), "").await;
        answer.unwrap().status.as_u16()
    };
    let (bob, alice) = (people::client_of(&server, "bob"), people::client_of(&server, "alice"));
    for (who, client) in [("bob", &bob)] {
        assert_eq!(client.send("GET", "/", "", &[], "").await.status, 200, "{who}");
        assert_eq!(client.send("PUT", "/photos/k", "", &[], "x").await.status, 403, "{who}");
        let users = client.send("GET", "/minio/admin/v3/list-users", "", &[], "").await;
        assert_eq!(users.status, 403, "{who}");
    }
    assert_eq!(stranger("GET", "/photos").await, 200);
    assert_eq!(stranger("PUT", "/photos/k").await, 403);
    // What a policy of a resource gives to another hand's user is held to it; what he has besides is not.
    let wide = json!({"name": "wide", "document": document("s3:*")});
    put(&client, "policy", bounded(owner("Policy", "wide"), wide), "").await;
    let built_in = json!({"owner": owner("Policy", "readwrite"), "name": "readwrite", "document": document("s3:*")});
    put(&client, "policy", built_in, "CofferNotOwned").await;
    let attach = "userOrGroup=carol&isGroup=false&policyName=wide";
    server.client().send("PUT", "/minio/admin/v3/set-user-or-group-policy", attach, &[], "").await;
    let carol = people::client_of(&server, "carol");
    assert_eq!(carol.send("GET", "/", "", &[], "").await.status, 200);
    assert_eq!(carol.send("PUT", "/photos/c", "", &[], "x").await.status, 403);
    let attach = "userOrGroup=carol&isGroup=false&policyName=wide,readwrite";
    server.client().send("PUT", "/minio/admin/v3/set-user-or-group-policy", attach, &[], "").await;
    assert_eq!(carol.send("PUT", "/photos/c", "", &[], "x").await.status, 200);
    // It holds nobody else.
    assert_eq!(alice.send("PUT", "/photos/k", "", &[], "x").await.status, 200);
    let said = put(
        &client,
        "release",
        json!({"owner": owner("Policy", "ceiling")}),
        "XMinioIAMPolicyInUse",
    )
    .await;
    assert!(said["Message"].as_str().unwrap().contains("boundary"), "{said}");
    // And where it is gone nevertheless, nothing is left.
    let removed = server
        .client()
        .send("DELETE", "/minio/admin/v3/remove-canned-policy", "name=ceiling", &[], "")
        .await;
    assert_eq!(removed.status, 200);
    assert_eq!(bob.send("GET", "/", "", &[], "").await.status, 403);
    assert_eq!(stranger("GET", "/photos").await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_deleted_with_all_that_it_holds_only_by_its_owner() {
    let (server, authority) = server().await;
    let client = control(&server, &authority);
    let root = server.client();
    assert_eq!(root.send("PUT", "/theirs", "", &[], "").await.status, 200);
    let bucket =
        |name: &str| json!({"owner": owner("Bucket", name), "name": name, "quota": 1_000_000});
    put(&client, "bucket", bucket("theirs"), "CofferNotOwned").await;
    put(&client, "bucket", bucket("photos"), "").await;
    assert_eq!(root.send("PUT", "/photos/k", "", &[], "hello").await.status, 200);
    let used = put(&client, "bucket", bucket("photos"), "").await;
    assert_eq!((&used["bytes"], &used["objects"]), (&json!(5), &json!(1)), "{used}");
    assert_eq!(root.send("POST", "/photos/big", "uploads", &[], "").await.status, 200);
    let release =
        |name: &str, bucket: &str| json!({"owner": owner("Bucket", name), "bucket": bucket});
    put(&client, "release", release("photos", "theirs"), "").await;
    assert_eq!(root.send("HEAD", "/theirs", "", &[], "").await.status, 200);
    put(&client, "bucket", bucket("videos"), "").await;
    assert_eq!(root.send("PUT", "/videos/k", "", &[], "hello").await.status, 200);
    assert_eq!(
        put(&client, "release", release("videos", "videos"), "").await,
        json!({"remaining": false})
    );
    assert_eq!(root.send("HEAD", "/videos", "", &[], "").await.status, 404);
    // Released without a word of its data, it stays.
    assert_eq!(root.send("HEAD", "/photos", "", &[], "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_of_a_bucket_are_as_its_resource_says() {
    let (server, authority) = server().await;
    let client = control(&server, &authority);
    let root = server.client();
    let bucket =
        |tags: Value| json!({"owner": owner("Bucket", "photos"), "name": "photos", "tags": tags});
    let tags = async || {
        let answer = root.send("GET", "/photos", "tagging", &[], "").await;
        (answer.status.as_u16(), answer.text())
    };
    let media = json!({"team": "media", "cost-centre": "4711"});
    put(&client, "bucket", bucket(json!({"aws:team": "media"})), "InvalidTag").await;
    assert_eq!(root.send("HEAD", "/photos", "", &[], "").await.status, 404, "nothing was made");
    put(&client, "bucket", bucket(media.clone()), "").await;
    let (status, text) = tags().await;
    assert_eq!(status, 200, "{text}");
    let cost = "<Tag><Key>cost-centre</Key><Value>4711</Value></Tag>";
    let team = "<Tag><Key>team</Key><Value>media</Value></Tag>";
    assert!(text.contains(&format!("{cost}{team}")), "{text}");
    // Another hand's are put back.
    let other =
        "<Tagging><TagSet><Tag><Key>team</Key><Value>video</Value></Tag></TagSet></Tagging>";
    assert_eq!(root.send("PUT", "/photos", "tagging", &[], other).await.status, 204);
    assert!(!tags().await.1.contains(team));
    put(&client, "bucket", bucket(media.clone()), "").await;
    assert!(tags().await.1.contains(&format!("{cost}{team}")));
    put(&client, "bucket", bucket(json!({})), "").await;
    assert_eq!(tags().await.0, 404);
    // Of a bucket that isn't its own they stay.
    assert_eq!(root.send("PUT", "/theirs", "", &[], "").await.status, 200);
    assert_eq!(root.send("PUT", "/theirs", "tagging", &[], other).await.status, 204);
    let mut theirs = bucket(media);
    theirs["name"] = json!("theirs");
    put(&client, "bucket", theirs, "CofferNotOwned").await;
    let kept = root.send("GET", "/theirs", "tagging", &[], "").await;
    assert!(kept.text().contains("<Value>video</Value>"), "{}", kept.text());
}

/// A process that is killed while it makes buckets for resources: those that are there are theirs.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_whose_making_was_cut_off_is_its_resources_own() {
    let (mut server, authority) = server().await;
    let bucket = |round: u64, number: usize| {
        let name = format!("bucket-{round}-{number}");
        json!({"owner": owner("Bucket", &name), "name": name, "quota": 1_000_000})
    };
    let mut left = 0;
    for round in 0..8 {
        let client = control(&server, &authority);
        let asked: Vec<_> = (0..16)
            .map(|number| {
                let (client, body) = (client.reconnecting(), bucket(round, number).to_string());
                tokio::spawn(async move {
                    let path = "/minio/admin/v3/coffer/bucket";
                    // Cut off, or not.
                    client.send_as_is("PUT", path, "", HeaderMap::new(), body).await.is_ok()
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(1 + 3 * round)).await;
        server.kill();
        for one in asked {
            left += usize::from(!one.await.unwrap());
        }
        server.launch().await;
        let client = control(&server, &authority);
        for number in 0..16 {
            put(&client, "bucket", bucket(round, number), "").await;
        }
    }
    assert!(left > 0, "no call was cut off");
}

/// The room that a quota leaves tells nothing of what its caller may not read.
#[tokio::test(flavor = "multi_thread")]
async fn a_quota_tells_no_size_of_what_is_copied_from() {
    let folder = TempDir::new().unwrap();
    identity::write(folder.path());
    let authority = Authority::new("control of team/photos");
    authority.write(folder.path());
    people::change_in(folder.path(), |draft| {
        let own = r#"{"Effect":"Allow","Action":"s3:*","Resource":["arn:aws:s3:::photos","arn:aws:s3:::photos/*"]}"#;
        people::user(draft, "dora", own)
    })
    .await;
    let ca = folder.path().join("control").display().to_string();
    let settings = [("COFFER_CONTROL_CA", ca.as_str()), ("COFFER_CONTROL_NAME", NAME)];
    let server = Server::start_in(folder, &settings).await;
    let client = control(&server, &authority);
    let bucket = json!({"owner": owner("Bucket", "photos"), "name": "photos", "quota": 1000});
    put(&client, "bucket", bucket, "").await;
    let root = server.client();
    for (path, body) in
        [("/secret", ""), ("/secret/large", &*"x".repeat(2000)), ("/secret/small", "x")]
    {
        assert_eq!(root.send("PUT", path, "", &[], body.to_owned()).await.status, 200);
    }
    let dora = people::client_of(&server, "dora");
    let own = dora.send("PUT", "/photos/own", "", &[], "x".repeat(600)).await;
    assert_eq!(own.status, 200, "{}", own.text());
    for (source, code) in [
        ("/secret/large", "AccessDenied"),
        ("/secret/small", "AccessDenied"),
        ("/secret/absent", "AccessDenied"),
        ("/photos/own", "XMinioAdminBucketQuotaExceeded"),
    ] {
        let copy = [("x-amz-copy-source", source)];
        let answer = dora.send("PUT", "/photos/copy", "", &copy, "").await;
        assert_eq!(answer.code(), code, "{source}: {}", answer.text());
    }
}
