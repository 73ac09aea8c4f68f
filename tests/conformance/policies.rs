//! The same policies and requests, to this server and to the `minio` program: who decides what otherwise, and why.

use std::collections::BTreeMap;

use coffer_server::admin::payload;
use coffer_signature::{AccessKeyId, Credentials, SecretKey};
use coffer_tests::client::{Answer, Client};
use coffer_tests::minio::Minio;
use coffer_tests::server::{ACCESS_KEY, SECRET_KEY, Server};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use zeroize::Zeroizing;

const USER: &str = "somebody";
const SECRET: &str = "secret-of-somebody";
/// How many policies are tried.
const POLICIES: usize = 250;

fn credentials(key: &str, secret: &str) -> Credentials {
    Credentials {
        access_key_id: key.parse::<AccessKeyId>().expect("a key"),
        secret_key: SecretKey::new(secret.to_owned()),
        session_token: None,
    }
}

/// What both define alike: operators, keys and values that some of the requests meet.
const CONDITIONS: &[(&str, &str, &[&str])] = &[
    ("StringEquals", "aws:username", &["somebody", "Somebody", "nobody"]),
    ("StringNotEquals", "aws:username", &["somebody", "nobody"]),
    ("StringEqualsIgnoreCase", "aws:username", &["SOMEBODY", "nobody"]),
    ("StringLike", "aws:username", &["some*", "s?mebody", "body*"]),
    ("StringNotLike", "aws:username", &["some*", "no*"]),
    ("StringEquals", "s3:prefix", &["", "a/", "b/"]),
    ("StringLike", "s3:prefix", &["a/*", "*", "b*"]),
    ("StringNotEquals", "s3:prefix", &["a/"]),
    ("StringEquals", "s3:delimiter", &["/"]),
    ("NumericLessThanEquals", "s3:max-keys", &["10", "100"]),
    ("NumericGreaterThan", "s3:max-keys", &["10", "100"]),
    ("Bool", "aws:SecureTransport", &["true", "false"]),
    ("IpAddress", "aws:SourceIp", &["127.0.0.0/8", "10.0.0.0/8"]),
    ("NotIpAddress", "aws:SourceIp", &["127.0.0.0/8", "10.0.0.0/8"]),
    ("DateGreaterThan", "aws:CurrentTime", &["2020-01-01T00:00:00Z", "2120-01-01T00:00:00Z"]),
    ("DateLessThan", "aws:CurrentTime", &["2020-01-01T00:00:00Z", "2120-01-01T00:00:00Z"]),
    ("Null", "s3:prefix", &["true", "false"]),
    ("StringLike", "aws:UserAgent", &["*test*", "*other*"]),
    ("ForAnyValue:StringEquals", "aws:username", &["somebody", "nobody"]),
    ("ForAllValues:StringLike", "aws:username", &["some*", "no*"]),
];

const ACTIONS: &[&str] = &[
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:ListBucket",
    "s3:GetBucketLocation",
    "s3:ListAllMyBuckets",
    "s3:CreateBucket",
    "s3:GetObject*",
    "s3:*Object",
    "s3:List*",
    "s3:*",
    "s3:?etObject",
    "s3:ListMultipartUploadParts",
    "s3:ListBucketMultipartUploads",
    "s3:AbortMultipartUpload",
    "s3:GetBucketPolicy",
];

const RESOURCES: &[&str] = &[
    "arn:aws:s3:::*",
    "arn:aws:s3:::photos",
    "arn:aws:s3:::photos/*",
    "arn:aws:s3:::photos/a/*",
    "arn:aws:s3:::other",
    "arn:aws:s3:::other/*",
    "arn:aws:s3:::photos/?/1",
    "arn:aws:s3:::pho*",
    "arn:aws:s3:::photos/${aws:username}/*",
    "arn:aws:s3:::*/a/1",
    "arn:aws:s3:::photos*",
];

/// Method, path, query and body.
const REQUESTS: &[(&str, &str, &str, &str)] = &[
    ("GET", "/photos/a/1", "", ""),
    ("GET", "/photos/b/1", "", ""),
    ("GET", "/other/a/1", "", ""),
    ("GET", "/photos/somebody/1", "", ""),
    ("PUT", "/photos/a/1", "", "x"),
    ("PUT", "/other/b/1", "", "x"),
    ("GET", "/photos", "list-type=2", ""),
    ("GET", "/photos", "list-type=2&prefix=a%2F", ""),
    ("GET", "/photos", "delimiter=%2F&list-type=2&max-keys=5&prefix=b%2F", ""),
    ("GET", "/other", "list-type=2&max-keys=50", ""),
    ("GET", "/photos", "location=", ""),
    ("GET", "/photos", "uploads=", ""),
    ("GET", "/photos", "policy=", ""),
];

fn pick<'a>(random: &mut StdRng, from: &[&'a str], most: usize) -> Vec<&'a str> {
    let count = random.random_range(1..=most);
    from.choose_multiple(random, count).copied().collect()
}

fn statement(random: &mut StdRng) -> Value {
    let effect = if random.random_bool(0.75) { "Allow" } else { "Deny" };
    let (actions, resources) = (pick(random, ACTIONS, 3), pick(random, RESOURCES, 3));
    if random.random_bool(0.5) {
        return json!({"Effect": effect, "Action": actions, "Resource": resources});
    }
    let (operator, key, values) = CONDITIONS.choose(random).expect("one of them");
    // Several values where `minio` takes several, and now and then where it doesn't; the same with a list's keys.
    let takes_several = operator.contains("String") || operator.contains("Ip");
    let several = takes_several || random.random_bool(0.1);
    let values = pick(random, values, if several { 2 } else { 1 });
    let is_list = key.starts_with("s3:") && random.random_bool(0.9);
    let actions = if is_list { vec!["s3:ListBucket"] } else { actions };
    let condition = json!({ *operator: { *key: values } });
    json!({"Effect": effect, "Action": actions, "Resource": resources, "Condition": condition})
}

async fn set(root: &Client, policy: &Value) -> Answer {
    let add = "/minio/admin/v3/add-canned-policy";
    root.send("PUT", add, "name=tried", &[], policy.to_string()).await
}

async fn prepared(root: &Client) {
    for path in
        ["/photos", "/other", "/photos/a/1", "/photos/b/1", "/other/a/1", "/photos/somebody/1"]
    {
        assert_eq!(root.send("PUT", path, "", &[], "").await.status, 200, "{path}");
    }
    let user = json!({"secretKey": SECRET, "status": "enabled"});
    let text = Zeroizing::new(user.to_string().into_bytes());
    let sealed =
        payload::seal(&SecretKey::new(SECRET_KEY.to_owned()), text).await.expect("a payload");
    let of = format!("accessKey={USER}");
    let made = root.send("PUT", "/minio/admin/v3/add-user", &of, &[], sealed).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let anything = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*"]}]});
    assert_eq!(set(root, &anything).await.status, 200);
    let to = format!("isGroup=false&policyName=tried&userOrGroup={USER}");
    let given = root.send("PUT", "/minio/admin/v3/set-user-or-group-policy", &to, &[], "").await;
    assert_eq!(given.status, 200, "{}", given.text());
}

/// What `minio` says of policies that it doesn't take and AWS does.
const TAKEN_HERE: &[&str] = &["only one value is allowed for", "unsupported condition keys"];

/// Why a decision may differ, where AWS decides as this server does.
fn reason(policy: &str, path: &str, query: &str) -> Option<&'static str> {
    let bucket = path.get(1..).unwrap_or_default();
    let is_list = query.contains("list-type=2");
    if !bucket.contains('/') && policy.contains(&format!("arn:aws:s3:::{bucket}/*")) {
        Some("to minio a bucket is among its own objects")
    } else if is_list && !query.contains("prefix=") && policy.contains("s3:prefix") {
        Some("a listing of everything has the empty prefix here, and none there")
    } else {
        None
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_minios_but_for_the_explained_ones() {
    let server = Server::start().await;
    let minio = Minio::start(&server);
    let ca = std::fs::read(server.ca()).expect("a CA");
    let port = minio.host().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let beside = Client::new("localhost", port, &ca, credentials(ACCESS_KEY, SECRET_KEY));
    prepared(server.client()).await;
    prepared(&beside).await;
    let mut ours = server.client().clone();
    let mut theirs = beside.clone();
    ours.credentials = credentials(USER, SECRET);
    theirs.credentials = credentials(USER, SECRET);
    let seed =
        std::env::var("COFFER_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    let mut random = StdRng::seed_from_u64(seed);
    let (mut same, mut allowed, mut taken_here) = (0, 0, 0);
    let mut explained = BTreeMap::new();
    let mut faults = Vec::new();
    for _ in 0..POLICIES {
        let statements: Vec<Value> =
            (0..random.random_range(1..=3)).map(|_| statement(&mut random)).collect();
        let policy = json!({"Version": "2012-10-17", "Statement": statements});
        let (here, there) = (set(server.client(), &policy).await, set(&beside, &policy).await);
        let policy = policy.to_string();
        if there.status != 200 {
            taken_here += 1;
            let known = TAKEN_HERE.iter().any(|known| there.text().contains(known));
            if here.status != 200 || !known {
                faults.push(format!("{policy}: here {}, there {}", here.text(), there.text()));
            }
            continue;
        }
        assert_eq!(here.status, 200, "{policy}: {}", here.text());
        for request in REQUESTS {
            let (method, path, query, body) = *request;
            let agent = [("user-agent", "a test client")];
            let here = ours.send(method, path, query, &agent, body).await;
            let there = theirs.send(method, path, query, &agent, body).await;
            let (here, there) = (here.code() != "AccessDenied", there.code() != "AccessDenied");
            allowed += u32::from(here);
            if here == there {
                same += 1;
            } else if let Some(why) = reason(&policy, path, query) {
                *explained.entry(why).or_insert(0) += 1;
            } else {
                faults
                    .push(format!("{method} {path}?{query}: here {here}, there {there}: {policy}"));
            }
        }
    }
    eprintln!(
        "seed {seed}: {same} decisions alike, {explained:?}, {allowed} of all allowed here; {taken_here} policies taken here alone"
    );
    assert!(same > 2400 && allowed > 400, "{same}, {allowed}: the policies decide next to nothing");
    assert!(faults.is_empty(), "{} differ:\n{}", faults.len(), faults.join("\n"));
}
